"""Scores of the study: every set under every backbone at hand, and what a handful of samples can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit import frechet_distance, median_distance, squared_mmd

from .errors import EvaluationError
from .evaluation import features_of, jackknife_error, unit_rows

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class StudyScore:
    """One model under one backbone.

    Attributes:
        mmd, mmd_error: squared MMD, unbiased, and its standard error.
        fd: Frechet distance, biased upwards for few samples.
        few_mmd, few_fd: the same from random draws of a few samples: what a small study would have seen.
    """

    backbone: str
    model: str
    samples: int
    mmd: float
    mmd_error: float
    fd: float
    few_mmd: list[float]
    few_fd: list[float]


def score_models(
    real: NDArray[np.uint8],
    generated: Mapping[str, NDArray[np.uint8]],
    backbones: Mapping[str, dict[str, Any]],
    *,
    few: int,
    draws: int,
    seed: int,
    say: Any,
) -> list[dict[str, Any]]:
    """Scores of all models under all backbones; one whose weights are not here is left out, and that is said."""
    scores = []
    for name, options in backbones.items():
        try:
            reference = features_of(real, name, **options)
        except EvaluationError as error:
            say(f"{name} is left out: {error}")
            continue
        found = {model: features_of(images, name, **options) for model, images in generated.items()}
        for model, rows in found.items():
            scores.append(asdict(_score(name, model, reference, rows, few, draws, seed)))
            say(f"{name}, {model}: MMD {scores[-1]['mmd']:.4f} +- {scores[-1]['mmd_error']:.4f}")
    return scores


def pairwise_verdict(scores: Sequence[Mapping[str, Any]], backbone: str, few: int) -> str:
    """Which model is closer under a backbone, and how often a few samples would have said so."""
    first, second = [score for score in scores if score["backbone"] == backbone]
    better, worse = (first, second) if first["mmd"] <= second["mmd"] else (second, first)
    gap = worse["mmd"] - better["mmd"]
    if gap == 0:
        return f"{backbone}: both score the same."
    error = (first["mmd_error"] ** 2 + second["mmd_error"] ** 2) ** 0.5
    agreed = np.mean([a < b for a, b in zip(better["few_mmd"], worse["few_mmd"], strict=True)])
    clear = "clear of" if gap > 2 * error else "within"
    said = f"{few} samples a side say so in {100 * agreed:.0f} % of draws"
    return (
        f"{backbone}: {better['model']} is closer by {gap:.4f}, {clear} two standard errors of the difference "
        f"({2 * error:.4f}, as if the sets were independent); {said}."
    )


def _score(backbone: str, model: str, reference: Any, rows: Any, few: int, draws: int, seed: int) -> StudyScore:
    unit_reference, unit = unit_rows(reference), unit_rows(rows)
    bandwidth = median_distance(unit_reference)
    random = np.random.default_rng(seed)
    few_mmd, few_fd = [], []
    for _ in range(draws):
        some = random.choice(len(rows), min(few, len(rows)), replace=False)
        others = random.choice(len(reference), min(few, len(reference)), replace=False)
        few_mmd.append(_mmd(unit_reference[others], unit[some], bandwidth))
        few_fd.append(float(frechet_distance(reference=reference[others], generated=rows[some])))
    return StudyScore(
        backbone,
        model,
        len(rows),
        _mmd(unit_reference, unit, bandwidth),
        jackknife_error(unit_reference, unit, bandwidth),
        float(frechet_distance(reference=reference, generated=rows)),
        few_mmd,
        few_fd,
    )


def _mmd(reference: Rows, generated: Rows, bandwidth: float) -> float:
    return float(squared_mmd(reference=reference, generated=generated, bandwidth=bandwidth))
