"""Which network the arguments of a constructor name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..backbones.own_names import Own, own_named
from ..backbones.registry import INCEPTION_DIMS, spec_of
from ..common.arguments import text
from ..errors import ArgumentError
from ..sets.recipes import Recipe
from ..sets.run import OneBackbone
from .base import check_bool
from .module_features import ModuleFeatures
from .network import Network
from .refusals import WrongTypeError
from .registered import Registered

_CHOICES = ", ".join(map(str, INCEPTION_DIMS))


@dataclass
class NetworkOptions:
    """What a constructor was given about its backbone; `antialias` as in `FrechetDistance`."""

    backbone: OneBackbone | None = None
    weights: str | Path | None = None
    model: str | None = None
    dims: int | None = None
    preprocessing: str | None = None
    antialias: bool | None = None


def network_of(
    feature: Any,
    recipe: Recipe,
    metric: str,
    default: str,
    options: NetworkOptions,
    normalize: bool,
    input_img_size: Sequence[int],
) -> Callable[[torch.device], Network]:
    """The network that the constructor's arguments name, to be put on a device; they are checked here."""
    if metric not in recipe.metrics:
        raise ArgumentError(f"recipe {recipe.name} does not define {metric}; it computes {', '.join(recipe.metrics)}")
    check_bool(normalize, "normalize")
    if isinstance(feature, nn.Module):
        given = [own.name for own in fields(options) if getattr(options, own.name) is not None]
        if given or recipe.backbone is not None:
            given = given or ["recipe"]
            raise ArgumentError(f"feature: expected a module alone, got {given[0]} too; leave one of them out")
        module = feature
        return lambda device: ModuleFeatures(module, input_img_size, normalize, device)
    if options.backbone is not None and (own := own_named(options.backbone)) is not None:
        return _own(own, recipe, options, feature, normalize)
    name = recipe.backbone or default if options.backbone is None else options.backbone
    family = spec_of(text(name, "backbone")).name
    assert isinstance(name, str)
    if recipe.backbone not in (None, family):
        raise ArgumentError(f"recipe {recipe.name} is defined on {recipe.backbone}, not on {name}; leave out backbone")
    preprocessing, dims = _preprocessing(options, recipe, family), _dims(feature, options.dims)
    model, truncate = options.model or recipe.model, recipe.name == "torchmetrics"
    return lambda device: Registered(
        name, options.weights, model, dims, preprocessing, normalize, truncate, str(device)
    ).ready()


def _own(
    own: Own, recipe: Recipe, options: NetworkOptions, feature: Any, normalize: bool
) -> Callable[[torch.device], Network]:
    """A network of the user's own, which takes what `compare` gives it."""
    if recipe.backbone is not None:
        raise ArgumentError(
            f"recipe {recipe.name} is defined on {recipe.backbone}, not on {own.name}; leave out backbone"
        )
    others = {"feature": feature, **{name: getattr(options, name) for name in ("model", "dims", "preprocessing")}}
    for name, value in {**others, "antialias": options.antialias}.items():
        if value is not None:
            raise ArgumentError(f"{name}: belongs to the package's own backbones, not to {own.name}; leave it out")
    weights = options.weights
    return lambda device: Registered(own.name, weights, None, None, None, normalize, False, str(device), own).ready()


def _preprocessing(options: NetworkOptions, recipe: Recipe, family: str) -> str | None:
    """The resize: of the recipe, as it was named, or what torchmetrics calls antialias."""
    asked, antialias = options.preprocessing, options.antialias
    if antialias is not None:
        check_bool(antialias, "antialias")
        if asked is not None or recipe.preprocessing is not None or family != "inception":
            raise ArgumentError(
                "antialias: chooses Inception's resize, and so do preprocessing, recipe and backbone; leave it out"
            )
        return "torchmetrics" if antialias else "torch-fidelity"
    if None not in (asked, recipe.preprocessing):
        raise ArgumentError(f"recipe {recipe.name} fixes the preprocessing; leave out recipe or preprocessing")
    return asked or recipe.preprocessing


def _dims(feature: Any, dims: int | None) -> int | None:
    """`feature` as a number is Inception's `dims`."""
    if feature is None:
        return dims
    if isinstance(feature, bool) or not isinstance(feature, int):
        raise WrongTypeError(f"feature: expected {_CHOICES} or an nn.Module, got {feature!r}")
    if dims not in (None, feature):
        raise ArgumentError(f"feature and dims: expected one of them, got {feature} and {dims}; leave out dims")
    return feature
