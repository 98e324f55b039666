"""`CMMD`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ..estimation.estimate import Estimate
from ..metrics.mmd import Bandwidth, check_bandwidth, squared_mmd
from ..sets.recipes import find_recipe
from ..sets.run import OneBackbone
from .choose import NetworkOptions, network_of
from .sides import KeptRows


class CMMD(KeptRows):
    """Squared maximum mean discrepancy between the features of real and fake images, Gaussian kernel.

    By default the unbiased estimate on features of unit length, with the median distance between real images as
    bandwidth: 0 on average for equal distributions, so it may be negative. `recipe="google-cmmd"` gives the released
    number: CLIP ViT-L/14 at 336 pixels, biased, bandwidth 10, times 1000.

    The features of all images are kept: N x D x 4 bytes per side, 102 MB for 50,000 at D = 512, on the metric's device
    (`compute_on_cpu=True` keeps them in main memory). `compute` runs on the CPU; its time grows with N^2.

    Args:
        feature: an `nn.Module` that turns a batch of images into features (N, D), in place of a backbone. A frozen
            copy of it is kept.
        reset_real_features, normalize, input_img_size, kwargs: as in `FrechetDistance`.
        backbone: "clip" (default), "siglip", "mini", ..., or your own as in `compare`: a function, an `nn.Module`, a
            `Backbone`; weights, model, dims, preprocessing: as in `load_backbone`.
        recipe: None or "google-cmmd".
        bandwidth: a number > 0, "median" (of the real side) or "median-pooled"; None for the recipe's.

    Raises:
        ArgumentError, BackboneError, WeightsError: as `load_backbone`; arguments that do not go together.

    Source: Gretton et al. 2012 (JMLR 13), Lemma 6; Jayasumana et al. 2024 (arXiv:2401.09603), eq. 4.
    """

    def __init__(
        self,
        feature: nn.Module | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        input_img_size: Sequence[int] = (3, 299, 299),
        *,
        backbone: OneBackbone | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        bandwidth: Bandwidth | None = None,
        **kwargs: Any,
    ) -> None:
        found = find_recipe(recipe)
        options = NetworkOptions(backbone, weights, model, dims, preprocessing)
        network = network_of(feature, found, "mmd", "clip", options, normalize, input_img_size)
        chosen = found.bandwidth if bandwidth is None else check_bandwidth(bandwidth)
        super().__init__(network, reset_real_features, **kwargs)
        self._recipe, self._bandwidth = found, chosen

    def _find(self) -> Estimate:
        recipe = self._recipe
        real, fake = map(recipe.mmd_rows, self._sides())
        found = squared_mmd(reference=real, generated=fake, bandwidth=self._bandwidth, estimator=recipe.estimator)
        return found.times(recipe.scale, scale=recipe.scale, normalized=recipe.normalize)
