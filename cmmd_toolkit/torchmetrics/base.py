"""What all metrics share: features of images, checks, devices, the type of the result, merging."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.wrappers.feature_share import NetworkCache

from ..common.devices import NO_FLOAT64 as NO_FLOAT64, full_float32
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.kernel_device import kernels_beside
from ..features.matrices import LARGEST
from .network import Network
from .refusals import WrongTypeError

NAN = float("nan")


class ImageMetric(Metric):
    """A metric on the features of images.

    `inception` is the network, whatever it is, under the name by which `FeatureShare` finds and replaces it.
    """

    is_differentiable = False
    full_state_update = False
    feature_network = "inception"
    plot_lower_bound: float | None = None

    inception: Any
    _last: Any = None

    def __init__(self, network: Callable[[torch.device], Network], **kwargs: Any):
        super().__init__(**kwargs)
        self.inception = network(self.device)

    @property
    def network(self) -> Network:
        """The network itself, also where `FeatureShare` has put its cache in front of it."""
        found: Any = self.inception.network if isinstance(self.inception, NetworkCache) else self.inception
        assert isinstance(found, Network)
        return found

    def _rows(self, images: Tensor) -> Tensor:
        """Features of a batch, finite."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), full_float32():
            rows: Tensor = self.inception(images)
        _check_finite(rows, self.network.title)
        if len(rows) and float(rows.abs().max()) > LARGEST:
            raise ArgumentError(f"features: expected magnitudes up to {LARGEST:g}; check the network")
        return rows

    def compute(self) -> Any:
        """The value over all images of all processes, in the metric's `dtype`: a scalar, or a tuple of scalars.

        `estimate` has it in float64, with error, interval and caveats.

        Raises:
            TooFewImagesError: too few images; also a RuntimeError.
            ArgumentError: what the function of this name in `cmmd_toolkit` raises.
        """
        try:
            self._check_counts()
            with kernels_beside(torch.empty(0, device=self.device)):
                self._last = self._find()
            return self._shown(self._last)
        except ArgumentError:
            if self._is_synced:  # else every process would go on with the images of all
                self.unsync()
            raise

    def _shown(self, found: Any) -> Any:
        """The result of `compute`."""
        return self._scalar(float(found))

    def _scalar(self, value: float) -> Tensor:
        wanted = self.dtype if self.dtype.is_floating_point else torch.get_default_dtype()
        no_double = self.device.type in NO_FLOAT64 and wanted == torch.float64
        dtype = torch.float32 if no_double else wanted
        result = torch.tensor(value, dtype=dtype)
        if result.isinf():
            kind = str(dtype).removeprefix("torch.")
            raise ArgumentError(
                f"the value {value:.4g} is no {kind}; use set_dtype(torch.float64) or rescale the features"
            )
        return result.to(self.device)

    def estimate(self) -> Any:
        """`compute` as an `Estimate`, with sizes, parameters and caveats. In a parallel run every process calls it."""
        self.compute()
        assert self._last is not None
        if isinstance(self._last, Estimate):
            return self._remarked(self._last)
        return type(self._last)(*map(self._remarked, self._last))

    def _remarked(self, found: Estimate) -> Estimate:
        return replace(found, caveats=(*found.caveats, *self.network.remarks))

    def reset(self) -> None:
        """Drop the images."""
        if self._is_synced:
            self.unsync()
        super().reset()

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the images of another metric of this kind."""
        try:
            super().merge_state(incoming_state)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).split("\n")[0]
            raise ArgumentError(f"merge_state: expected the images of a metric of this kind ({reason})") from error
        self._computed = None
        self._update_count += 1

    def set_dtype(self, dst_type: str | torch.dtype) -> "ImageMetric":
        """The type of what `compute` returns; statistics stay float64 and features float32.

        A type without fractions leaves the result in the default type, as in torchmetrics, and here leaves its value.
        """
        self._dtype = torch.empty(0).type(dst_type).dtype
        self._computed = None
        return self

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw `val` (one or several results of `compute`), by default the present one."""
        return self._plot(_plottable(self.compute() if val is None else val), ax)

    def _apply(self, fn: Callable[..., Any], exclude_state: Sequence[str] = "") -> nn.Module:
        own, kinds = self._dtype, (torch.float16, torch.float32)
        moved = [fn(torch.zeros(1, dtype=kind, device=self.device)) for kind in kinds]
        target, casts = moved[0].device, tuple(probe.dtype for probe in moved) != kinds
        move = (lambda tensor: tensor.to(target)) if casts else fn  # no state is ever cast
        result: nn.Module = super()._apply(move, self._stay_behind(target.type) or exclude_state)
        self._dtype = own
        self.network.to(self.device)
        return result

    def _stay_behind(self, device_type: str) -> Sequence[str]:
        """The states that a kind of device cannot hold."""
        return ()

    def _check_counts(self) -> None:
        raise NotImplementedError

    def _find(self) -> Any:
        """An `Estimate`, or a named tuple of them."""
        raise NotImplementedError


def check_bool(value: Any, name: str) -> bool:
    """The value if it is True or False."""
    if not isinstance(value, bool):
        raise WrongTypeError(f"{name}: expected True or False, got {value!r}")
    return value


def _plottable(value: Any) -> Any:
    """Of mean and deviation the mean, of several named values a dictionary."""
    if isinstance(value, list):
        return [_plottable(own) for own in value]
    if hasattr(value, "_asdict"):
        return value._asdict()
    return value[0] if isinstance(value, tuple) else value


def _check_finite(rows: Tensor, title: str) -> None:
    odd = torch.nonzero(~torch.isfinite(rows).all(dim=1))
    if len(odd):
        raise ArgumentError(
            f"features: NaN or infinity from {title}, first for image {int(odd[0])} of this batch; "
            "check the images and the network"
        )
