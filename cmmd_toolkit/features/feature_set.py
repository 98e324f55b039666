"""The features of one set of pictures under several backbones."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.files import path_of
from ..errors import ArgumentError, InputError
from .features import Features
from .record import SetRecord


class FeatureSet(Mapping[str, Features]):
    """Features of the same N pictures by the name of the backbone, as `embed` gives them for several backbones.

    A mapping in the order of the backbones: `features["clip"]` is float32 (N, D) with D of that backbone,
    `features.items()` goes through all. What is known of the pictures is kept once, for all backbones.

    Attributes:
        names: the pictures' names, empty or one per row.
        record: what else was seen of the pictures, None where it is not known.

    Raises:
        ArgumentError: no features, other things than `Features`, sets of unequal size or of other pictures, features
            that another backbone made than the one they are called by.
    """

    def __init__(self, features: Mapping[str, Features]) -> None:
        if not isinstance(features, Mapping) or not features:
            raise ArgumentError(f"expected `Features` by the names of backbones, got {type(features).__name__}")
        for backbone, own in features.items():
            _check_entry(backbone, own)
        every = list(features.values())
        self.names: tuple[str, ...] = next((own.names for own in every if own.names), ())
        self.record: SetRecord | None = next((own.record for own in every if own.record is not None), None)
        first = next(iter(features))
        for backbone, own in features.items():
            self._check_pictures(first, len(every[0]), backbone, own)
        self._features = {backbone: self._complete(backbone, own) for backbone, own in features.items()}

    def __getitem__(self, backbone: str) -> Features:
        return self._features[backbone]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        """The number of backbones."""
        return len(self._features)

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        """Refused: a metric is of one backbone."""
        raise TypeError(f"of several backbones; choose one, as in features[{next(iter(self))!r}]")

    def __repr__(self) -> str:
        parts = ", ".join(f"{backbone} {own.values.shape}" for backbone, own in self.items())
        return f"FeatureSet({parts})"

    @property
    def count(self) -> int:
        """The number of pictures N."""
        return len(next(iter(self._features.values())))

    @property
    def source(self) -> str:
        """What the pictures were called when they were embedded, "" where that is not known."""
        return str(next(iter(self._features.values())).provenance.get("source", ""))

    def subset(self, rows: NDArray[np.int64]) -> "FeatureSet":
        """The same pictures' features under every backbone; rows are int64, each from 0 to N - 1."""
        return FeatureSet({backbone: own.subset(rows) for backbone, own in self.items()})

    def with_source(self, source: str) -> "FeatureSet":
        """The same under another name of the pictures."""
        renamed = {
            backbone: replace(own, provenance={**own.provenance, "source": source}) for backbone, own in self.items()
        }
        return FeatureSet(renamed)

    def save(self, path: str | Path) -> None:
        """Write one `.safetensors` file with all of them, atomically; of one backbone the file that `Features` write.

        Raises ArgumentError for another suffix, InputError where nothing can be written.
        """
        from .stored_file import save_set

        save_set(self, path_of(path))

    @classmethod
    def load(cls, path: str | Path) -> "FeatureSet":
        """Read a file of `save`, or of features whose backbone is known. Raises InputError."""
        from .stored_file import load_stored

        loaded = load_stored(path_of(path))
        if isinstance(loaded, FeatureSet):
            return loaded
        if not isinstance(loaded, Features):
            raise InputError(f"{path}: holds Gaussian statistics, not features; make features with `cmmd embed`")
        if (backbone := loaded.provenance.get("backbone")) is None:
            raise InputError(f"{path}: features without the name of their backbone; read them with Features.load")
        return cls({backbone: loaded})

    def _check_pictures(self, first: str, count: int, backbone: str, own: Features) -> None:
        if len(own) != count:
            raise ArgumentError(
                f"{backbone}: expected features of the same pictures, got {len(own)} of them beside {count} of {first}"
            )
        if own.names and own.names != self.names:
            raise ArgumentError(f"{backbone}: expected the pictures of {first}, got other names, or another order")
        if own.record is not None and self.record is not None and not _are_same(own.record, self.record):
            raise ArgumentError(f"{backbone}: expected the pictures of {first}, got other pixels")

    def _complete(self, backbone: str, own: Features) -> Features:
        """With the name of the backbone, and with what the others know of the pictures."""
        if own.names is self.names and own.record is self.record and "backbone" in own.provenance:
            return own
        provenance = {**own.provenance, "backbone": backbone}
        return replace(own, provenance=provenance, names=self.names, record=self.record)


def _check_entry(backbone: Any, own: Any) -> None:
    if not isinstance(backbone, str) or not backbone.strip():
        raise ArgumentError(f"expected the names of backbones, got {backbone!r:.60}")
    if not isinstance(own, Features):
        raise ArgumentError(f"{backbone}: expected Features, got {type(own).__name__}")
    made = own.provenance.get("backbone", backbone)
    if made != backbone:
        raise ArgumentError(f"{backbone}: these features were made with backbone {made}; use that name")


def _are_same(record: SetRecord, other: SetRecord) -> bool:
    return record is other or np.array_equal(record.digests, other.digests)
