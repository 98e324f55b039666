"""Any OpenCLIP model: `openclip:ARCHITECTURE/PRETRAINED`, with open_clip's own preprocessing."""

from pathlib import Path

import numpy as np
import open_clip
from huggingface_hub import try_to_load_from_cache
from PIL import Image

from ..common.files import sha256
from ..common.hub import hub_file_names
from ..common.text import first_line
from ..errors import BackboneError, WeightsError
from .base import Backbone, probe_dim
from .hub_files import not_reachable
from .preprocess import NetworkInput, Pixels, check_enlarged
from .registry import SPECS


def load(
    name: str, weights: Path | None, model: str | None, dims: int | None, device: str, preprocessing: str | None
) -> Backbone:
    """See `load_backbone`. `weights` is a checkpoint file of the architecture."""
    wanted = model or (name.split(":", 1)[1] if ":" in name else SPECS["openclip"].default_model)
    architecture, _, pretrained = wanted.partition("/")
    if architecture not in open_clip.list_models():
        raise BackboneError(f"openclip: unknown architecture {architecture!r}; see open_clip.list_models()")
    path = _checkpoint(architecture, pretrained, weights)
    try:
        network, _, transform = open_clip.create_model_and_transforms(architecture, str(path), device=device)
    except Exception as error:  # RuntimeError (shapes, keys), UnpicklingError, OSError
        raise WeightsError(f"{path}: cannot be loaded as openclip {architecture} ({first_line(error)})") from error
    network.eval().requires_grad_(False)

    short_side = next((step.size for step in transform.transforms if type(getattr(step, "size", None)) is int), None)

    def preprocess(pixels: Pixels) -> NetworkInput:
        check_enlarged(pixels, short_side)
        return np.asarray(transform(Image.fromarray(pixels)), np.float32)

    dim = probe_dim(network.encode_image, preprocess, device, wanted)
    provenance = {
        "backbone": name,
        "model": wanted,
        "dim": dim,
        "weights": path.name,
        "weights_sha256": sha256(path),
        "preprocessing": [str(step) for step in transform.transforms],
    }
    return Backbone(name, wanted, dim, preprocess, network.encode_image, device, provenance)


def _checkpoint(architecture: str, pretrained: str, weights: Path | None) -> Path:
    """The checkpoint file: given, cached or downloaded by open_clip."""
    if weights is not None:
        if not weights.is_file():
            what = "is a folder" if weights.is_dir() else "no such file"
            raise WeightsError(f"{weights}: {what}; give an open_clip checkpoint of {architecture}")
        return weights
    config = open_clip.get_pretrained_cfg(architecture, pretrained)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise BackboneError(
            f"openclip: {architecture} has no published weights named {pretrained!r} (known: {known}); "
            f"use openclip:{architecture}/TAG or give `weights=FILE`"
        )
    if found := cached_weights(f"{architecture}/{pretrained}"):
        return found
    try:
        if repository := str(config.get("hf_hub", "")).rstrip("/"):
            hub_file_names(repository)
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub and network errors of several libraries
        raise not_reachable("openclip", f"{architecture}/{pretrained}", "FILE", error) from error


def cached_weights(wanted: str) -> Path | None:
    """The cached checkpoint of ARCHITECTURE/PRETRAINED in the Hugging Face cache, None when it is not there."""
    config = open_clip.get_pretrained_cfg(*wanted.split("/", 1)) or {}
    repository = str(config.get("hf_hub", "")).rstrip("/")
    for name in ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        found = try_to_load_from_cache(repository, name) if repository else None
        if isinstance(found, str):
            return Path(found)
    return None
