"""`InceptionScore`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..common.arguments import check_seed, whole_number
from ..errors import ArgumentError, WeightsError
from ..estimation.estimate import Estimate
from ..metrics.inception_score import RECIPES, inception_score
from ..sets.recipes import find_recipe
from .base import NAN, ImageMetric
from .choose import NetworkOptions, network_of
from .refusals import TooFewImagesError
from .sides import fill_empty, parts_of

LOGITS = "logits_unbiased"


class InceptionScore(ImageMetric):
    """Inception score of fake images: confident single predictions, diverse predictions overall.

        IS = exp( mean_i KL( p(y | x_i) || p(y) ) )

    Replaces `torchmetrics.image.inception.InceptionScore`: `compute` returns the mean and the standard
    deviation (ddof 1) over the splits; the shuffle is the one that torchmetrics draws after `torch.manual_seed(seed)`.
    The deviation of one split is NaN. The network is that of `FrechetDistance(feature=2048)` and its last layer is
    applied here, so `FeatureShare` runs it once for both.

    The class logits of all images are kept: 4 kB per image, on the metric's device.

    Args:
        feature: "logits_unbiased" (the default: class logits without the bias of the last layer), Inception's
            dimensions 64, 192, 768 or 2048, taken for logits as torchmetrics does, or an `nn.Module` that turns a
            batch of images into logits (N, classes).
        splits: how many parts, at most the number of images.
        normalize, input_img_size, weights, preprocessing, kwargs: as in `FrechetDistance`.
        seed: of the shuffle.
        recipe: "torch-fidelity" or "torchmetrics", which also decide how the parts are made; None for torchmetrics'
            parts on pytorch-fid's resize.

    Raises:
        ArgumentError, WeightsError: as `FrechetDistance`; weights without a classifier.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    features: list[Tensor]

    def __init__(
        self,
        feature: str | int | nn.Module = LOGITS,
        splits: int = 10,
        normalize: bool = False,
        *,
        input_img_size: Sequence[int] = (3, 299, 299),
        seed: int = 2020,
        weights: str | Path | None = None,
        preprocessing: str | None = None,
        recipe: str | None = None,
        **kwargs: Any,
    ) -> None:
        found = find_recipe(recipe)
        self._splits, self._seed = whole_number(splits, "splits", 1), check_seed(seed)
        self._protocol = found.name if found.name in RECIPES else "torchmetrics"
        options = NetworkOptions(None, weights, None, None, preprocessing)
        source = None if isinstance(feature, str) and feature == LOGITS else feature
        network = network_of(source, found, "is", "inception", options, normalize, input_img_size)
        super().__init__(network, **kwargs)
        self._has_layer = source is None
        if self._has_layer and self.network.classifier is None:
            raise WeightsError("weights: hold no fc.weight for class logits; give pytorch-fid's file as `weights`")
        self.add_state("features", [], "cat")

    def update(self, images: Tensor) -> None:
        """Add images; as `FrechetDistance.update` takes them."""
        self.features.append(self._logits(self._rows(images)).to(self.device, torch.float32))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Add images as `update` does; returns the score of this batch alone, NaN where it has none."""
        if self._is_synced:
            raise ArgumentError("forward: the metric holds the images of all processes; call unsync() first")
        before, self.features = self.features, []
        self._to_sync = self.dist_sync_on_step
        try:
            self.update(images)
            value: tuple[Tensor, Tensor] = self.compute()
        except TooFewImagesError:
            value = self._scalar(NAN), self._scalar(NAN)
        finally:
            self._to_sync = self.sync_on_compute
            self.features = [*before, *self.features]
            self._computed = None
        self._forward_cache: Any = value
        return value

    def _logits(self, rows: Tensor) -> Tensor:
        if not self._has_layer:
            return rows
        classifier = self.network.classifier
        assert classifier is not None
        return rows.float().cpu() @ torch.from_numpy(classifier).T

    def _check_counts(self) -> None:
        count = sum(map(len, parts_of(self, "features")))
        if count < self._splits:
            raise TooFewImagesError(
                f"expected at least {self._splits} images, one per split, got {count}; "
                "call update(images) first, or use fewer splits"
            )

    def _find(self) -> Estimate:
        logits = torch.cat(list(parts_of(self, "features"))).cpu().numpy()
        return inception_score(generated=logits, splits=self._splits, seed=self._seed, recipe=self._protocol)

    def _shown(self, found: Estimate) -> tuple[Tensor, Tensor]:
        spread = found.parameters["split_std"]
        return self._scalar(found.value), self._scalar(NAN if spread is None else spread)

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        fill_empty(self, ["features"], self._width)
        super()._sync_dist(*args, **kwargs)

    def _width(self) -> int:
        classifier = self.network.classifier if self._has_layer else None
        return self.network.dim if classifier is None else len(classifier)
