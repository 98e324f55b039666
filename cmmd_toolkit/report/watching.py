"""The looks at a run, and their plain text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..common.text import align, in_lines, interval_text, number_text
from .document import Document
from .sound import check_known, check_level, require

WORSE, BETTER, UNDECIDED, FIRST = VERDICTS = "worse", "better", "undecided", "first"
_MOST, _LEAST = 10_000, 0.01  # evidence beyond is not told apart
HEADINGS = ("Look", "Backbone", "n", "mmd", "s.e.", "Difference to best", "Evidence worse", "Verdict")
LEFT = (0, 1, 7)  # columns that hold words


@dataclass(frozen=True)
class LookScore:
    """One look under one backbone.

    Attributes:
        value, standard_error: squared MMD to the reference, unbiased; lower is better.
        interval: its 95 %, None where it would lie wholly below zero.
        difference: to the best look before it, above zero it is worse; None at the first.
        difference_interval: all these of a run hold together with chance 1 - alpha, however many looks there are.
    """

    backbone: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    difference: float | None
    difference_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Look:
    """One look at the run.

    Attributes:
        name: of the samples; n: how many.
        step: the last number in the name, or the number of the look.
        scores: one for each backbone.
        best: the look that it is compared with, the best before it on the first backbone; None at the first.
        evidence_worse, evidence_better: over all looks and the mean of all backbones; a claim from 1 / alpha on.
        verdict: "first", "worse", "better" or "undecided", against that best look.
    """

    name: str
    step: int
    n: int
    scores: tuple[LookScore, ...]
    best: str | None
    evidence_worse: float | None
    evidence_better: float | None
    verdict: str


@dataclass(frozen=True)
class Watching(Document):
    """What `Watch` has seen.

    Attributes:
        reference, n_reference: the reference set.
        alpha: the chance that any look is falsely called worse than an earlier one.
        backbones, bandwidths: on which the looks are scored, and the width of the kernel on each.
        looks: in the order in which they came.
        warnings, provenance: as in `Report`.
    """

    kind: ClassVar[str] = "watching"
    schema_version: ClassVar[int] = 1

    reference: str
    n_reference: int
    alpha: float
    backbones: tuple[str, ...]
    bandwidths: tuple[float, ...]
    looks: tuple[Look, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, Any] = field(compare=False)

    def check(self) -> None:
        """See `Document.check`."""
        check_level(self.alpha, "alpha")
        require(bool(self.backbones), "backbones", "one or more")
        require(len(self.bandwidths) == len(self.backbones), "bandwidths", "one for each backbone")
        names = [look.name for look in self.looks]
        require(len(set(names)) == len(names), "looks", "names of their own")
        for look in self.looks:
            require(
                tuple(own.backbone for own in look.scores) == self.backbones, "looks.scores", "one for each backbone"
            )
            require(look.verdict in VERDICTS, "looks.verdict", f"one of {', '.join(VERDICTS)}")
        check_known({look.best for look in self.looks if look.best is not None}, names, "looks.best")

    @property
    def best(self) -> Look | None:
        """The look with the least squared MMD on the first backbone, None before any."""
        return best_of(self.looks)

    @property
    def alarm(self) -> Look | None:
        """The first look that is worse than an earlier one, None where there is none."""
        return next((look for look in self.looks if look.verdict == WORSE), None)

    def verdicts(self) -> list[str]:
        """What the looks show, a sentence each."""
        if self.best is None:
            return ["No look yet."]
        found = [f"Lowest so far: {self.best.name}, by {self.backbones[0]}."]
        if self.alarm is None:
            return [*found, f"No look is shown to be worse than an earlier one ({_level(self.alpha)})."]
        more = sum(look.verdict == WORSE for look in self.looks) - 1
        others = f", and {more} more since" if more else ""
        return [*found, f"{self.alarm.name} is worse than {self.alarm.best}{others} ({_level(self.alpha)})."]

    def __str__(self) -> str:
        lines = [f"Reference: {self.reference} ({self.n_reference:,} pictures)", ""]
        if self.looks:
            lines += [*align([HEADINGS, *self.table_rows()], left=LEFT), "", *notes(self), ""]
        return in_lines([*lines, *(f"warning: {text}" for text in self.warnings), *self.verdicts()])

    def table_rows(self) -> list[tuple[str, ...]]:
        """The looks as texts, a row a backbone."""
        return [row for look in self.looks for row in look_rows(look)]


def notes(watching: Watching) -> list[str]:
    """How the table is read."""
    chance = f"{100 * watching.alpha:.3g} %"
    return [
        "Lower is closer to the reference. Difference to best: to the lowest look before it, with an interval; the "
        f"chance that any interval of the run misses the true difference is at most {chance}.",
        f"Evidence: from {1 / watching.alpha:.4g} on, a look is called worse; the chance of any false alarm in the "
        f"run is at most {chance}, however many looks there are. The verdict is one-sided and the interval two-sided, "
        "so the interval may reach slightly beyond zero where a look is called worse or better.",
    ]


def look_rows(look: Look) -> list[tuple[str, ...]]:
    """A look as texts, a row a backbone."""
    rows: list[tuple[str, ...]] = []
    for k, own in enumerate(look.scores):
        error = own.standard_error
        numbers = (number_text(own.value, error), "-" if error is None else number_text(error, error))
        facts = (look.name, own.backbone, f"{look.n:,}", *numbers, interval_text(own.difference_interval, error))
        rows.append((*facts, _evidence(look.evidence_worse), look.verdict) if k == 0 else (*facts, "", ""))
    return rows


def best_of(looks: Sequence[Look]) -> Look | None:
    """The first look with the least squared MMD on the first backbone, None of none."""
    return min(looks, key=lambda look: look.scores[0].value, default=None)


def sentence(look: Look) -> str:
    """A look in one line."""
    scores = ", ".join(
        f"squared MMD {number_text(own.value, own.standard_error)} on {own.backbone}" for own in look.scores
    )
    if look.best is None:
        return f"{look.name}: {scores}"
    own = look.scores[0]
    interval = interval_text(own.difference_interval, own.standard_error)
    said = f"{look.verdict} than {look.best}" if look.verdict != UNDECIDED else f"undecided against {look.best}"
    evidence = look.evidence_better if look.verdict == BETTER else look.evidence_worse
    return f"{look.name}: {scores}; {said} (difference {interval}, evidence {_evidence(evidence)})"


def _evidence(evidence: float | None) -> str:
    """Small and huge ones as the bounds that matter."""
    if evidence is None:
        return "-"
    if evidence >= _MOST:
        return f"> {_MOST:,}"
    return number_text(evidence, significant=2) if evidence >= _LEAST else f"< {_LEAST}"


def _level(alpha: float) -> str:
    return f"over all looks, at {100 * alpha:.3g} %"


def step_of(name: str, otherwise: int) -> int:
    """The last number in a name, such as 500 of samples-000500.zip."""
    digits = re.findall(r"[0-9]+", name)
    return int(digits[-1][-18:]) if digits else otherwise
