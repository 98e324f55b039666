"""What `compare`, `rank`, `plan`, `explain` and `embed` take in common: the networks, and how pictures are read."""

import datetime
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..backbones.base import Backbone
from ..backbones.own_names import Own, named_backbones
from ..backbones.precision import FULL, Precision, check_precision
from ..common.arguments import check_seed, whole_number
from ..common.processes import current_processes
from ..common.progress import ShowProgress, show_no_progress
from ..common.urls import without_secrets
from ..common.versions import library_versions
from ..errors import ArgumentError
from ..features.features import Features
from ..features.record import SetRecord
from ..pictures.decode import MAX_PIXELS
from ..pictures.sources import ImageSource
from ..store.store import FeatureStore, store_folder, store_limit
from .embedding import OnError, embed_source

Paths = str | Path | Mapping[str, str | Path] | None
OneBackbone = str | Backbone | Callable[..., Any]
Backbones = OneBackbone | Iterable[OneBackbone] | None
StorePath = str | os.PathLike[str] | Literal[False] | None
_LEAST = {"batch_size": 1, "workers": 1, "max_images": 2, "max_pixels": 1}
_RECORDED = (
    "batch_size",
    "workers",
    "device",
    "precision",
    "max_images",
    "seed",
    "recursive",
    "on_error",
    "max_pixels",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything about a run but its sets and metrics; arguments as in `compare`, checked on creation.

    `backbones` are the names that were asked for, and `own` are the user's own networks among them.
    """

    backbone: Backbones = None
    weights: Paths = None
    model: str | Mapping[str, str] | None = None
    dims: int | None = None
    recipe: str | None = None
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    precision: Precision = FULL
    max_images: int | None = None
    seed: int = 0
    recursive: bool = True
    on_error: OnError = "fail"
    max_pixels: int = MAX_PIXELS
    store: StorePath = None
    progress: ShowProgress | None = None
    command: str | None = None
    backbones: list[str] = field(init=False)
    own: dict[str, Own] = field(init=False)

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole_number(value, name, least))
        if self.on_error not in ("fail", "skip"):
            raise ArgumentError(f"on_error: expected fail or skip, got {self.on_error!r}")
        check_precision(self.precision)
        object.__setattr__(self, "seed", check_seed(self.seed))
        _ = self.store_path, store_limit()
        for name, value in zip(("backbones", "own"), named_backbones(self.backbone), strict=True):
            object.__setattr__(self, name, value)

    @property
    def store_path(self) -> Path | None:
        """Where features are kept, None for nowhere."""
        return store_folder(self.store)

    @property
    def shown(self) -> ShowProgress:
        """How one of several processes shows its progress, for all."""
        return self.progress if self.progress and current_processes().is_main else show_no_progress

    def embed(
        self, source: ImageSource, backbones: Sequence[Backbone], title: str
    ) -> tuple[list[Features], SetRecord, list[str]]:
        """Features of a source under every backbone and its record, as `embed_source`; and remarks of the store."""
        part = None if source.size is None else -(-source.size // current_processes().count)
        with (
            self.shown(title, part) as advance,
            FeatureStore(self.store_path, backbones, source.policy, self.max_pixels) as store,
        ):
            features, record = embed_source(
                source,
                backbones,
                batch_size=self.batch_size,
                workers=self.workers,
                on_error=self.on_error,
                advance=advance,
                store=store,
            )
        return features, record, store.remarks

    def options(self) -> dict[str, Any]:
        """How the pictures were read, JSON-able."""
        return {name: getattr(self, name) for name in _RECORDED}

    def made_now(self) -> dict[str, Any]:
        """With what a result is made, and when, JSON-able."""
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        return {
            "versions": library_versions(),
            "command": self.command and without_secrets(self.command),
            "created": created,
        }
