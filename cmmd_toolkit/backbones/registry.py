"""The one table of backbones, and `load_backbone`."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..common.arguments import text, whole_number
from ..common.devices import resolve_device
from ..common.files import check_regular, path_of
from ..common.nearest import hint
from ..errors import ArgumentError, BackboneError, InputError, WeightsError
from .base import Backbone, check_works
from .precision import FULL, Precision, check_precision, check_usable
from .preprocess import INCEPTION_PREPROCESSES

INCEPTION_DIMS = (64, 192, 768, 2048)
Family = Literal["inception", "picture-text", "dinov2", "mini"]
_SCORES: dict[Family, str] = {
    "inception": "FID",
    "picture-text": "CMMD",
    "dinov2": "FD-DINOv2",
    "mini": "monitoring",
}


@dataclass(frozen=True)
class BackboneSpec:
    """One row of the table: how a backbone is named, loaded and described.

    `family` decides which published metrics are defined on it.
    """

    name: str
    module: str
    default_model: str
    dims: str
    package: str
    family: Family

    @property
    def score(self) -> str:
        """What is published on it."""
        return _SCORES[self.family]

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        return "open_clip_torch" if self.package == "open_clip" else self.package


SPECS: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        BackboneSpec(
            "inception",
            "inception",
            "pt_inception-2015-12-05",
            ", ".join(map(str, INCEPTION_DIMS)),
            "torch",
            "inception",
        ),
        BackboneSpec("clip", "hub", "openai/clip-vit-base-patch32", "512 (base)", "transformers", "picture-text"),
        BackboneSpec("siglip", "hub", "google/siglip-base-patch16-224", "768 (base)", "transformers", "picture-text"),
        BackboneSpec("siglip2", "hub", "google/siglip2-base-patch16-224", "768 (base)", "transformers", "picture-text"),
        BackboneSpec("align", "hub", "kakaobrain/align-base", "640 (base)", "transformers", "picture-text"),
        BackboneSpec("dinov2", "hub", "facebook/dinov2-large", "1024 (large)", "transformers", "dinov2"),
        BackboneSpec("mini", "mini", "bundled", "256", "torch", "mini"),
        BackboneSpec("openclip", "openclip", "ViT-B-32/laion2b_s34b_b79k", "512 (B/32)", "open_clip", "picture-text"),
    )
}


def spec_of(name: str) -> BackboneSpec:
    """The table's row for a name such as "clip" or "openclip:ViT-B-32/laion2b_s34b_b79k"."""
    family = text(name, "backbone").split(":", 1)[0]
    if family in SPECS and (":" not in name or family == "openclip"):
        return SPECS[family]
    if (given := name.partition("="))[0] in SPECS and given[2]:
        raise BackboneError(f"unknown backbone {name!r}; give {given[0]} as the backbone and the file as `weights`")
    raise BackboneError(
        f"unknown backbone {name!r}; {hint(family, SPECS)}choose from {', '.join(SPECS)} (see `cmmd backbones`)"
    )


def load_backbone(
    name: str,
    *,
    weights: str | Path | None = None,
    model: str | None = None,
    dims: int | None = None,
    device: str = "auto",
    preprocessing: str | None = None,
    precision: Precision = FULL,
) -> Backbone:
    """Load a backbone with its weights, from `weights`, else the local cache, else the hub.

    Args:
        name: "inception", "clip", "siglip", "siglip2", "align", "dinov2", "mini" or
            "openclip:ARCHITECTURE/PRETRAINED".
        weights: a local path: a checkpoint file (inception, openclip) or a `save_pretrained` folder (the others).
        model: another published model of the family, e.g. "openai/clip-vit-large-patch14-336".
        dims: Inception only: 64, 192, 768 or 2048 (the default).
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        preprocessing: Inception: "pytorch-fid" (default), "clean-fid", "torch-fidelity" or "torchmetrics";
            CLIP: "google-cmmd". Others come with their model's own processor.
        precision: of the products in the network: "fp32", "bf16" or, on a GPU, "fp16", by torch's autocast. Pictures
            are prepared in float32 and features are float32, with the digits that the network leaves.

    Raises:
        BackboneError: an unknown name, or its package is not installed.
        WeightsError: no weights, or weights of another network.
        ArgumentError: an option that this backbone does not have, or a precision that the device does not have.
    """
    spec, local = check_options(name, weights=weights, model=model, dims=dims, preprocessing=preprocessing)
    place = resolve_device(device)
    check_usable(check_precision(precision), place)
    load: Callable[..., Backbone] = _loader(spec)
    dims = None if dims is None else int(dims)
    loaded = load(name, local, model, dims, place, preprocessing).at(precision)
    check_works(loaded)
    return loaded


def check_options(
    name: str, *, weights: str | Path | None, model: str | None, dims: int | None, preprocessing: str | None
) -> tuple[BackboneSpec, Path | None]:
    """The row of the table and the path of local weights, before anything is loaded. Raises as `load_backbone`."""
    spec = spec_of(name)
    if dims is not None and spec.name != "inception":
        raise ArgumentError(f"dims: only inception has a choice of dimensions, {name} does not; leave out `dims`")
    if dims is not None:
        whole_number(dims, "dims", 1)
    if model is not None:
        text(model, "model")
    if preprocessing is not None:
        text(preprocessing, "preprocessing")
    if spec.name == "inception" and model is not None:
        raise ArgumentError("model: inception has one published network; leave out `model`, or give `weights=PATH`")
    _check_preprocessing(spec, preprocessing)
    return spec, None if weights is None else _local(weights)


def _local(weights: str | Path) -> Path:
    """The file or folder of weights; a pipe or device, there or in the folder, might be read for ever."""
    path = path_of(weights).expanduser()
    try:
        for own in path.iterdir() if path.is_dir() else [path]:
            if own.exists() and not own.is_dir():
                check_regular(own)
    except (InputError, OSError) as error:
        raise WeightsError(str(error)) from error
    return path


def _check_preprocessing(spec: BackboneSpec, preprocessing: str | None) -> None:
    known = {"inception": tuple(INCEPTION_PREPROCESSES), "clip": ("google-cmmd",)}.get(spec.name, ())
    if preprocessing is not None and preprocessing not in known:
        choices = f"choose from {', '.join(known)}" if known else "it always uses its model's own processor"
        raise ArgumentError(f"preprocessing {preprocessing!r} does not belong to {spec.name}; {choices}")


def _loader(spec: BackboneSpec) -> Callable[..., Backbone]:
    try:
        module = importlib.import_module(f"{__package__}.{spec.module}")
    except ImportError as error:
        raise BackboneError(
            f"backbone {spec.name}: package {spec.package} cannot be imported ({error}); "
            f"install it with: pip install {spec.distribution}"
        ) from error
    load: Callable[..., Backbone] = module.load
    return load
