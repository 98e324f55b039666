"""Scores of the study: every set under every backbone at hand, and what a handful of samples can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cmmd_toolkit
from cmmd_toolkit.common.text import interval_text, number_text, p_phrase

from ..common.processes import ALONE, Processes
from ..data.pixels import Pixels
from ..errors import EvaluationError
from ..training.evaluation import TakePicture, features_of, shared_rows, unit_rows
from .options import StudyModel

Rows = NDArray[np.float64]
_LEAST = 20  # pictures per side for a test
_LEVEL = 0.05  # of the test


@dataclass(frozen=True)
class StudyScore:
    """One model under one backbone.

    Attributes:
        model, method, run: its name, what it was trained with, and its training run from 1.
        mmd, mmd_error, mmd_interval: squared MMD, unbiased, its standard error and 95 % interval; None for fewer than
            twenty samples.
        fd: Frechet distance, as other tools print it, biased upwards.
        fd_corrected, fd_error, fd_interval: the same without bias, its standard error, and the interval that belongs
            to it; None where they are not known.
        few_mmd, few_fd: the same from random draws of a few samples: what a small study would have seen.
    """

    backbone: str
    model: str
    method: str
    run: int
    samples: int
    mmd: float
    mmd_error: float | None
    mmd_interval: tuple[float, float] | None
    fd: float
    fd_corrected: float | None
    fd_error: float | None
    fd_interval: tuple[float, float] | None
    few_mmd: list[float]
    few_fd: list[float]


SCORE_FIELDS = [*(field.name for field in fields(StudyScore)), "test"]


def score_models(
    real: Pixels,
    generated: Mapping[StudyModel, TakePicture],
    backbones: Mapping[str, dict[str, Any]],
    *,
    samples: int,
    few: int,
    draws: int,
    seed: int,
    say: Any,
    processes: Processes = ALONE,
) -> list[dict[str, Any]]:
    """Scores of all models under all backbones; one whose weights are not here is left out, and that is said.

    Of each model `generated` gives a picture by its number, below `samples`.
    Each process embeds its share of the pictures; the main one alone compares them and returns the scores.
    """
    scores: list[dict[str, Any]] = []
    for name, options in backbones.items():
        try:
            reference = _features(real.__getitem__, len(real), name, options, processes)
        except EvaluationError as error:
            say(f"{name} is left out: {error}")
            continue
        found = {model: _features(take, samples, name, options, processes) for model, take in generated.items()}
        compare = partial(_scores, name, reference, found, few, draws, seed, say)
        scores += processes.by_main(compare) or []
    return scores


def _features(picture: TakePicture, count: int, backbone: str, options: Mapping[str, Any], processes: Processes) -> Any:
    """Features (N, D) in all processes."""
    return shared_rows(lambda mine: features_of(picture, mine, backbone, **options), count, processes)


def _scores(
    backbone: str, reference: Any, found: Mapping[StudyModel, Any], few: int, draws: int, seed: int, say: Any
) -> list[dict[str, Any]]:
    scores = []
    for model, rows in found.items():
        score = asdict(_score(backbone, model, reference, rows, few, draws, seed))
        test = _test(reference, *_pair(found, model.run))
        scores.append(score | {"p_value": test and test["p_value"], "test": test})
        say(f"{backbone}, {model.name}: MMD {mmd_text(scores[-1])}")
    return scores


def backbones_of(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Their names, in order."""
    return list(dict.fromkeys(score["backbone"] for score in scores))


def mmd_text(score: Mapping[str, Any]) -> str:
    """Squared MMD and its interval."""
    return number_text(score["mmd"], score["mmd_error"]) + _in_brackets(score["mmd_interval"], score["mmd_error"])


def fd_texts(score: Mapping[str, Any]) -> tuple[str, str]:
    """The Frechet distance as other tools print it, and without bias with its interval or "unknown"."""
    error = score["fd_error"]
    if score["fd_corrected"] is None:
        return number_text(score["fd"], error), "unknown"
    corrected = number_text(score["fd_corrected"], error) + _in_brackets(score["fd_interval"], error)
    return number_text(score["fd"], error), corrected


def _in_brackets(interval: tuple[float, float] | None, error: float | None) -> str:
    return "" if interval is None else f" ({interval_text(interval, error)})"


def _pair(found: Mapping[StudyModel, Any], run: int) -> list[Any]:
    """The rows of both methods in one run."""
    return [rows for model, rows in found.items() if model.run == run]


def _test(reference: Any, first: Any, second: Any) -> dict[str, Any] | None:
    """The first model's squared MMD minus the second's; samples share seeds. None for fewer than twenty pictures."""
    if min(len(reference), len(first)) < _LEAST:
        return None
    real, one, two = (unit_rows(rows) for rows in (reference, first, second))
    found = cmmd_toolkit.relative_test(reference=real, first=one, second=two, paired=True)
    return {name: getattr(found, name) for name in ("difference", "standard_error", "interval", "p_value")}


def pairwise_verdict(scores: Sequence[Mapping[str, Any]], backbone: str, few: int) -> str:
    """Which model is closer under a backbone, where that can be told, and how often a few samples would say so."""
    first, second = [score for score in scores if (score["backbone"], score["run"]) == (backbone, 1)]
    better, worse = (first, second) if first["mmd"] <= second["mmd"] else (second, first)
    gap = _gap_text(worse["mmd"] - better["mmd"], [better["mmd_error"], worse["mmd_error"]])
    if gap is None:
        return f"{backbone}: both score the same."
    agreed = 100 * np.mean([a < b for a, b in zip(better["few_mmd"], worse["few_mmd"], strict=True)])
    p_value = first["p_value"]
    sure = "too few samples for a test" if p_value is None else f"{p_phrase(p_value)}, paired by seed"
    if p_value is not None and p_value >= _LEVEL:
        return (
            f"{backbone}: the two cannot be told apart: the MMD of {better['model']} is lower by {gap} ({sure}), "
            f"and also in {agreed:.0f} % of draws of {few} samples per side."
        )
    said = f"draws of {few} samples per side agree in {agreed:.0f} %"
    return f"{backbone}: {better['model']} is closer by {gap} ({sure}); {said}."


def _gap_text(gap: float, errors: Sequence[float | None]) -> str | None:
    """A difference to the digits of the smaller error, or to two of its own where those would be zeros; None for 0."""
    error = min((error for error in errors if error), default=None)
    texts = (number_text(gap, error), number_text(gap, significant=2))
    return next((text for text in texts if float(text) > 0), None)


def _score(backbone: str, model: StudyModel, reference: Any, rows: Any, few: int, draws: int, seed: int) -> StudyScore:
    unit_reference, unit = unit_rows(reference), unit_rows(rows)
    bandwidth = cmmd_toolkit.median_distance(unit_reference)
    random = np.random.default_rng(seed)
    few_mmd, few_fd = [], []
    for _ in range(draws):
        drawn = random.choice(len(rows), min(few, len(rows)), replace=False)
        real = random.choice(len(reference), min(few, len(reference)), replace=False)
        few_mmd.append(_mmd(unit_reference[real], unit[drawn], bandwidth))
        few_fd.append(float(cmmd_toolkit.frechet_distance(reference=reference[real], generated=rows[drawn])))
    whole = cmmd_toolkit.squared_mmd(reference=unit_reference, generated=unit, bandwidth=bandwidth)
    frechet = cmmd_toolkit.frechet_distance(reference=reference, generated=rows)
    return StudyScore(
        backbone,
        model.name,
        model.method,
        model.run,
        len(rows),
        whole.value,
        whole.standard_error,
        whole.interval,
        frechet.value,
        frechet.corrected,
        frechet.standard_error,
        frechet.interval,
        few_mmd,
        few_fd,
    )


def _mmd(reference: Rows, generated: Rows, bandwidth: float) -> float:
    return float(cmmd_toolkit.squared_mmd(reference=reference, generated=generated, bandwidth=bandwidth))
