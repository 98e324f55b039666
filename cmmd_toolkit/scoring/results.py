"""Embedded sets to results: every metric of a selection, for whole sets and class by class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..inference.ordering import Score, UntestedScore
from ..metrics.mmd import Bandwidth
from ..report import Result, Verdict
from ..sets.embed_sets import EmbeddedSets
from ..sets.metric_names import METRICS
from ..sets.side import Stored
from .scorers import ScorerInput, scorer_named, side_count
from .selection import Selection
from .verdicts import verdict_metric, verdict_on
from .warnings import frequency_warnings, interval_warnings, negative_warnings, rank_warnings


class Problem(NamedTuple):
    """Metrics that one set does not allow, and why."""

    metrics: tuple[str, ...]
    reason: str


@dataclass
class Passes:
    """What the passes found, set by set: estimates, the problems, and the scores of the metric that was to be kept."""

    estimates: dict[int, dict[str, Estimate]]
    problems: list[Problem] = field(default_factory=list)
    scores: dict[int, Score | UntestedScore] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Task:
    """One backbone of a run, and what is computed on it."""

    sets: EmbeddedSets
    backbone: int
    selection: Selection
    bandwidth: Bandwidth | None
    frequencies: int | None = None

    @property
    def name(self) -> str:
        """The backbone."""
        return self.sets.backbones[self.backbone]

    def scorer_input(self, reference: Stored) -> ScorerInput:
        """What the passes over the sets need, with all of the reference's rows or those of a class."""
        loaded = self.sets.networks.get(self.name)
        needs_logits = any(METRICS[metric].needs == "logits" for metric in self.selection.names)
        classifier = loaded.classifier if loaded is not None and needs_logits else None
        run = self.sets.run
        return ScorerInput(reference, self.sets.recipe, self.bandwidth, run.seed, classifier, self.frequencies)

    def result(self, generated: int, metric: str, estimate: Estimate) -> Result:
        """The estimate with its place; `generated` counts the sides, the reference is 0."""
        sides = self.sets.sides
        return Result(
            sides[0].label,
            sides[generated].label,
            self.name,
            metric,
            float(estimate),
            estimate.standard_error,
            estimate.interval,
            estimate.n_reference,
            estimate.n_generated,
            dict(estimate.parameters),
            estimate.caveats,
            METRICS[metric].higher_is_better,
            estimate.corrected,
            estimate.no_error_reason,
        )


def tasks_of(
    sets: EmbeddedSets, selection: Selection, bandwidth: Bandwidth | None, frequencies: int | None
) -> list[Task]:
    """One task a backbone; `frequencies` as in `ScorerInput`.

    Raises ArgumentError for a metric that was asked for and cannot be computed there.
    """
    tasks = []
    for k, name in enumerate(sets.backbones):
        counts = [(side.short, side_count(own)) for side, own in zip(sets.sides, sets.features_on(k), strict=True)]
        own = selection.on(name, sets.networks.get(name), sets, counts)
        tasks.append(Task(sets, k, own, bandwidth, frequencies))
    return tasks


def score_all(tasks: Sequence[Task]) -> tuple[list[Result], list[str], list[Verdict]]:
    """Every generated set under every backbone and metric, set by set; remarks; a verdict for each backbone.

    The reference's own part is computed once.
    """
    parts = [_score(task) for task in tasks]
    by_set = [results for own in zip(*(results for results, _, _ in parts), strict=True) for results in own]
    results = [result for own in by_set for result in own]
    return results, [remark for _, own, _ in parts for remark in own], [own for _, _, own in parts if own is not None]


def _score(task: Task) -> tuple[list[list[Result]], list[str], Verdict | None]:
    reference, *generated = task.sets.features_on(task.backbone)
    names = task.selection.names
    decisive = verdict_metric(names)
    numbered = dict(enumerate(generated, start=1))
    found = run_passes(task.scorer_input(reference), names, task.selection.asked, numbered, task.sets.labels, decisive)
    results = [[task.result(i, name, own[name]) for name in names if name in own] for i, own in found.estimates.items()]
    flat = [result for own in results for result in own]
    if not flat:
        raise ArgumentError(found.problems[0].reason)
    remarks = [f"{', '.join(problem.metrics)} on {task.name} left out: {problem.reason}" for problem in found.problems]
    remarks += [*frequency_warnings(flat), *negative_warnings(flat), *interval_warnings(flat)]
    if any(METRICS[name].number == "fd" for name in names):
        sides = zip(task.sets.sides, (reference, *generated), strict=True)
        remarks += rank_warnings([(side.short, side_count(own)) for side, own in sides], reference.dim)
    verdict = None if decisive is None else _verdict(task, decisive, found.scores)
    return results, [*task.selection.remarks, *remarks], verdict


def _verdict(task: Task, metric: str, scores: Mapping[int, Score | UntestedScore]) -> Verdict | None:
    names = task.sets.shorts
    scale = task.sets.recipe.scale if METRICS[metric].number == "mmd" else 1.0
    return verdict_on(task.name, metric, names, scores, scale=scale, prefix=len(task.sets.backbones) > 1)


def run_passes(
    given: ScorerInput,
    names: Sequence[str],
    required: Collection[str],
    sets: Mapping[int, Stored],
    labels: Sequence[str],
    kept: str | None = None,
) -> Passes:
    """The metrics of every set, each pass over all sets before the next one; the scores of the metric `kept` stay.

    `labels` are those of all sides, by which problems name them.

    Raises ArgumentError when a set does not allow a required metric; the others are left out, with the problem.
    """
    passes = Passes({i: {} for i in sets})
    for scorer in dict.fromkeys(METRICS[name].scorer for name in names):
        own = tuple(name for name in names if METRICS[name].scorer == scorer)
        score = None
        for i, generated in sets.items():
            try:
                score = score or scorer_named(scorer)(given)
                found = score(generated)
            except ArgumentError as error:
                looked_at = labels[0 if score is None else i]  # by the pass: the reference comes before any set
                named = ArgumentError(_named(str(error), {"reference": labels[0], "generated": looked_at}))
                if not set(own).isdisjoint(required):
                    raise named from error
                passes.problems.append(Problem(own, str(named)))
            else:
                passes.estimates[i].update({name: found.estimates[METRICS[name].number] for name in own})
                if kept in own and found.score is not None:
                    passes.scores[i] = found.score
    return passes


def _named(message: str, labels: Mapping[str, str]) -> str:
    """What a function says of its argument, said of the set."""
    argument, colon, rest = message.partition(": ")
    return f"{labels[argument]}: {rest}" if colon and argument in labels else message
