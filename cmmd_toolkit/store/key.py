"""What decides a feature besides the picture: weights, configuration, preprocessing, device, code and versions."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from ..backbones.base import Backbone
from ..common.versions import library_versions
from ..pictures.decode import DecodePolicy

# Of the provenance: where weights lie says nothing about the features; their checksums do.
_PLACES = ("model", "weights")
_CODE = ("cmmd_toolkit.pictures", "cmmd_toolkit.backbones")
DESCRIPTION = ".network.json"  # the end of the name of a description, of store/networks.py
_LIBRARIES = ("numpy", "pillow", "simplejpeg", "torch", "torchvision", "transformers", "open_clip_torch")


def network_key(backbone: Backbone, policy: DecodePolicy, max_pixels: int) -> dict[str, Any]:
    """Everything that features of a picture depend on besides the picture, JSON-able: equal keys, equal features."""
    made = {name: value for name, value in backbone.provenance.items() if name not in _PLACES or _names_all(backbone)}
    versions = library_versions()
    return {
        "network": made,
        "decode": policy,
        "max_pixels": max_pixels,
        "device": backbone.device.split(":")[0],
        "code": code_digest(),
        "versions": {name: versions.get(name) for name in _LIBRARIES},
    }


def key_digest(key: dict[str, Any]) -> str:
    """A name for a key, in hexadecimal."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def table_name(backbone: str) -> str:
    """A backbone's name as the beginning of a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in backbone)


@cache
def code_digest() -> str:
    """SHA-256 of the code that turns files into features."""
    digest = hashlib.sha256()
    for room in _CODE:
        for name, file in sorted(_modules(resources.files(room), "")):
            digest.update(name.encode() + b"\0" + file.read_bytes())
    digest.update((resources.files("cmmd_toolkit.common") / "devices.py").read_bytes())  # products in full float32
    return digest.hexdigest()


def _modules(folder: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _modules(file, f"{prefix}{file.name}/")
        elif file.name.endswith(".py"):
            yield prefix + file.name, file


def _names_all(backbone: Backbone) -> bool:
    """Whether the model's name says what checksums do not: the architecture of OpenCLIP."""
    return backbone.name.startswith("openclip")
