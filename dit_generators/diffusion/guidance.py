"""Guidance: one formula, weak + w (strong - weak), and what takes the part of the weak model."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..attention.settings import AttentionSettings
from ..common.types import check_types
from ..errors import ArgumentError
from ..network.model import DiT
from ..network.process import Flow
from .samplers import Predict, PredictByStep
from .schedule import NUM_TRAIN_TIMESTEPS

Channels = Literal["all", "3"]
_OTHERS = "take `guidance.by='window'`, or scale 1, which is no guidance"


@dataclass(frozen=True)
class Guidance:
    """How a model is guided.

    Attributes:
        scale: w. 0 is the weak model alone, 1 the model without guidance, above 1 guided.
        by: "label", the weak model is the same network with the null label (Ho & Salimans, arXiv 2207.12598, eq. 6 with
            w = 1 + their w);
            "window", the weak model is the same network with a small attention window, labels kept.
        channels: "all" channels of the noise, or "3": the first three only, as official samples were made.
        interval: guide only at timesteps in [low, high], without guidance elsewhere (arXiv 2404.07724); None is always.
        window: of the weak model, odd.
    """

    scale: float = 1.0
    by: Literal["label", "window"] = "label"
    channels: Channels = "all"
    interval: tuple[int, int] | None = None
    window: int = 3

    def check(self, model: DiT) -> None:
        """Raise ArgumentError where this guidance says nothing to the model."""
        check_types(self)
        if not torch.isfinite(torch.tensor(self.scale)):
            raise ArgumentError(f"guidance.scale: expected a finite number, got {self.scale}")
        if self.interval is not None and not 0 <= self.interval[0] <= self.interval[1]:
            raise ArgumentError(f"guidance.interval: expected LOW,HIGH with 0 <= LOW <= HIGH, got {self._interval}")
        most = NUM_TRAIN_TIMESTEPS if isinstance(model.process, Flow) else NUM_TRAIN_TIMESTEPS - 1  # all noise
        if self.interval is not None and self.interval[0] > most:
            raise ArgumentError(f"guidance.interval: expected timesteps of 0 to {most}, got {self._interval}")
        if self.scale == 1:
            return
        if self.by == "window":
            self._check_window(model)
        elif not model.config.num_classes:
            raise ArgumentError(
                f"`guidance.scale={self.scale:g}`: this model is unconditional, it has no labels to guide by; {_OTHERS}"
            )
        elif not model.config.has_null_label:
            raise ArgumentError(f"`guidance.scale={self.scale:g}`: this model has no null label to guide by; {_OTHERS}")

    def _check_window(self, model: DiT) -> None:
        weak, depth = self.weak_settings(model), model.config.depth
        try:
            weak.check(depth, model.config.grid)
        except ArgumentError as error:
            raise ArgumentError(f"guidance.window: {error}") from error
        if weak.meaning(depth) == model.attention_settings.meaning(depth):
            raise ArgumentError(
                f"guidance.window: the model itself has window {self.window}, so guidance would have no effect; "
                "use a smaller one"
            )

    @property
    def _interval(self) -> str:
        return ",".join(map(str, self.interval or ()))

    def weak_settings(self, model: DiT) -> AttentionSettings:
        """The attention of the weak model of "window"."""
        return AttentionSettings("swa", self.window, model.config.window_border, 1)


def guided(model: DiT, class_labels: Tensor | None, guidance: Guidance) -> Predict:
    """The model as a function of x_t and timesteps (B,), all equal, with labels (B,) and guidance built in.

    The raw variance is the strong model's, except at scale 0 on all channels: there all is the weak model's.
    """
    guidance.check(model)
    by_window = guidance.by == "window" and guidance.scale != 1
    weak_attention = model.attention_functions(guidance.weak_settings(model)) if by_window else None
    null = None if class_labels is None else torch.full_like(class_labels, model.config.null_label)

    def weak(x: Tensor, timesteps: Tensor) -> Tensor:
        if guidance.by == "window":
            return model(x, timesteps, class_labels, attention=weak_attention)
        return model(x, timesteps, null)

    def plain(x: Tensor, timesteps: Tensor) -> Tensor:
        return model(x, timesteps, class_labels)

    def with_guidance(x: Tensor, timesteps: Tensor) -> Tensor:
        if guidance.scale == 0 and guidance.channels == "all":
            return weak(x, timesteps)
        if guidance.by == "window" or class_labels is None or null is None:
            strong, other = plain(x, timesteps), weak(x, timesteps)
        else:
            strong, other = model(x.repeat(2, 1, 1, 1), timesteps.repeat(2), torch.cat([class_labels, null])).chunk(2)
        return combine(strong, other, guidance.scale, guidance.channels, x.shape[1])

    if guidance.scale == 1:
        return plain
    if guidance.interval is None:
        return with_guidance
    low, high = guidance.interval
    return PredictByStep(lambda timestep: with_guidance if low <= timestep <= high else plain)


def combine(strong: Tensor, weak: Tensor, scale: float, channels: Channels, in_channels: int) -> Tensor:
    """weak + scale (strong - weak) on the guided channels of the noise; all else is strong's."""
    count = min(3, in_channels) if channels == "3" else in_channels
    noise = weak[:, :count] + scale * (strong[:, :count] - weak[:, :count])
    return torch.cat([noise, strong[:, count:]], dim=1)
