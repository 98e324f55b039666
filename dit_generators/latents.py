"""Latents of a folder of pictures, encoded once: mean and deviation of each picture and of its mirror image.

A cache is a folder of safetensors shards and an index with the SHA-256 of each; damage is found before training.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from .autoencoder import Autoencoder
from .batches import Example
from .errors import DataError
from .files import replacing, write_safetensors
from .run import Advance, ShowProgress

_SHARD = 1024  # pictures


def encode_pictures(
    pixels: NDArray[np.uint8], autoencoder: Autoencoder, folder: Path, device: torch.device, show_progress: ShowProgress
) -> Tensor:
    """float32 (N, 2 flips, 2 mean and deviation, C, h, w), from the cache in `folder` where it is whole.

    Shards that are there already are kept: an interrupted encoding goes on.
    """
    identity = _identity(pixels, autoencoder)
    index = _read_index(folder, identity)
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pixels), _SHARD)
    with show_progress("latents", len(pixels)) as advance:
        for start in starts:
            name = f"{start // _SHARD:05d}.safetensors"
            part = pixels[start : start + _SHARD]
            if name in index["shards"]:
                advance(len(part))
                continue
            with replacing(folder / name) as temporary:
                write_safetensors({"latents": _encode(part, autoencoder, device, advance)}, temporary)
            index["shards"][name] = _sha256(folder / name)
            with replacing(folder / "index.json") as temporary:
                temporary.write_text(json.dumps(index, indent=1))
    return torch.cat([_verified(folder / name, digest) for name, digest in sorted(index["shards"].items())])


def latent_example(latents: Tensor, *, flip: bool) -> Example:
    """A draw from each picture's latent distribution, of the picture or of its mirror image."""

    def example(index: int, generator: torch.Generator) -> Tensor:
        mirrored = flip and bool(torch.rand((), generator=generator) < 0.5)
        mean, deviation = latents[index, int(mirrored)]
        return mean + deviation * torch.randn(mean.shape, generator=generator)

    return example


def _encode(pixels: NDArray[np.uint8], autoencoder: Autoencoder, device: torch.device, advance: Advance) -> Tensor:
    rows = []
    for picture in pixels:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
        both = [torch.cat(autoencoder.encode(view)) for view in (image, image.flip(-1))]
        rows.append(torch.stack(both).cpu())
        advance(1)
    return torch.stack(rows)


def _identity(pixels: NDArray[np.uint8], autoencoder: Autoencoder) -> dict[str, Any]:
    return {
        "pictures_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
        "autoencoder_sha256": autoencoder.weights_sha256,
        "scale": autoencoder.scale,
        "shift": autoencoder.shift,
    }


def _read_index(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    path = folder / "index.json"
    if not path.exists():
        return {"identity": identity, "shards": {}}
    try:
        index: dict[str, Any] = json.loads(path.read_text())
        same = index["identity"] == identity and isinstance(index["shards"], dict)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not readable ({error}); remove {folder} to encode again") from error
    if not same:
        raise DataError(f"{folder}: holds latents of other pictures or another autoencoder; name another folder")
    return index


def _verified(path: Path, digest: str) -> Tensor:
    if not path.is_file() or _sha256(path) != digest:
        raise DataError(f"{path}: is missing or damaged; remove the folder {path.parent} to encode again")
    return load_file(path)["latents"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
