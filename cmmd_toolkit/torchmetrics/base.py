"""What both metrics share: two sides of features, checks, devices, processes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from ..backbones.base import full_float32
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..features.matrices import LARGEST
from .network import ModuleFeatures, Registered

NO_FLOAT64 = ("mps",)


class SetDistance(Metric):
    """Features of real and of fake images, and a distance between the two sides."""

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    _states: tuple[str, str]
    _last: Estimate | None = None

    def __init__(
        self, network: Callable[[torch.device], "Registered | ModuleFeatures"], keep_real: bool, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self._network = network(self.device)
        self._keep_real = keep_real

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
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), full_float32():
            rows = self._network.embed(images)
            _check_finite(rows, self._network.title)
            if len(rows) and float(rows.abs().max()) > LARGEST:
                raise ArgumentError(f"features: expected magnitudes up to {LARGEST:g}; check the network")
            self._add(self._states[0] if real else self._states[1], rows)

    def compute(self) -> Tensor:
        """The distance over all images of all processes: a float64 scalar (float32 on MPS), lower is better.

        Raises:
            ArgumentError: fewer than two images on a side; what `frechet_distance` and `squared_mmd` raise.
        """
        try:
            self._check_counts()
            self._last = self._distance()
        except ArgumentError:
            if self._is_synced:  # else every process would go on with the images of all
                self.unsync()
            raise
        dtype = torch.float32 if self.device.type in NO_FLOAT64 else torch.float64
        return torch.tensor(self._last.value, dtype=dtype, device=self.device)

    def _check_counts(self) -> None:
        real, fake = (self._count(name) for name in self._states)
        if min(real, fake) < 2:
            raise ArgumentError(
                f"expected at least two images per side, got {real} real and {fake} fake; "
                "call update(images, real=True) and update(images, real=False) first"
            )

    def estimate(self) -> Estimate:
        """`compute`, with sample sizes, parameters and caveats. In a parallel run every process must call it."""
        self.compute()
        assert self._last is not None
        return replace(self._last, caveats=(*self._last.caveats, *self._network.remarks))

    def reset(self) -> None:
        """Drop the images; the real ones stay when `reset_real_features` is False."""
        if self._is_synced:
            self.unsync()
        real = getattr(self, self._states[0])
        kept = list(real) if isinstance(real, list) else real  # a list is emptied in place
        super().reset()
        if self._keep_real:
            setattr(self, self._states[0], kept)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a batch belongs to one side, so it has no distance of its own."""
        raise ArgumentError(
            "expected update(images, real=...) and compute(), got a call; one batch has no distance of its own"
        )

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the images of another metric of this kind."""
        try:
            super().merge_state(incoming_state)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).split("\n")[0]
            raise ArgumentError(f"merge_state: expected the images of a metric of this kind ({reason})") from error
        self._computed = None
        self._update_count += 1

    def set_dtype(self, dst_type: str | torch.dtype) -> "SetDistance":
        """Nothing changes: statistics are float64 and features float32, always."""
        return self

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw `val` (one or several results of `compute`), by default the present one."""
        return self._plot(val, ax)

    def _apply(self, fn: Callable[..., Any], exclude_state: Sequence[str] = "") -> nn.Module:
        target = fn(torch.zeros(1, device=self.device)).device.type
        result: nn.Module = super()._apply(fn, self._stay_behind(target) or exclude_state)
        self._network.to(self.device)
        return result

    def _stay_behind(self, device_type: str) -> Sequence[str]:
        """The states that a kind of device cannot hold."""
        return ()

    def _add(self, name: str, rows: Tensor) -> None:
        raise NotImplementedError

    def _count(self, name: str) -> int:
        raise NotImplementedError

    def _distance(self) -> Estimate:
        raise NotImplementedError


def _check_finite(rows: Tensor, title: str) -> None:
    odd = torch.nonzero(~torch.isfinite(rows).all(dim=1))
    if len(odd):
        raise ArgumentError(
            f"features: NaN or infinity from {title}, first for image {int(odd[0])} of this batch; "
            "check the images and the network"
        )
