"""One side of a comparison: pictures to embed, or stored features or statistics; and a selection of rows."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..common.arguments import text
from ..common.files import path_of
from ..common.urls import is_url
from ..errors import ArgumentError, InputError
from ..features.feature_set import FeatureSet
from ..features.features import Features, GaussianStatistics, rows_needed
from ..features.matrices import as_float32
from ..features.record import SetRecord, SetSummary
from ..features.stored_file import is_stored, load_stored
from ..pictures.sources import ImageSource, open_images, subset_rows
from .named import Named, is_matrix
from .recipes import Recipe
from .run import Run

Stored = Features | GaussianStatistics


@dataclass
class Side:
    """A named input: `source` or `stored`. Embedding gives `summary`, as a stored record does, and `remarks`."""

    label: str
    source: ImageSource | None = None
    stored: Stored | FeatureSet | None = None
    summary: SetSummary | None = None
    short: str = ""
    remarks: Sequence[str] = ()

    @property
    def size(self) -> int | None:
        """The number of pictures, None when unknown."""
        if self.source is not None:
            return self.source.size
        if isinstance(self.stored, FeatureSet):
            return self.stored.count
        return self.stored.n if isinstance(self.stored, GaussianStatistics) else len(self.stored or ())

    @property
    def backbones(self) -> list[str]:
        """The backbones that made the stored features; none where that is not known, or pictures are embedded."""
        if isinstance(self.stored, FeatureSet):
            return list(self.stored)
        made = None if self.stored is None else self.stored.provenance.get("backbone")
        return [] if made is None else [made]

    @property
    def record(self) -> SetRecord | None:
        """What is known of the pictures of stored features."""
        return None if self.stored is None else self.stored.record

    def stored_on(self, backbone: str) -> Stored:
        """The stored features of one backbone."""
        assert self.stored is not None
        return self.stored[backbone] if isinstance(self.stored, FeatureSet) else self.stored

    @property
    def has_rows(self) -> bool:
        """Whether every picture has its features, now or once it is embedded."""
        return not isinstance(self.stored, GaussianStatistics)

    def rename(self, name: str) -> None:
        """Call the set otherwise, wherever it is named."""
        self.label = name
        if self.source is not None:
            self.source = replace(self.source, name=name)
        elif isinstance(self.stored, FeatureSet):
            self.stored = self.stored.with_source(name)
        elif self.stored is not None:
            self.stored = replace(self.stored, provenance={**self.stored.provenance, "source": name})

    def picture_names(self) -> Sequence[str]:
        """The names of the pictures, once they are embedded; "row 7" where stored features have none."""
        if self.summary is not None:
            return self.summary.names
        assert isinstance(self.stored, (Features, FeatureSet))
        return self.stored.names or [f"row {row}" for row in range(self.size or 0)]


def open_side(source: Any, recipe: Recipe, run: Run) -> Side:
    """Open one input of `compare` and check cheaply that it can be scored.

    Raises InputError for what is missing, unreadable or smaller than two pictures.
    """
    side = _open(source, recipe, run)
    if isinstance(side.stored, (Features, FeatureSet)) and run.max_images is not None:
        side.stored = side.stored.subset(subset_rows(side.size or 0, run.max_images, run.seed))
    if side.size is not None and side.size < 2:
        raise InputError(f"{side.label}: holds one picture; a distance of distributions needs at least two per side")
    return side


def _open(source: Any, recipe: Recipe, run: Run) -> Side:
    if isinstance(source, Named):
        return _open_named(source.name, source.item, recipe, run)
    if is_matrix(source):
        return _open_named("features", source, recipe, run)
    if isinstance(source, FeatureSet):
        return Side(source.source or "FeatureSet", stored=source)
    if isinstance(source, (Features, GaussianStatistics)):
        return Side(str(source.provenance.get("source", type(source).__name__)), stored=source)
    if isinstance(source, (str, os.PathLike)) and not is_url(source) and is_stored(path_of(source)):
        return Side(str(source), stored=load_stored(path_of(source)))
    return picture_side(source, recipe, run)


def _open_named(name: str, item: Any, recipe: Recipe, run: Run) -> Side:
    if is_matrix(item):
        return Side(name, stored=Features(as_float32(item, name), {"source": name}))
    side = _open(item, recipe, run)
    side.rename(name)
    return side


def picture_side(source: Any, recipe: Recipe, run: Run) -> Side:
    """Pictures as this run reads them. Raises CmmdError."""
    images = open_images(source, recursive=run.recursive, policy=recipe.decode, max_pixels=run.max_pixels)
    return Side(images.name, source=images.subset(run.max_images, run.seed))


def check_rows(sides: Sequence[Side], what: str) -> None:
    """Raise InputError for a side that holds mean and covariance only."""
    for side in sides:
        if not side.has_rows:
            raise InputError(rows_needed(side.label, what))


def check_same_backbone(label: str, stored: Stored, provenance: Mapping[str, Any]) -> str | None:
    """Raise InputError when stored features were made otherwise than `provenance`; a sentence for other weights."""
    made = {"precision": "fp32", **stored.provenance} if "backbone" in stored.provenance else stored.provenance
    same_weights = "weights_sha256" in made and made["weights_sha256"] == provenance.get("weights_sha256")
    for key in ("backbone", "dim", "preprocessing", "decode", "precision", *(() if same_weights else ("model",))):
        if key in made and key in provenance and made[key] != provenance[key]:
            made_with, used = (
                value if isinstance(value, (str, int)) else "other" for value in (made[key], provenance[key])
            )
            difference = f"{key} {made_with}, but the other side uses {used}" if made_with != used else f"other {key}"
            raise InputError(f"{label}: made with {difference}; embed both sides alike")
    width = provenance.get("dim")
    if width is not None and stored.dim != width:
        raise InputError(
            f"{label}: features of different width: {stored.dim}, but the other side has {width}; "
            "embed both sides with the same backbone and dims"
        )
    if made.get("code_sha256") != provenance.get("code_sha256"):
        return f"{label}: made with different backbone code than the other side; the features may not be comparable"
    if not same_weights and "weights_sha256" in made and "weights_sha256" in provenance:
        return f"{label}: made with different weights than the other side; the features may not be comparable"
    return None


def as_list(value: str | Iterable[str] | None) -> list[str]:
    """A name or several, as a list without repeats."""
    if value is None:
        return []
    names = value if isinstance(value, (list, tuple, set, dict, Iterator)) else [value]
    return list(dict.fromkeys(text(name, "expected names") for name in names))


def for_backbone(option: Any, name: str, backbones: Sequence[str], title: str) -> Any:
    """The part of `weights` or `model` that belongs to `name`: a mapping's entry, or the one value there is."""
    if option is None:
        return None
    if not isinstance(option, Mapping):
        if len(backbones) > 1:
            raise ArgumentError(
                f"{title}: with several backbones say which, {backbones[0]}={option} (from Python a mapping)"
            )
        return option
    if unknown := set(option) - {*backbones, *(backbone.split(":")[0] for backbone in backbones)}:
        raise ArgumentError(
            f"{title}: {min(unknown)} is not among the backbones of this run ({', '.join(backbones)}); add `backbone`"
        )
    return option.get(name, option.get(name.split(":")[0]))
