"""`PrecisionRecall`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..metrics.neighbours import PrecisionRecall as Estimates, neighbour_settings, precision_recall
from ..sets.recipes import find_recipe
from ..sets.run import OneBackbone
from .base import NAN
from .choose import NetworkOptions, network_of
from .sides import KeptRows


class Shares(NamedTuple):
    """Scalars in 0..1, higher is better."""

    precision: Tensor
    recall: Tensor


class PrecisionRecall(KeptRows):
    """Share of fake images inside the real set (precision), and of real images inside the fake set (recall).

    A row is inside a set when it is nearer to one of its rows than that row's k-th neighbour. `compute` returns the
    named tuple (precision, recall), `estimate` the same of `Estimate`s. Not among the metrics of torchmetrics.

    The features of all images are kept on the metric's device (`compute_on_cpu=True`: in main memory).

    Args:
        feature, reset_real_features, normalize, input_img_size, backbone, weights, model, dims, preprocessing,
            recipe, kwargs: as in `FrechetDistance`; a recipe that defines "precision".
        k, inclusive: as in `precision_recall`; None takes the recipe's (5 and `<` without one).

    Raises:
        ArgumentError: as `FrechetDistance`.

    Source: Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2.
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        feature: int | nn.Module | None = None,
        k: int | None = None,
        inclusive: bool | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        *,
        input_img_size: Sequence[int] = (3, 299, 299),
        backbone: OneBackbone | None = None,
        weights: str | Path | None = None,
        model: str | None = None,
        dims: int | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        **kwargs: Any,
    ) -> None:
        found = find_recipe(recipe)
        options = NetworkOptions(backbone, weights, model, dims, preprocessing)
        network = network_of(feature, found, "precision", "inception", options, normalize, input_img_size)
        self._k, self._inclusive = neighbour_settings(found.name, k, inclusive)
        self._recipe, self._least = found.name, self._k + 1
        super().__init__(network, reset_real_features, **kwargs)

    def _find(self) -> Estimates:
        real, fake = self._sides()
        options: dict[str, Any] = {"k": self._k, "inclusive": self._inclusive, "recipe": self._recipe}
        return precision_recall(reference=real, generated=fake, **options)

    def _shown(self, found: Estimates) -> Shares:
        return Shares(*(self._scalar(float(own)) for own in found))

    def _undefined(self) -> Shares:
        return Shares(self._scalar(NAN), self._scalar(NAN))
