"""`FrechetDistance`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..estimation.estimate import Estimate
from ..metrics.frechet import frechet_distance
from ..sets.recipes import find_recipe
from ..sets.run import OneBackbone
from . import base
from .choose import NetworkOptions, network_of
from .moments import extended, merged, statistics
from .sides import SetDistance


class FrechetDistance(SetDistance):
    """Frechet distance between Gaussians fitted to the features of real and fake images (FID, on Inception).

        FD = |m_r - m_f|^2 + tr S_r + tr S_f - 2 tr (S_r S_f)^(1/2)

    Replaces `torchmetrics.image.fid.FrechetInceptionDistance`. Memory does not grow with the number of
    images: (D + 1)^2 float64 per side, 34 MB at D = 2048, and as much for the value that `reset` restores. A
    synchronisation gathers that from every process.

    Args:
        feature: 64, 192, 768 or 2048 for Inception's dimensions (default 2048), or an `nn.Module` that turns a batch
            of images into features (N, D). A frozen copy of the module is kept.
        reset_real_features: whether `reset` drops the real side too.
        normalize: True for float images in [0, 1], which are rounded to 8 bits; False for uint8.
        input_img_size: (3, H, W) of the picture that a module without `num_features` is probed with.
        feature_extractor_weights_path: the same as `weights`, as torchmetrics calls it.
        antialias: Inception's resize, True for that of recipe torchmetrics, False for that of torch-fidelity; None
            leaves it to `preprocessing` and `recipe`.
        backbone: "inception" (default), "clip", "siglip", "mini", ..., or your own as in `compare`; weights, model,
            dims, preprocessing: as in `load_backbone`.
        recipe: "pytorch-fid", "clean-fid", "torch-fidelity" or "torchmetrics" (which also rounds floats down, as
            the original does); None for pytorch-fid's resize.
        kwargs: `sync_on_compute`, `process_group`, ... of `torchmetrics.Metric`.

    Raises:
        WrongTypeError: a `feature` that is neither a number nor a module; also a TypeError.
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
        feature_extractor_weights_path: str | Path | None = None,
        antialias: bool | None = None,
        *,
        backbone: OneBackbone | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        **kwargs: Any,
    ) -> None:
        weights = weights if feature_extractor_weights_path is None else feature_extractor_weights_path
        options = NetworkOptions(backbone, weights, model, dims, preprocessing, antialias)
        network = network_of(feature, find_recipe(recipe), "fd", "inception", options, normalize, input_img_size)
        super().__init__(network, reset_real_features, **kwargs)
        size = self.network.dim + 1
        home = "cpu" if self.device.type in base.NO_FLOAT64 else self.device
        for name in self._states:
            self.add_state(name, torch.zeros((size, size), dtype=torch.float64, device=home), merged)

    def _stay_behind(self, device_type: str) -> Sequence[str]:
        return self._states if device_type in base.NO_FLOAT64 else ()

    def _add(self, name: str, rows: Tensor) -> None:
        state: Tensor = getattr(self, name)
        setattr(self, name, extended(state, rows.to(state.device, torch.float64)))

    def _count(self, name: str) -> int:
        return int(getattr(self, name)[0, 0])

    def _joined(self, before: Any, batch: Any) -> Any:
        return merged(torch.stack([before, batch]))

    def _find(self) -> Estimate:
        real, fake = (statistics(getattr(self, name)) for name in self._states)
        return frechet_distance(reference=real, generated=fake)
