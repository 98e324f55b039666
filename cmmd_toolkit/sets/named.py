"""The sets as they are given: which are several, and what those are called that have no name of their own."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.arrays import is_array, shape_of
from ..common.files import path_of
from ..common.urls import is_url, shown_url
from ..errors import ArgumentError
from ..features.feature_set import FeatureSet
from ..features.features import Features, GaussianStatistics
from ..pictures.sources import ImageSource, is_dataset

STORED = (Features, FeatureSet, GaussianStatistics)


@dataclass(frozen=True)
class Named:
    """A set of any kind, and what it is called."""

    name: str
    item: Any


def as_sources(generated: Any) -> list[Any]:
    """The generated sets: a list of folders, files, features or batches is several; anything else is one.

    A mapping from names is several sets, of any kind, that are called so. Of several those without a name are called
    "generated 1" and so on, by their place.
    """
    if isinstance(generated, Mapping) and not isinstance(generated, FeatureSet):
        generated = [Named(str(name), item) for name, item in generated.items()]
    if not isinstance(generated, (list, tuple)):
        return [generated]
    if not generated:
        raise ArgumentError("generated: expected at least one set, got none")
    if not all(map(_is_set, generated)):
        return [generated]
    return [called(f"generated {i}", item) for i, item in enumerate(generated, start=1)]


def check_once(sources: Sequence[Any]) -> None:
    """Raise ArgumentError for a path that is given twice, however it is spelt; under names of their own sets may be."""
    seen: dict[str, str] = {}
    for item in sources:
        if isinstance(item, (str, os.PathLike)):
            name = os.fspath(item)
            place = name if is_url(name) else os.path.realpath(path_of(name))
            if place in seen:
                shown, other = (shown_url(own) if is_url(own) else own for own in (name, seen[place]))
                how = "given twice" if name == seen[place] else f"the same set as {other}"
                raise ArgumentError(f"{shown}: {how}; name each set once")
            seen[place] = name


def called(name: str, item: Any) -> Any:
    """The set by that name, unless it has one already."""
    return Named(name, item) if _is_nameless(item) else item


def different(names: Sequence[str]) -> list[str]:
    """The names, a number behind each that was there before."""
    found: list[str] = []
    for name in names:
        own, count = name, 1
        while own in found:
            count += 1
            own = f"{name} ({count})"
        found.append(own)
    return found


def is_matrix(item: Any) -> bool:
    """Whether this is an array or a tensor of features (N, D)."""
    return not isinstance(item, STORED) and not is_dataset(item) and len(shape_of(item)) == 2


def _is_set(item: Any) -> bool:
    """Whether an item of a list is a set, and no picture: a list of pictures is one set."""
    whole = isinstance(item, (str, os.PathLike, ImageSource, Named, Iterator, *STORED)) or is_dataset(item)
    return whole or len(shape_of(item)) in (2, 4) or _is_list_of_pictures(item)


def _is_list_of_pictures(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and not isinstance(item[0], (int, float, list, tuple))


def _is_nameless(item: Any) -> bool:
    if isinstance(item, (Features, GaussianStatistics)):
        return not item.provenance.get("source")
    if isinstance(item, FeatureSet):
        return not item.source
    has_name = isinstance(item, (str, os.PathLike, ImageSource, Named, Mapping, bytes)) or is_dataset(item)
    return not has_name and (is_array(item) or isinstance(item, Iterable))
