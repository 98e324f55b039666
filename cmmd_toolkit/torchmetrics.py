"""`FrechetDistance` and `CMMD` as torchmetrics classes: `update(images, real=)`, `compute`, `reset`, processes.

    from cmmd_toolkit.torchmetrics import FrechetDistance   # was: torchmetrics.image.fid.FrechetInceptionDistance

Three things differ from the classes of torchmetrics. The covariance is summed around the mean, so nothing cancels
where the mean is large beside the spread. The network is no submodule: `.train()`, `.half()`, optimisers and
checkpoints do not see it, `.to(device)` does. Features are float32 under autocast too. The numbers are those of
`compare` on the same pixels.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

try:
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError(
        f"cmmd_toolkit.torchmetrics needs torchmetrics ({error}); pip install 'cmmd-toolkit[torchmetrics]'"
    ) from error

from .backbones.base import Backbone, full_float32
from .backbones.registry import load_backbone, spec_of
from .embedding import default_workers
from .errors import ArgumentError
from .features import GaussianStatistics
from .metrics.estimate import Estimate
from .metrics.frechet import frechet_distance
from .metrics.mmd import Bandwidth, check_bandwidth, squared_mmd
from .preprocess import Pixels
from .recipes import Recipe, find_recipe
from .scoring import unit_rows

__all__ = ["CMMD", "FrechetDistance"]

_BATCH = 32  # as in `compare`: the rounding of a network depends on how many pictures it is fed at a time
_NO_FLOAT64 = ("mps",)
_shared: "WeakValueDictionary[tuple[Any, ...], Backbone]" = WeakValueDictionary()  # one copy for all metrics


# ---- networks -------------------------------------------------------------------------------------


@dataclass
class _Registered:
    """A backbone of the registry; it is loaded again on another device and after unpickling."""

    name: str
    weights: str | Path | None
    model: str | None
    dims: int | None
    preprocessing: str | None
    normalize: bool
    truncate: bool
    device: str
    loaded: Backbone | None = field(default=None, repr=False)

    @property
    def backbone(self) -> Backbone:
        if self.loaded is None or self.loaded.device != self.device:
            key = (self.name, self.weights, self.model, self.dims, self.preprocessing, self.device)
            self.loaded = _shared.get(key) or load_backbone(
                self.name,
                weights=self.weights,
                model=self.model,
                dims=self.dims,
                device=self.device,
                preprocessing=self.preprocessing,
            )
            _shared[key] = self.loaded
        return self.loaded

    @property
    def dim(self) -> int:
        return self.backbone.dim

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.backbone.remarks

    def to(self, device: torch.device) -> None:
        self.device = str(device)

    def embed(self, images: Any) -> Tensor:
        pixels = _as_pixels(images, self.normalize, self.truncate)
        backbone = self.backbone
        parts = []
        with ThreadPoolExecutor(min(default_workers(), len(pixels))) as pool:
            for start in range(0, len(pixels), _BATCH):
                inputs = list(pool.map(backbone.preprocess, pixels[start : start + _BATCH]))
                parts.append(torch.from_numpy(backbone.embed(inputs)))
        return torch.cat(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "loaded": None}


class _Module:
    """A frozen copy of the user's network, fed the images as they come."""

    remarks: tuple[str, ...] = ()

    def __init__(self, module: nn.Module, probe_size: Sequence[int], probe_float: bool, device: torch.device) -> None:
        self.module = deepcopy(module).eval().requires_grad_(False).to(device)
        self.device = device
        width = getattr(module, "num_features", None)
        if width is None:
            probe = torch.zeros((1, *probe_size), dtype=torch.float32 if probe_float else torch.uint8)
            width = self._rows(probe).shape[1]
        self.dim = int(width)

    def to(self, device: torch.device) -> None:
        self.device = device
        self.module.to(device)

    def embed(self, images: Any) -> Tensor:
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            raise ArgumentError(f"images: expected a tensor with one or more images, got {_described(images)}")
        rows = self._rows(images)
        if rows.shape != (len(images), self.dim):
            raise ArgumentError(
                f"feature: expected {(len(images), self.dim)} features of {len(images)} images, "
                f"got {tuple(rows.shape)}; return one row an image, and set num_features to its width"
            )
        return rows

    def _rows(self, images: Tensor) -> Tensor:
        rows = self.module(images.to(self.device))
        if not isinstance(rows, Tensor) or rows.ndim not in (1, 2):
            raise ArgumentError(f"feature: expected a module that returns (N, D), got {_described(rows)}")
        return rows[None] if rows.ndim == 1 else rows


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__


def _as_pixels(images: Any, normalize: bool, truncate: bool) -> Pixels:
    """uint8 (N, H, W, 3) from a tensor (N, 3, H, W), or an ArgumentError that says what was given."""
    wanted = "a float tensor (N, 3, H, W) in 0..1" if normalize else "a uint8 tensor (N, 3, H, W)"
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ArgumentError(
            f"images: expected {wanted}, got {_described(images)}; grey ones become RGB by images.expand(-1, 3, -1, -1)"
        )
    if images.is_floating_point() != normalize or not (normalize or images.dtype == torch.uint8):
        other = "for uint8 give normalize=False" if normalize else "for floats in 0..1 give normalize=True"
        raise ArgumentError(f"images: expected {wanted}, got {_described(images)}; {other}")
    if normalize:
        images = _quantised(images.detach().float(), truncate)
    pixels: Pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def _quantised(images: Tensor, truncate: bool) -> Tensor:
    """0..1 to the nearest of 0..255; torchmetrics' own rule is to round down."""
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise ArgumentError(
            f"images: expected values in 0..1 (normalize=True), got {low:.4g} to {high:.4g}; "
            "clamp them, or rescale -1..1 by (images + 1) / 2"
        )
    scaled = images * 255
    return (scaled if truncate else scaled.round()).to(torch.uint8)


# ---- what both metrics share ----------------------------------------------------------------------


class _SetDistance(Metric):
    """Features of real and of fake images, and a distance between the two sides."""

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    _states: tuple[str, str]
    _last: Estimate | None = None

    def __init__(self, network: Callable[[torch.device], "_Registered | _Module"], keep_real: bool, **kwargs: Any):
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
            if not torch.isfinite(rows).all():
                raise ArgumentError("features: NaN or infinity among them; check the images and the network")
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
        dtype = torch.float32 if self.device.type in _NO_FLOAT64 else torch.float64
        return torch.tensor(self._last.value, dtype=dtype, device=self.device)

    def _check_counts(self) -> None:
        real, fake = (self._count(name) for name in self._states)
        if min(real, fake) < 2:
            raise ArgumentError(
                f"expected at least two images a side, got {real} real and {fake} fake; "
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
        super().merge_state(incoming_state)
        self._computed = None
        self._update_count += 1

    def set_dtype(self, dst_type: str | torch.dtype) -> "_SetDistance":
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


def _network_of(
    feature: Any,
    plan: Recipe,
    metric: str,
    default: str,
    options: dict[str, Any],
    normalize: bool,
    input_img_size: Sequence[int],
) -> Callable[[torch.device], _Registered | _Module]:
    """The network that the constructor's arguments name, to be put on a device; they are checked here."""
    if metric not in plan.metrics:
        raise ArgumentError(f"recipe {plan.name} does not define {metric}; it computes {', '.join(plan.metrics)}")
    if isinstance(feature, nn.Module):
        given = [name for name, value in options.items() if value is not None]
        if given or plan.backbone is not None:
            given = given or ["recipe"]
            raise ArgumentError(f"feature: expected a module alone, got {given[0]} too; leave one of them out")
        module = feature
        return lambda device: _Module(module, input_img_size, normalize, device)
    name = options["backbone"] or plan.backbone or default
    family = spec_of(name).name
    if plan.backbone not in (None, family):
        raise ArgumentError(f"recipe {plan.name} is defined on {plan.backbone}, not on {name}; leave out backbone")
    if None not in (options["preprocessing"], plan.preprocessing):
        raise ArgumentError(f"recipe {plan.name} fixes the preprocessing; leave out recipe or preprocessing")
    return lambda device: _Registered(
        name,
        options["weights"],
        options["model"] or plan.model,
        _dims(feature, options["dims"]),
        options["preprocessing"] or plan.preprocessing,
        normalize,
        plan.name == "torchmetrics",
        str(device),
    )


def _dims(feature: Any, dims: int | None) -> int | None:
    """`feature` as a number is Inception's `dims`."""
    if feature is None:
        return dims
    if isinstance(feature, bool) or not isinstance(feature, int):
        raise ArgumentError(f"feature: expected 64, 192, 768, 2048 or an nn.Module, got {feature!r}")
    if dims not in (None, feature):
        raise ArgumentError(f"feature and dims: expected one of them, got {feature} and {dims}; leave out dims")
    return feature


# ---- the metrics ----------------------------------------------------------------------------------


class FrechetDistance(_SetDistance):
    """Frechet distance between Gaussians fitted to the features of real and fake images (FID, on Inception).

        FD = |m_r - m_f|^2 + tr S_r + tr S_f - 2 tr (S_r S_f)^(1/2)

    Takes the place of `torchmetrics.image.fid.FrechetInceptionDistance`. Memory does not grow with the number of
    images: (D + 1)^2 float64 a side, 34 MB at D = 2048, and as much for the value that `reset` goes back to. A
    synchronisation gathers that from every process.

    Args:
        feature: 64, 192, 768 or 2048 for Inception's dimensions (default 2048), or an `nn.Module` that turns a batch
            of images into features (N, D). A frozen copy of the module is kept.
        reset_real_features: whether `reset` drops the real side too.
        normalize: True for float images in [0, 1], which are rounded to 8 bits; False for uint8.
        input_img_size: (3, H, W) of the picture that a module without `num_features` is probed with.
        backbone: "inception" (default), "clip", "siglip", "mini", ...; weights, model, dims, preprocessing:
            as in `load_backbone`.
        recipe: "pytorch-fid", "clean-fid", "torch-fidelity" or "torchmetrics" (which also rounds floats down, as
            the original does); None for pytorch-fid's resize.
        kwargs: `sync_on_compute`, `process_group`, ... of `torchmetrics.Metric`.

    Raises:
        ArgumentError, BackboneError, WeightsError: as `load_backbone`; arguments that do not go together.

    Source: Heusel et al. 2017 (arXiv:1706.08500), eq. 6; sums merged as in Chan, Golub and LeVeque 1979
    (STAN-CS-79-773).
    """

    plot_lower_bound = 0.0
    _states = ("real_moments", "fake_moments")
    real_moments: Tensor
    fake_moments: Tensor

    def __init__(
        self,
        feature: int | nn.Module | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        input_img_size: Sequence[int] = (3, 299, 299),
        *,
        backbone: str | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        **kwargs: Any,
    ) -> None:
        plan = find_recipe(recipe)
        options = {
            "backbone": backbone,
            "weights": weights,
            "model": model,
            "dims": dims,
            "preprocessing": preprocessing,
        }
        network = _network_of(feature, plan, "fd", "inception", options, normalize, input_img_size)
        super().__init__(network, not reset_real_features, **kwargs)
        size = self._network.dim + 1
        home = "cpu" if self.device.type in _NO_FLOAT64 else self.device
        for name in self._states:
            self.add_state(name, torch.zeros((size, size), dtype=torch.float64, device=home), _merged)

    def _stay_behind(self, device_type: str) -> Sequence[str]:
        return self._states if device_type in _NO_FLOAT64 else ()

    def _add(self, name: str, rows: Tensor) -> None:
        state: Tensor = getattr(self, name)
        setattr(self, name, _extended(state, rows.to(state.device, torch.float64)))

    def _count(self, name: str) -> int:
        return int(getattr(self, name)[0, 0])

    def _distance(self) -> Estimate:
        real, fake = (_statistics(getattr(self, name)) for name in self._states)
        return frechet_distance(reference=real, generated=fake)


class CMMD(_SetDistance):
    """Squared maximum mean discrepancy between the features of real and fake images, Gaussian kernel.

    By default the unbiased estimate on features of unit length, with the median distance between real images as
    bandwidth: 0 on average for equal distributions, so it may be negative. `recipe="google-cmmd"` gives the released
    number: CLIP ViT-L/14 at 336 pixels, biased, bandwidth 10, times 1000.

    The features of all images are kept: N x D x 4 bytes a side, 102 MB for 50,000 at D = 512, on the metric's device
    (`compute_on_cpu=True` keeps them in main memory). `compute` runs on the CPU; its time grows with N^2.

    Args:
        feature: an `nn.Module` that turns a batch of images into features (N, D), in place of a backbone. A frozen
            copy of it is kept.
        reset_real_features, normalize, input_img_size, kwargs: as in `FrechetDistance`.
        backbone: "clip" (default), "siglip", "mini", ...; weights, model, dims, preprocessing: as in `load_backbone`.
        recipe: None or "google-cmmd".
        bandwidth: a number > 0, "median" (of the real side) or "median-pooled"; None for the recipe's.

    Raises:
        ArgumentError, BackboneError, WeightsError: as `load_backbone`; arguments that do not go together.

    Source: Gretton et al. 2012 (JMLR 13), Lemma 6; Jayasumana et al. 2024 (arXiv:2401.09603), eq. 4.
    """

    _states = ("real_features", "fake_features")
    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(
        self,
        feature: nn.Module | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        input_img_size: Sequence[int] = (3, 299, 299),
        *,
        backbone: str | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        bandwidth: Bandwidth | None = None,
        **kwargs: Any,
    ) -> None:
        plan = find_recipe(recipe)
        options = {
            "backbone": backbone,
            "weights": weights,
            "model": model,
            "dims": dims,
            "preprocessing": preprocessing,
        }
        network = _network_of(feature, plan, "mmd", "clip", options, normalize, input_img_size)
        chosen = plan.bandwidth if bandwidth is None else check_bandwidth(bandwidth)
        super().__init__(network, not reset_real_features, **kwargs)
        self._plan, self._bandwidth = plan, chosen
        for name in self._states:
            self.add_state(name, [], "cat")

    def _add(self, name: str, rows: Tensor) -> None:
        getattr(self, name).append(rows.to(self.device, torch.float32))

    def _count(self, name: str) -> int:
        return sum(map(len, self._parts(name)))

    def _parts(self, name: str) -> Sequence[Tensor]:
        state: list[Tensor] | Tensor = getattr(self, name)
        return [state] if isinstance(state, Tensor) else state  # a synchronisation joins the parts

    def _distance(self) -> Estimate:
        plan = self._plan
        real, fake = (torch.cat(list(self._parts(name))).cpu().numpy() for name in self._states)
        if plan.normalize:
            real, fake = unit_rows(real), unit_rows(fake)
        found = squared_mmd(reference=real, generated=fake, bandwidth=self._bandwidth, estimator=plan.estimator)
        return _scaled(found, plan)

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        for name in self._states:  # a process without images must still send a matrix
            if not getattr(self, name):
                setattr(self, name, [torch.empty((0, self._network.dim), device=self.device)])
        super()._sync_dist(*args, **kwargs)


def _scaled(estimate: Estimate, plan: Recipe) -> Estimate:
    scale, error, interval = plan.scale, estimate.standard_error, estimate.interval
    return replace(
        estimate,
        value=estimate.value * scale,
        standard_error=None if error is None else error * scale,
        interval=None if interval is None else (interval[0] * scale, interval[1] * scale),
        parameters={**estimate.parameters, "scale": scale, "normalized": plan.normalize},
    )


def _extended(moments: Tensor, rows: Tensor) -> Tensor:
    """The moments [[n, mean], [mean, M]], (D + 1, D + 1), with the rows (N, D) added; M = sum (x - mean)(x - mean)^T.

    A new tensor: one that was made in inference mode may not be changed outside it.
    """
    total, mean = moments.clone(), rows.mean(dim=0)
    _add_group(total, moments.new_tensor(len(rows)), mean, rows - mean)
    return total


def _merged(parts: Tensor) -> Tensor:
    """The moments of the union of sets, (K, D + 1, D + 1) to (D + 1, D + 1); all zeros are an empty set."""
    total = parts[0].clone()
    for part in parts[1:]:
        total[1:, 1:] += part[1:, 1:]
        _add_group(total, part[0, 0], part[0, 1:], part[:0, 1:])
    return total


def _add_group(total: Tensor, count: Tensor, mean: Tensor, centred: Tensor) -> None:
    """n = n_a + n_b, m = m_a + d n_b / n, M = M_a + centred^T centred + d d^T n_a n_b / n, in place; d = m_b - m_a.

    The last term is one more row of the product: a single pass over M.
    """
    share = count / (total[0, 0] + count).clamp(min=1)
    difference = mean - total[0, 1:]
    rows = torch.cat([centred, (difference * (total[0, 0] * share).sqrt())[None]])
    total[1:, 1:].addmm_(rows.T, rows)
    total[0, 1:] += difference * share
    total[1:, 0] = total[0, 1:]
    total[0, 0] += count


def _statistics(moments: Tensor) -> GaussianStatistics:
    count, mean, second = moments[0, 0], moments[0, 1:], moments[1:, 1:]
    return GaussianStatistics(mean.cpu().numpy(), (second / (count - 1)).cpu().numpy(), int(count))
