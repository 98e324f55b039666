"""What `dit-gen bench` measures: levels, kinds of attention, batches, and the arithmetics that are told apart."""

from dataclasses import dataclass, replace
from typing import Literal, cast

import torch

from ..common.precision import TYPES, Precision
from ..errors import ArgumentError
from ..network.config import DiTConfig

Level = Literal["operation", "block", "model", "image"]
LEVELS: tuple[Level, ...] = ("operation", "block", "model", "image")
_AUTOCAST = "-autocast"
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", f"bf16{_AUTOCAST}", f"fp16{_AUTOCAST}")


@dataclass(frozen=True)
class Arithmetic:
    """How all kinds of attention compute: one of `PRECISIONS`.

    fp32 is float32 with TF32 off, tf32 with TF32 on; bf16 and fp16 hold weights in that type; bf16-autocast and
    fp16-autocast hold them in float32 and cast as `sample` and `train` do.
    """

    name: str

    @property
    def autocast(self) -> Precision:
        """The type of autocast, fp32 for none."""
        low = self.name.removesuffix(_AUTOCAST)
        return cast(Precision, low) if low != self.name else "fp32"

    @property
    def weights(self) -> torch.dtype:
        """The type of weights, and of what goes into a block or a model."""
        return TYPES.get(self.name, torch.float32)

    @property
    def products(self) -> torch.dtype:
        """The type of query, key and value."""
        return TYPES[self.autocast] if self.autocast != "fp32" else self.weights


@dataclass(frozen=True)
class BenchSettings:
    """What is measured, on which device.

    Attributes:
        name, config: the model.
        attention, batch_sizes, levels, precisions: all combinations; see `Arithmetic`.
        repeats: timed calls of each.
        backward: adds the gradient of every input and weight.
        tf32: lets GPUs multiply in TF32 in every precision.
        steps: sampling steps of the level "image".
        limit_seconds: work after which no further batch is begun, nor one that would pass it by its forecast.

    Raises ArgumentError for what cannot be measured.
    """

    name: str
    config: DiTConfig
    attention: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    levels: tuple[Level, ...]
    device: torch.device
    precisions: tuple[str, ...] = ("fp32",)
    repeats: int = 3
    backward: bool = False
    tf32: bool = False
    steps: int = 50
    limit_seconds: float | None = None

    def __post_init__(self) -> None:
        if unknown := next((level for level in self.levels if level not in LEVELS), None):
            raise ArgumentError(f"`level={unknown}`: expected some of {', '.join(LEVELS)}")
        if wrong := next((name for name in self.precisions if name not in PRECISIONS), None):
            raise ArgumentError(f"`precision={wrong}`: expected some of {', '.join(PRECISIONS)}")
        if min(self.batch_sizes) < 1 or self.repeats < 1:
            raise ArgumentError("bench: expected batch sizes and repeats of 1 or more")
        if not 2 <= self.steps <= 1000:
            raise ArgumentError(f"steps: expected 2 to 1000, got {self.steps}")
        if self.backward and "image" in self.levels:
            raise ArgumentError("`level=image`: sampling has no backward; leave one of them out")
        for kind in self.attention:
            replace(self.config.attention_settings, pattern=kind).check(self.config.depth, self.config.grid)
