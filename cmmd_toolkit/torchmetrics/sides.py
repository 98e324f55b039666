"""Metrics with a real and a fake side, and those of them that keep every row."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ArgumentError
from .base import NAN, ImageMetric, check_bool
from .network import Network
from .refusals import TooFewImagesError


class SetDistance(ImageMetric):
    """Features of real and of fake images, and a number about the two sides."""

    higher_is_better = False

    _states: tuple[str, str]
    _least = 2

    def __init__(self, network: Callable[[torch.device], Network], reset_real_features: bool, **kwargs: Any):
        super().__init__(network, **kwargs)
        self._keep_real = not check_bool(reset_real_features, "reset_real_features")

    @property
    def reset_real_features(self) -> bool:
        """Whether `reset` drops the real side too."""
        return not self._keep_real

    def update(self, images: Tensor, real: bool) -> None:
        """Add images to the real or to the fake side.

        Args:
            images: uint8 (N, 3, H, W), RGB; with `normalize=True` floats in [0, 1]; N >= 1, any size, any device.
                With a module as `feature`: whatever that module takes, one image a row.
            real: True for the real (reference) side, False for the fake (generated) one.

        Raises:
            ArgumentError: another type, shape or range, or features with NaN or infinity.
        """
        if not isinstance(real, bool):
            raise ArgumentError(f"real: expected True or False for the whole batch, got {real!r}")
        self._add(self._state_of(real), self._rows(images))

    def forward(self, images: Tensor, real: bool) -> Any:
        """Add images as `update` does; returns the value of this batch alone against all images of the other side.

        NaN where there is none, as for the first real batch. Costs a `compute`. With `dist_sync_on_step=True` the
        batch and the other side are those of all processes.
        """
        if self._is_synced:
            raise ArgumentError("forward: the metric holds the images of all processes; call unsync() first")
        name = self._state_of(real)
        before = getattr(self, name)
        setattr(self, name, [] if isinstance(before, list) else torch.zeros_like(before))
        try:
            self.update(images, real)
            self._forward_cache = self._value_of_batch()
        finally:
            setattr(self, name, self._joined(before, getattr(self, name)))
            self._computed = None
        return self._forward_cache

    def _value_of_batch(self) -> Any:
        self._to_sync = self.dist_sync_on_step
        try:
            return self.compute()
        except ArgumentError:
            return self._undefined()
        finally:
            self._to_sync = self.sync_on_compute

    def _undefined(self) -> Any:
        """What `forward` returns where a batch has no value."""
        return self._scalar(NAN)

    def reset(self) -> None:
        """Drop the images; the real ones stay when `reset_real_features` is False."""
        if self._is_synced:
            self.unsync()
        real = getattr(self, self._states[0])
        kept = list(real) if isinstance(real, list) else real  # a list is emptied in place
        super().reset()
        if self._keep_real:
            setattr(self, self._states[0], kept)

    def _state_of(self, real: bool) -> str:
        return self._states[0] if real else self._states[1]

    def _check_counts(self) -> None:
        real, fake = (self._count(name) for name in self._states)
        if min(real, fake) < self._least:
            least = "two" if self._least == 2 else self._least
            raise TooFewImagesError(
                f"expected at least {least} images per side, got {real} real and {fake} fake; "
                "call update(images, real=True) and update(images, real=False) first"
            )

    def _add(self, name: str, rows: Tensor) -> None:
        raise NotImplementedError

    def _count(self, name: str) -> int:
        raise NotImplementedError

    def _joined(self, before: Any, batch: Any) -> Any:
        """The state of both."""
        raise NotImplementedError


class KeptRows(SetDistance):
    """Keeps the features of all images: N x D x 4 bytes a side."""

    _states = ("real_features", "fake_features")
    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(self, network: Callable[[torch.device], Network], reset_real_features: bool, **kwargs: Any):
        super().__init__(network, reset_real_features, **kwargs)
        for name in self._states:
            self.add_state(name, [], "cat")

    def _add(self, name: str, rows: Tensor) -> None:
        getattr(self, name).append(rows.to(self.device, torch.float32))

    def _count(self, name: str) -> int:
        return sum(map(len, parts_of(self, name)))

    def _joined(self, before: Any, batch: Any) -> Any:
        return [*before, *batch]

    def _sides(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The real and the fake rows, (N, D) and (M, D)."""
        real, fake = (torch.cat(list(parts_of(self, name))).cpu().numpy() for name in self._states)
        return real, fake

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        fill_empty(self, self._states, lambda: self.network.dim)
        super()._sync_dist(*args, **kwargs)


def parts_of(metric: ImageMetric, name: str) -> Sequence[Tensor]:
    """The matrices of a state: a synchronisation joins them."""
    state: list[Tensor] | Tensor = getattr(metric, name)
    return [state] if isinstance(state, Tensor) else state


def fill_empty(metric: ImageMetric, names: Sequence[str], width: Callable[[], int]) -> None:
    """A process without images must still send a matrix."""
    for name in names:
        if not len(getattr(metric, name)):
            setattr(metric, name, [torch.empty((0, width()), device=metric.device)])
