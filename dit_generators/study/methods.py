"""Whether two methods differ, and not two networks: several training runs of each, and a t-interval over runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from cmmd_toolkit.common.text import interval_text, number_text, p_phrase

_LEVEL = 0.05
_FEW_RUNS = 5
METRICS = {"mmd": "squared MMD", "fd": "FD"}


@dataclass(frozen=True)
class MethodDifference:
    """The second method minus the first under one backbone and metric; negative: the second is closer.

    Run k of both has the same seed, hence the same initial weights and batches: differences are paired by run.

    Attributes:
        methods: their names.
        runs: K, 2 or more.
        difference, standard_error, interval, p_value: mean over runs, its error, the 95 % t-interval and the two-sided
            p-value with K - 1 degrees of freedom.
        between_runs: of each method, the share of the variance of its scores that is between runs, 0 to 1: the rest is
            the sampling error of one score. The error of the reference is in that error and common to all runs, so the
            share is a lower bound. None where no score has an error.
        unbiased: False for the Frechet distance where not every score is known without its bias.
    """

    backbone: str
    metric: str
    methods: tuple[str, str]
    runs: int
    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    between_runs: dict[str, float | None]
    unbiased: bool = True

    def __str__(self) -> str:
        (first, second), error = self.methods, self.standard_error
        closer = first if self.difference > 0 else second
        metric = METRICS[self.metric] + ("" if self.unbiased else " with its bias")
        told = "the methods cannot be told apart" if self.p_value >= _LEVEL else f"{closer} is the closer method"
        return (
            f"{self.backbone}, {metric}: {second} minus {first} is {number_text(self.difference, error)} "
            f"({interval_text(self.interval, error)}; {p_phrase(self.p_value)}) over {self.runs} training runs of "
            f"each: {told}{self._split}{self._few}."
        )

    @property
    def _split(self) -> str:
        shares = {method: f"{100 * (share or 0):.0f} %" for method, share in self.between_runs.items()}
        known = [f"{share} of the variance of {method}" for method, share in shares.items() if share != "0 %"]
        return f"; at least {' and '.join(known)} is between runs" if known else ""

    @property
    def _few(self) -> str:
        reach = stats.t.ppf(1 - _LEVEL / 2, self.runs - 1)
        wide = f"the interval extends {reach:.3g} standard errors to each side"
        return f"; {self.runs} runs are few: {wide}" if self.runs < _FEW_RUNS else ""


def compare_methods(scores: Sequence[Mapping[str, Any]], methods: tuple[str, str]) -> list[MethodDifference]:
    """Under every backbone and metric; `scores` have `backbone`, `method`, `run` and the fields of `StudyScore`."""
    found = []
    for backbone in dict.fromkeys(score["backbone"] for score in scores):
        for metric in METRICS:
            rows = {
                method: sorted(
                    (score for score in scores if (score["backbone"], score["method"]) == (backbone, method)),
                    key=lambda score: score["run"],
                )
                for method in methods
            }
            found.append(_difference(backbone, metric, methods, rows))
    return found


def _difference(
    backbone: str, metric: str, methods: tuple[str, str], rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> MethodDifference:
    unbiased = metric == "mmd" or all(score["fd_corrected"] is not None for both in rows.values() for score in both)
    name = "fd_corrected" if metric == "fd" and unbiased else metric
    values = {method: np.array([float(score[name]) for score in rows[method]]) for method in methods}
    differences = values[methods[1]] - values[methods[0]]
    runs, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1) / runs**0.5)
    reach = float(stats.t.ppf(1 - _LEVEL / 2, runs - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, runs - 1)) if error > 0 else float(mean == 0)
    shares = {
        method: _between(values[method], [score[f"{metric}_error"] for score in rows[method]]) for method in methods
    }
    interval = (mean - reach, mean + reach)
    return MethodDifference(backbone, metric, methods, runs, mean, error, interval, p_value, shares, unbiased)


def _between(values: Any, errors: Sequence[float | None]) -> float | None:
    """Share of the variance over runs that the scores' own errors leave."""
    known = [error for error in errors if error is not None]
    total = float(np.var(values, ddof=1))
    if len(known) < len(errors) or total == 0:
        return None
    return max(0.0, 1 - float(np.mean(np.square(known))) / total)
