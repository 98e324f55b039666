"""Recipes: everything that fixes a published number, under the name of the system that publishes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import text
from ..common.nearest import hint
from ..errors import ArgumentError
from ..features.features import Features, GaussianStatistics
from ..features.unit_rows import SomeRows, as_unit_rows
from ..metrics.mmd import Bandwidth, Estimator
from ..pictures.decode import DecodePolicy
from .metric_names import DEFAULTS, NUMBERS


@dataclass(frozen=True)
class Recipe:
    """How a system decodes, prepares, embeds and scores.

    Attributes:
        backbone: the family it needs, None when it leaves that open.
        model: the published model it needs, None for the backbone's default.
        metrics: the numbers it defines, by their general names.
        preprocessing: the resize of `load_backbone`, None for the backbone's own.
        decode: the policy of `cmmd_toolkit.pictures.decode`.
        normalize: whether MMD divides each row by its length first.
        scale: the factor its MMD is printed with.
    """

    name: str
    about: str
    backbone: str | None = None
    model: str | None = None
    metrics: tuple[str, ...] = NUMBERS
    preprocessing: str | None = None
    decode: DecodePolicy = "upright"
    normalize: bool = True
    estimator: Estimator = "unbiased"
    bandwidth: Bandwidth = "median"
    scale: float = 1.0

    @property
    def defaults(self) -> tuple[str, ...]:
        """What it computes unless asked for more."""
        return tuple(name for name in DEFAULTS if name in self.metrics)

    def mmd_rows(self, features: Features | GaussianStatistics | NDArray[np.float32]) -> SomeRows:
        """The rows as its MMD takes them."""
        assert not isinstance(features, GaussianStatistics)
        rows = features.values if isinstance(features, Features) else features
        return as_unit_rows(rows) if self.normalize else rows

    def bandwidth_or(self, asked: Bandwidth | None) -> Bandwidth:
        """The bandwidth that was asked for, else its own."""
        return self.bandwidth if asked is None else asked


def _fid(name: str, about: str, *more: str) -> Recipe:
    return Recipe(name, about, "inception", metrics=("fd", *more), preprocessing=name, decode="plain")


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("default", "pictures turned upright, alpha over white; unbiased MMD, median bandwidth of the reference"),
        Recipe(
            "google-cmmd",
            "released CMMD: CLIP ViT-L/14 at 336 pixels, biased, bandwidth 10, times 1000",
            backbone="clip",
            model="openai/clip-vit-large-patch14-336",
            metrics=("mmd",),
            preprocessing="google-cmmd",
            decode="plain",
            estimator="biased",
            bandwidth=10.0,
            scale=1000.0,
        ),
        _fid("pytorch-fid", "FID: bilinear without antialiasing, as pytorch-fid 0.3.0"),
        _fid("clean-fid", "FID: antialiased bicubic on floats, as clean-fid 0.1.35 mode clean", "kd"),
        _fid(
            "torch-fidelity",
            "FID: TensorFlow 1 bilinear, as torch-fidelity 0.4.0",
            *("kd", "precision", "recall", "mind", "is"),
        ),
        _fid("torchmetrics", "FID: antialiased bilinear, as torchmetrics 1.8 and later", "kd", "is"),
    )
}


def find_recipe(name: str | None) -> Recipe:
    """The recipe of that name, the default for None. Raises ArgumentError."""
    if name is None:
        return RECIPES["default"]
    if text(name, "recipe") in RECIPES:
        return RECIPES[name]
    known = ", ".join(own for own in RECIPES if own != "default")
    raise ArgumentError(f"unknown recipe {name!r}; {hint(name, RECIPES)}choose from {known}")
