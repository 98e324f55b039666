"""One side of a comparison: pictures to embed, or stored features or statistics; and a selection of rows."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.arguments import text
from ..common.arrays import shape_of
from ..common.files import path_of
from ..common.urls import is_url
from ..errors import ArgumentError, InputError
from ..features.features import Features, GaussianStatistics, is_stored, load_stored, rows_needed
from ..features.matrices import as_float32
from ..features.record import SetSummary
from ..pictures.sources import ImageSource, is_dataset, open_images, subset_rows
from .recipes import Recipe
from .run import Run

Stored = Features | GaussianStatistics


@dataclass
class Side:
    """A named input: `source` or `stored`. Embedding gives `summary`, as a stored record does, and `remarks`."""

    label: str
    source: ImageSource | None = None
    stored: Stored | None = None
    summary: SetSummary | None = None
    short: str = ""
    remarks: Sequence[str] = ()

    @property
    def size(self) -> int | None:
        """The number of pictures, None when unknown."""
        if self.source is not None:
            return self.source.size
        return self.stored.n if isinstance(self.stored, GaussianStatistics) else len(self.stored or ())

    @property
    def backbone(self) -> str | None:
        """The backbone that made the stored features, None when unknown."""
        return None if self.stored is None else self.stored.provenance.get("backbone")

    @property
    def has_rows(self) -> bool:
        """Whether every picture has its features, now or once it is embedded."""
        return not isinstance(self.stored, GaussianStatistics)

    def picture_names(self) -> Sequence[str]:
        """The names of the pictures, once they are embedded; "row 7" where stored features have none."""
        if self.summary is not None:
            return self.summary.names
        assert isinstance(self.stored, Features)
        return self.stored.names or [f"row {row}" for row in range(len(self.stored))]


def open_side(source: Any, recipe: Recipe, run: Run) -> Side:
    """Open one input of `compare` and check cheaply that it can be scored.

    Raises InputError for what is missing, unreadable or smaller than two pictures.
    """
    side = _open(source, recipe, run)
    if isinstance(side.stored, Features) and run.max_images is not None:
        side.stored = _feature_subset(side.stored, run.max_images, run.seed)
    if side.size is not None and side.size < 2:
        raise InputError(f"{side.label}: holds one picture; a distance between distributions needs at least two a side")
    return side


def _open(source: Any, recipe: Recipe, run: Run) -> Side:
    if _is_matrix(source):
        source = _named("features", source)
    if isinstance(source, (Features, GaussianStatistics)):
        return Side(str(source.provenance.get("source", type(source).__name__)), stored=source)
    if isinstance(source, (str, os.PathLike)) and not is_url(source) and is_stored(path_of(source)):
        return Side(str(source), stored=load_stored(path_of(source)))
    return picture_side(source, recipe, run)


def picture_side(source: Any, recipe: Recipe, run: Run) -> Side:
    """Pictures as this run reads them. Raises CmmdError."""
    images = open_images(source, recursive=run.recursive, policy=recipe.decode, max_pixels=run.max_pixels)
    return Side(images.name, source=images.subset(run.max_images, run.seed))


def _feature_subset(features: Features, max_images: int, seed: int) -> Features:
    rows = subset_rows(len(features), max_images, seed)
    names = tuple(features.names[i] for i in rows) if features.names else ()
    record = features.record.subset(rows) if features.record else None
    return Features(features.values[rows], features.provenance, names, record)


def as_sources(generated: Any) -> list[Any]:
    """The generated sets: a list of folders, files, features or batches is several; anything else is one.

    A mapping from names is several sets of features that are called so.
    """
    if isinstance(generated, Mapping):
        generated = [_named(str(name), rows) for name, rows in generated.items()]
    if not isinstance(generated, (list, tuple)):
        return [generated]
    if not generated:
        raise ArgumentError("generated: expected at least one set, got none")
    several = all(
        isinstance(item, (str, os.PathLike, ImageSource, Features, GaussianStatistics))
        or is_dataset(item)
        or len(shape_of(item)) in (2, 4)
        for item in generated
    )
    if not several:
        return [generated]
    return [_named(f"generated {i}", item) if _is_matrix(item) else item for i, item in enumerate(generated, start=1)]


def _is_matrix(item: Any) -> bool:
    return not isinstance(item, (Features, GaussianStatistics)) and not is_dataset(item) and len(shape_of(item)) == 2


def _named(name: str, item: Any) -> Features:
    if isinstance(item, Features):
        return Features(item.values, {**item.provenance, "source": name}, item.names, item.record)
    if not _is_matrix(item):
        raise ArgumentError(f"{name}: expected features (N, D) in a mapping of sets, got {type(item).__name__}")
    return Features(as_float32(item, name), {"source": name})


def check_rows(sides: Sequence[Side], what: str) -> None:
    """Raise InputError for a side that holds mean and covariance only."""
    for side in sides:
        if not side.has_rows:
            raise InputError(rows_needed(side.label, what))


def check_same_backbone(side: Side, provenance: Mapping[str, Any]) -> str | None:
    """Raise InputError when stored features were made otherwise than `provenance`; a sentence for other weights."""
    assert side.stored is not None
    made = side.stored.provenance
    same_weights = "weights_sha256" in made and made["weights_sha256"] == provenance.get("weights_sha256")
    for key in ("backbone", "dim", "preprocessing", "decode", *(() if same_weights else ("model",))):
        if key in made and key in provenance and made[key] != provenance[key]:
            made_with, used = (
                value if isinstance(value, (str, int)) else "other" for value in (made[key], provenance[key])
            )
            difference = f"{key} {made_with}, but the other side uses {used}" if made_with != used else f"other {key}"
            raise InputError(f"{side.label}: made with {difference}; embed both sides alike")
    width = provenance.get("dim")
    if width is not None and side.stored.dim != width:
        raise InputError(
            f"{side.label}: features of different width: {side.stored.dim}, but the other side has {width}; "
            "embed both sides with the same backbone and dims"
        )
    if not same_weights and "weights_sha256" in made and "weights_sha256" in provenance:
        return f"{side.label}: made with other weights files than the other side; the features may not be comparable"
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
