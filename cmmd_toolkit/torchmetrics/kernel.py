"""`KernelDistance`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..common.arguments import MOST_REPEATS, check_seed, whole_number
from ..estimation.estimate import Estimate
from ..metrics.kid import check_kernel, kernel_distance
from ..sets.recipes import find_recipe
from ..sets.run import OneBackbone
from .base import NAN
from .choose import NetworkOptions, network_of
from .sides import KeptRows


class KernelDistance(KeptRows):
    """Squared MMD with a polynomial kernel between the features of real and fake images (KID, on Inception).

        k(x, y) = (gamma x.y + coef)^degree

    Replaces `torchmetrics.image.kid.KernelInceptionDistance`: `compute` returns the mean and the standard
    deviation over subsets, which are those that torchmetrics draws after `torch.manual_seed(seed)`. With
    `subsets=None` the whole sets are used once, without randomness: the unbiased value and its standard error (NaN
    where there is none), as `compare` has them.

    The features of all images are kept on the metric's device (`compute_on_cpu=True`: in main memory).

    Args:
        feature, reset_real_features, normalize, input_img_size, backbone, weights, model, dims, preprocessing,
            recipe, kwargs: as in `FrechetDistance`; a recipe that defines "kd".
        subsets, subset_size: how many, and rows of each side in one; None as `subsets` takes the whole sets.
        degree, gamma, coef: of the kernel; gamma None is 1 / D.
        seed: of the subsets.

    Raises:
        ArgumentError: as `FrechetDistance`; in `compute` a subset larger than a side.

    Source: Binkowski et al. 2018 (arXiv:1801.01401), section 4.
    """

    def __init__(
        self,
        feature: int | nn.Module | None = None,
        subsets: int | None = 100,
        subset_size: int = 1000,
        degree: int = 3,
        gamma: float | None = None,
        coef: float = 1.0,
        reset_real_features: bool = True,
        normalize: bool = False,
        *,
        input_img_size: Sequence[int] = (3, 299, 299),
        seed: int = 0,
        backbone: OneBackbone | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        **kwargs: Any,
    ) -> None:
        options = NetworkOptions(backbone, weights, model, dims, preprocessing)
        network = network_of(feature, find_recipe(recipe), "kd", "inception", options, normalize, input_img_size)
        self._options: dict[str, Any] = {"degree": degree, "gamma": gamma, "coef0": coef}
        check_kernel(degree, gamma, coef, "coef")
        if subsets is not None:
            size = whole_number(subset_size, "subset_size", 2)
            drawn = whole_number(subsets, "subsets", 1, MOST_REPEATS)
            self._options |= {"recipe": "torchmetrics", "subsets": drawn, "subset_size": size, "seed": check_seed(seed)}
        super().__init__(network, reset_real_features, **kwargs)

    def _find(self) -> Estimate:
        real, fake = self._sides()
        return kernel_distance(reference=real, generated=fake, **self._options)

    def _shown(self, found: Estimate) -> tuple[Tensor, Tensor]:
        spread = found.parameters.get("subset_std", found.standard_error)
        return self._scalar(found.value), self._scalar(NAN if spread is None else spread)

    def _undefined(self) -> tuple[Tensor, Tensor]:
        return self._scalar(NAN), self._scalar(NAN)
