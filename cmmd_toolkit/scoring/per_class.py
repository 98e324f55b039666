"""Results class by class: a picture's class is the first folder of its name, as in `dog/1.png`."""

from collections.abc import Sequence

import numpy as np

from ..common.text import first_names
from ..errors import ArgumentError
from ..features.feature_set import FeatureSet
from ..features.features import Features, rows_needed
from ..pictures.sources import class_of
from ..report import Result
from ..sets.metric_names import METRICS
from ..sets.side import Side, Stored
from .results import Task, run_passes
from .scorers import least_pictures
from .warnings import class_rank_warnings, class_warnings

LEAST = 2
Rows = dict[str, list[int]]


def check_classes(sides: Sequence[Side]) -> None:
    """Raise ArgumentError when it is known before a picture is read that no class is on both sides."""
    for side in sides:
        if not side.has_rows:
            raise ArgumentError(rows_needed(f"per_class: {side.label}", "a class"))
    names = [_known_names(side) for side in sides]
    if all(own is not None for own in names):
        _check_common([(side.label, class_rows(own or ())) for side, own in zip(sides, names, strict=True)])


def class_rows(names: Sequence[str]) -> Rows:
    """The rows of each class, classes in alphabetical order; pictures outside any folder are in none."""
    rows: Rows = {}
    for row, name in enumerate(names):
        if folder := class_of(name):
            rows.setdefault(folder, []).append(row)
    return dict(sorted(rows.items()))


def score_classes(tasks: Sequence[Task]) -> tuple[dict[str, tuple[Result, ...]], list[str]]:
    """Every class that both sides have, each by itself as if its folders had been compared; and remarks."""
    sets = tasks[0].sets
    names = [side.picture_names() for side in sets.sides]
    classes = [(side.short, class_rows(own)) for side, own in zip(sets.sides, names, strict=True)]
    _check_common(classes)
    usable = [{label: rows for label, rows in own.items() if len(rows) >= LEAST} for _, own in classes]
    remarks = class_warnings(classes, [len(own) for own in names], LEAST)
    gaps: dict[str, list[str]] = {}
    results = {}
    for label in usable[0]:
        if found := [result for task in tasks for result in _score_class(task, label, usable, gaps)]:
            # sets in the order given; the sort is stable, so backbones and metrics stay in theirs
            results[label] = tuple(sorted(found, key=lambda result: sets.labels.index(result.generated)))
    remarks += [f"per class: {reason}; left out in {first_names(labels)}" for reason, labels in gaps.items()]
    dims = {task.name: sets.features_on(task.backbone)[0].dim for task in tasks}
    return results, remarks + class_rank_warnings(results, dims)


def _score_class(task: Task, label: str, usable: Sequence[Rows], gaps: dict[str, list[str]]) -> list[Result]:
    """One class on one backbone; `gaps` collects what is left out, and in which classes."""
    rows = {i: own[label] for i, own in enumerate(usable) if label in own}
    if len(rows) < 2:
        return []
    features = task.sets.features_on(task.backbone)
    parts: dict[int, Stored] = {i: _part(features[i], own) for i, own in rows.items()}
    reference = parts.pop(0)
    enough = min(len(rows[0]), max(len(rows[i]) for i in parts))
    needed = {name: least_pictures(METRICS[name], task.sets.recipe) for name in task.selection.names}
    for least in sorted({least for least in needed.values() if least > enough}):
        few = ", ".join(name for name, own in needed.items() if own == least)
        _note(gaps, f"{few} takes at least {least:,} pictures per side", label)
    names = [name for name, least in needed.items() if least <= enough]
    passes = run_passes(task.scorer_input(reference), names, (), parts, task.sets.labels)
    for problem in passes.problems:
        _note(gaps, f"{', '.join(problem.metrics)} on {task.name}: {problem.reason}", label)
    return [task.result(i, name, own[name]) for i, own in passes.estimates.items() for name in names if name in own]


def _note(gaps: dict[str, list[str]], reason: str, label: str) -> None:
    labels = gaps.setdefault(reason, [])
    if label not in labels:
        labels.append(label)


def _part(features: Stored, rows: list[int]) -> Features:
    assert isinstance(features, Features)
    return Features(features.values[np.asarray(rows)], features.provenance)


def _known_names(side: Side) -> Sequence[str] | None:
    """The names of the pictures, None when only the end of the stream tells."""
    if isinstance(side.stored, (Features, FeatureSet)):
        return side.stored.names
    items = side.source.items if side.source is not None else ()
    return [name for name, _ in items] if isinstance(items, Sequence) else None


def _check_common(sets: Sequence[tuple[str, Rows]]) -> None:
    (label, reference), *others = sets
    if not any(set(reference) & set(own) for _, own in others):
        found = "; ".join(
            f"{name} has {f'the folders {first_names(own)}' if own else 'no folders'}" for name, own in sets
        )
        raise ArgumentError(
            f"per_class: expected the same class folders in every set, such as {label}/dog/1.png; {found}"
        )
