"""`CMMD`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..estimation.estimate import Estimate
from ..metrics.mmd import Bandwidth, check_bandwidth, squared_mmd
from ..sets.recipes import find_recipe
from .base import SetDistance
from .network import network_of


class CMMD(SetDistance):
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
        found = find_recipe(recipe)
        options = {
            "backbone": backbone,
            "weights": weights,
            "model": model,
            "dims": dims,
            "preprocessing": preprocessing,
        }
        network = network_of(feature, found, "mmd", "clip", options, normalize, input_img_size)
        chosen = found.bandwidth if bandwidth is None else check_bandwidth(bandwidth)
        super().__init__(network, not reset_real_features, **kwargs)
        self._recipe, self._bandwidth = found, chosen
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
        recipe = self._recipe
        parts = (torch.cat(list(self._parts(name))).cpu().numpy() for name in self._states)
        real, fake = (recipe.mmd_rows(rows) for rows in parts)
        found = squared_mmd(reference=real, generated=fake, bandwidth=self._bandwidth, estimator=recipe.estimator)
        return found.times(recipe.scale, scale=recipe.scale, normalized=recipe.normalize)

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        for name in self._states:  # a process without images must still send a matrix
            if not getattr(self, name):
                setattr(self, name, [torch.empty((0, self._network.dim), device=self.device)])
        super()._sync_dist(*args, **kwargs)
