"""What less than float32 in the networks changes in the score, measured on some pictures of every set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backbones.base import Backbone
from ..backbones.precision import FULL
from ..common.text import number_text
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..features.features import Features
from ..metrics.frechet import frechet_distance
from ..metrics.mmd import Bandwidth, MmdReference
from ..pictures.sources import Stream
from .recipes import Recipe
from .run import Run
from .side import Side

PICTURES = 256  # of each set


@dataclass(frozen=True, eq=False)
class Sampled:
    """The features of some pictures of a set under one backbone, row by row in both precisions."""

    low: Features
    full: Features

    def __len__(self) -> int:
        return len(self.full)

    @property
    def precision(self) -> str:
        """The lower one."""
        return str(self.low.provenance["precision"])

    @property
    def change(self) -> float:
        """The root mean square of what the precision changes, as a share of the spread of the features."""
        full = self.full.values.astype(np.float64)
        spread = float(np.square(full - full.mean(axis=0)).sum())
        moved = float(np.square(self.low.values - full).sum())
        return float(np.sqrt(moved / spread)) if spread > 0 else 0.0

    def noted(self, features: Features) -> Features:
        """The features of the whole set, with the change in their provenance."""
        found = {"pictures": len(self.full), "share_of_spread": self.change}
        return replace(features, provenance={**features.provenance, "precision_change": found})


@dataclass(frozen=True)
class PrecisionChange:
    """One score of some pictures in both precisions; `standard_error` is that of the score in fp32."""

    backbone: str
    generated: str
    metric: str
    precision: str
    value: float
    value_in_fp32: float
    standard_error: float | None
    n_reference: int
    n_generated: int

    @property
    def difference(self) -> float:
        """What the precision adds to the score."""
        return self.value - self.value_in_fp32

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**vars(self), "difference": self.difference}

    def __str__(self) -> str:
        if self.metric == "mmd":
            shown = f"squared MMD by {_signed(self.difference)}"
            if self.standard_error:
                errors = abs(self.difference) / self.standard_error
                shown += f" ({number_text(errors, significant=2)} of its standard errors)"
            return shown
        share = f" ({_signed(100 * self.difference / self.value_in_fp32)} %)" if self.value_in_fp32 > 0 else ""
        return f"Frechet distance by {_signed(self.difference)}{share}"


def check_precision_fits(run: Run, recipe: Recipe, sides: Sequence[Side]) -> None:
    """Raise ArgumentError where a precision other than fp32 contradicts the recipe, or no picture is embedded."""
    if run.precision == FULL:
        return
    if recipe.name != "default":
        raise ArgumentError(f"precision: recipe {recipe.name} is computed in fp32, got {run.precision}; leave it out")
    if all(side.source is None for side in sides):
        raise ArgumentError(
            f"precision: features are stored for every set, so no network computes in {run.precision}; leave it out"
        )


def sampled_sides(
    sides: Sequence[Side], networks: Mapping[str, Backbone], run: Run
) -> tuple[list[Mapping[str, Sampled] | None], list[str]]:
    """Some pictures of every side under every network in both precisions, None for sides that cannot be read again;
    and why those are left out."""
    found: list[Mapping[str, Sampled] | None] = []
    remarks, precision = [], _precisions(networks)
    for side in sides:
        if side.source is None or not (isinstance(side.source.items, Stream) or side.source.size is not None):
            why = "its features are stored" if side.source is None else "it is a stream that is read once"
            remarks.append(f"what {precision} changes was not measured with {side.short or side.label}: {why}")
            found.append(None)
        else:
            found.append(_sampled(side, networks, run))
    return found, remarks


def _sampled(side: Side, networks: Mapping[str, Backbone], run: Run) -> Mapping[str, Sampled]:
    assert side.source is not None
    source = side.source.subset(PICTURES, run.seed)
    both = [backbone for own in networks.values() for backbone in (own, own.at(FULL))]
    features, _, _ = run.embed(source, both, f"{side.label} ({_precisions(networks)} against fp32)")
    pairs = zip(features[::2], features[1::2], strict=True)
    return {name: Sampled(*pair) for name, pair in zip(networks, pairs, strict=True)}


def changes_of_score(
    sides: Sequence[Side],
    sampled: Sequence[Mapping[str, Sampled] | None],
    recipe: Recipe,
    bandwidth: Bandwidth,
    run: Run,
) -> tuple[list[PrecisionChange], list[str]]:
    """What the precision changes in the scores of every generated set, and the sentences that say so."""
    reference = sampled[0]
    changes, remarks = [], []
    for side, generated in zip(sides[1:], sampled[1:], strict=True):
        if reference is None or generated is None:
            continue
        for name in reference:
            try:
                own = _changes((name, side.short), reference[name], generated[name], recipe, bandwidth, run)
            except ArgumentError as error:
                remarks.append(f"what {reference[name].precision} changes on {name} was not measured: {error}")
                continue
            changes += own
            wholes = [one.size == len(sample[name]) for one, sample in ((sides[0], reference), (side, generated))]
            remarks.append(_sentence(own, is_all=all(wholes)))
    return changes, remarks


def _sentence(changes: Sequence[PrecisionChange], *, is_all: bool) -> str:
    first, moves = changes[0], " and ".join(map(str, changes))
    n, m = first.n_reference, first.n_generated
    counts = f"{n} pictures per side" if n == m else f"{n} and {m} pictures"
    more = "" if is_all else "; with more pictures the standard error is smaller, but the change is not"
    which = f"{first.generated}, {first.backbone}"
    return f"{first.precision} instead of fp32 changes {moves}, measured on {counts} ({which}){more}"


def _changes(
    names: tuple[str, str], x: Sampled, y: Sampled, recipe: Recipe, bandwidth: Bandwidth, run: Run
) -> list[PrecisionChange]:
    """Of the backbone and the generated set of these names, with one ruler for both precisions."""
    ruler = MmdReference(recipe.mmd_rows(x.full), bandwidth, "unbiased", run.seed)
    low = MmdReference(recipe.mmd_rows(x.low), ruler.ruler(recipe.mmd_rows(y.full)), "unbiased", run.seed)
    pairs: dict[str, tuple[Estimate, Estimate]] = {
        "mmd": (low.distance(recipe.mmd_rows(y.low)), ruler.distance(recipe.mmd_rows(y.full))),
        "fd": tuple(  # type: ignore[dict-item]
            frechet_distance(reference=one, generated=two, errors=False)
            for one, two in ((x.low, y.low), (x.full, y.full))
        ),
    }
    return [
        PrecisionChange(
            *names,
            metric,
            x.precision,
            found.value,
            wanted.value,
            wanted.standard_error,
            len(x.full),
            len(y.full),
        )
        for metric, (found, wanted) in pairs.items()
    ]


def _precisions(networks: Mapping[str, Backbone]) -> str:
    return " and ".join(sorted({own.precision for own in networks.values()}))


def _signed(value: float) -> str:
    return number_text(value, significant=2, sign="+")
