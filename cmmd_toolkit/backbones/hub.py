"""CLIP, SigLIP, SigLIP 2, ALIGN and DINOv2 through transformers.

Features are each model's own picture embedding: the projected one of CLIP, the pooled one of SigLIP and ALIGN, the
normalised class token of DINOv2. Preprocessing is the checkpoint's own processor, in its Pillow version (whose 8-bit
resize the published numbers used).
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image

from ..common.files import sha256
from ..common.text import first_line
from ..errors import WeightsError
from . import naflex
from .base import Backbone, Encode, probe_dim
from .hub_files import HubFiles, find_checkpoint
from .preprocess import NetworkInput, Pixels, Preprocess, check_enlarged, square_crop
from .registry import SPECS

_MODEL_TYPES = {
    "clip": ("clip", "clip_vision_model"),
    "siglip": ("siglip", "siglip_vision_model"),
    "siglip2": ("siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model"),
    "align": ("align", "align_vision_model"),
    "dinov2": ("dinov2", "dinov2_with_registers"),
}
_ARCHITECTURES = {
    "clip": ("CLIPModel", "CLIPVisionModelWithProjection"),
    "clip_vision_model": ("CLIPVisionModelWithProjection",),
    "siglip": ("SiglipModel", "SiglipVisionModel"),
    "siglip_vision_model": ("SiglipVisionModel",),
    "siglip2": ("Siglip2Model", "Siglip2VisionModel"),
    "siglip2_vision_model": ("Siglip2VisionModel",),
    "align": ("AlignModel",),
    "align_vision_model": ("AlignVisionModel",),
    "dinov2": ("Dinov2Model",),
    "dinov2_with_registers": ("Dinov2WithRegistersModel",),
}
_PROCESSORS = {
    "clip": "CLIPImageProcessor",
    "siglip": "SiglipImageProcessor",
    "siglip2": "SiglipImageProcessor",
    "align": "EfficientNetImageProcessor",
    "dinov2": "BitImageProcessor",
}
_CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)[:, None, None]
_CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)[:, None, None]


def load(
    name: str, weights: Path | None, model: str | None, dims: int | None, device: str, preprocessing: str | None
) -> Backbone:
    """See `load_backbone`."""
    files = find_checkpoint(name, weights, model or SPECS[name].default_model)
    network = _load_network(name, files).eval().requires_grad_(False).to(device)
    google = preprocessing == "google-cmmd"
    preprocess, described, remarks = _google_preprocess(network) if google else _own_preprocess(name, files, network)
    encode = _encoder(network)
    dim = probe_dim(encode, preprocess, device, files.model)
    provenance = {
        "backbone": name,
        "model": files.model,
        "dim": dim,
        "weights": [path.name for path in files.weights],
        "weights_sha256": [sha256(path) for path in files.weights],
        "config_sha256": sha256(files.folder / "config.json"),
        "preprocessing": described,
    }
    return Backbone(name, files.model, dim, preprocess, encode, device, provenance, remarks)


def _load_network(name: str, files: HubFiles) -> torch.nn.Module:
    """The network in the class that its configuration names, with every tensor from the checkpoint."""
    architecture = _architecture(name, files)
    cls = getattr(transformers, architecture)
    try:
        with _quiet():
            network, report = cls.from_pretrained(
                files.folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # OSError, RuntimeError (shapes), SafetensorError, UnpicklingError, ...
        raise WeightsError(
            f"{files.folder}: cannot be loaded as {architecture} ({first_line(error)}); fetch it again"
        ) from error
    if missing := sorted(key for key in report["missing_keys"] if not key.endswith("position_ids")):
        raise WeightsError(
            f"{files.folder}: {len(missing)} tensors of {architecture} are missing (the first is {missing[0]}); "
            "the features would be random, give a complete checkpoint"
        )
    result: torch.nn.Module = network
    return result


def _architecture(name: str, files: HubFiles) -> str:
    model_type = str(files.config.get("model_type"))
    if model_type not in _MODEL_TYPES[name]:
        other = next((family for family, types in _MODEL_TYPES.items() if model_type in types), None)
        hint = f"use `backbone='{other}'`" if other else f"expected model type {_MODEL_TYPES[name][0]}"
        raise WeightsError(f"{files.folder}: holds a model of type {model_type}, not {name}; {hint}")
    named = files.config.get("architectures")
    saved = named[0] if isinstance(named, list) and named else ""
    if saved == "CLIPVisionModel":
        raise WeightsError(
            f"{files.folder}: CLIPVisionModel has no projection to the shared embedding; "
            "save CLIPModel or CLIPVisionModelWithProjection"
        )
    known = _ARCHITECTURES[model_type]
    return saved if saved in known else known[0]


def _encoder(network: torch.nn.Module) -> Encode:
    call = getattr(network, "get_image_features", network)

    def encode(inputs: torch.Tensor) -> torch.Tensor:
        packed = inputs.ndim == 3  # patches instead of pictures
        output = call(**naflex.unpack(inputs)) if packed else call(pixel_values=inputs)
        if isinstance(output, torch.Tensor):  # transformers 4
            return output
        embeds = getattr(output, "image_embeds", None)
        result: torch.Tensor = output.pooler_output if embeds is None else embeds
        return result

    return encode


def _own_preprocess(
    name: str, files: HubFiles, network: torch.nn.Module
) -> tuple[Preprocess, dict[str, Any], tuple[str, ...]]:
    """The checkpoint's processor; without one the family's published settings at the network's size, and a remark."""
    if files.has_processor:
        processor = _pil_processor(files)
        remarks: tuple[str, ...] = ()
    else:
        processor = _default_processor(name, network)
        remarks = (
            f"{files.folder} has no preprocessor_config.json: pictures were prepared with the defaults of "
            f"{_PROCESSORS[name]} at the network's input size; save the processor beside the weights to be sure",
        )
    described = _as_json({key: value for key, value in processor.to_dict().items() if _is_plain(value)})

    short_side = _short_side(processor)

    def preprocess(pixels: Pixels) -> NetworkInput:
        check_enlarged(pixels, short_side)
        image = Image.fromarray(pixels)
        prepared = processor(images=image, return_tensors="np")
        if naflex.is_naflex(prepared):
            return naflex.pack(prepared)
        result: NDArray[np.float32] = prepared["pixel_values"][0].astype(np.float32, copy=False)
        return result

    return preprocess, described, remarks


def _short_side(processor: Any) -> int | None:
    """To how many pixels the short side of a picture is brought, whatever becomes of the other."""
    settings = processor.to_dict()
    size = settings.get("size") if settings.get("do_resize", True) else None
    return size.get("shortest_edge") if isinstance(size, Mapping) and not size.get("longest_edge") else None


def _pil_processor(files: HubFiles) -> Any:
    options = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    try:
        with _quiet():
            return transformers.AutoImageProcessor.from_pretrained(files.folder, local_files_only=True, **options)
    except Exception as error:  # OSError, ValueError, KeyError: whatever the configuration lacks
        raise WeightsError(
            f"{files.folder}: unusable preprocessor_config.json ({first_line(error)}); fetch it again"
        ) from error


def _default_processor(name: str, network: torch.nn.Module) -> Any:
    config: Any = network.config
    vision = getattr(config, "vision_config", config)
    if str(vision.model_type).startswith("siglip2"):
        naflex_cls = getattr(transformers, "Siglip2ImageProcessorPil", None) or transformers.Siglip2ImageProcessor
        return naflex_cls(patch_size=vision.patch_size, max_num_patches=vision.num_patches)
    size = _image_size(network)
    square = {"height": size, "width": size}
    cls = getattr(transformers, _PROCESSORS[name] + "Pil", None) or getattr(transformers, _PROCESSORS[name])
    if name in ("siglip", "siglip2"):
        return cls(size=square)
    if name == "align":
        return cls(size=square, do_center_crop=False, rescale_factor=2 / 255, rescale_offset=True, do_normalize=False)
    return cls(size={"shortest_edge": size}, crop_size=square)


def _google_preprocess(network: torch.nn.Module) -> tuple[Preprocess, dict[str, Any], tuple[str, ...]]:
    """The released CMMD's own resize, at the network's input size (336 for the published model)."""
    size = _image_size(network)
    remarks = (
        ()
        if size == 336
        else (f"recipe google-cmmd: this CLIP takes {size} x {size} pixels, the published numbers used 336 x 336",)
    )

    def preprocess(pixels: Pixels) -> NetworkInput:
        square = np.asarray(square_crop(Image.fromarray(pixels), size), np.float32).transpose(2, 0, 1)
        return (square / np.float32(255) - _CLIP_MEAN) / _CLIP_STD

    return preprocess, {"name": "google-cmmd", "size": size}, remarks


def _image_size(network: torch.nn.Module) -> int:
    config: Any = network.config
    return int(getattr(getattr(config, "vision_config", config), "image_size", 224))


def _as_json(settings: dict[str, Any]) -> dict[str, Any]:
    """Lists for tuples, as a file would give them back."""
    result: dict[str, Any] = json.loads(json.dumps(settings))
    return result


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return value is not None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' load report and progress bar; what matters in them is checked by the caller."""
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
