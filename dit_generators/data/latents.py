"""Latents of a folder of pictures, encoded once: mean and deviation of each picture and of its mirror image.

A cache is a folder of safetensors shards and an index with the SHA-256 of each; damage is found before training.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cmmd_toolkit.common.files import sha256
from cmmd_toolkit.common.progress import Advance, ShowProgress
from cmmd_toolkit.common.writing import remove_leftovers, replacing

from ..common.files import locked, write_safetensors
from ..errors import DataError
from ..weights.autoencoder import Autoencoder
from .batches import Example

_SHARD = 1024  # pictures


def encode_pictures(
    pixels: NDArray[np.uint8], autoencoder: Autoencoder, folder: Path, device: torch.device, show_progress: ShowProgress
) -> Tensor:
    """float32 (N, 2 flips, 2 mean and deviation, C, h, w), from the cache in `folder` where it is whole.

    Shards that are there already are kept: an interrupted encoding is resumed.
    """
    identity = _identity(pixels, autoencoder)
    parts = {f"{i // _SHARD:05d}.safetensors": pixels[i : i + _SHARD] for i in range(0, len(pixels), _SHARD)}
    shards = _read_index(folder, identity)
    if not parts.keys() <= shards.keys():
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), show_progress("latents", len(pixels)) as advance:
            remove_leftovers(folder)
            shards = _read_index(folder, identity)  # another process may have encoded some since
            _fill(folder, identity, shards, parts, partial(_encode, autoencoder, device, advance), advance)
    return torch.cat([_verified(folder / name, shards[name], len(part)) for name, part in parts.items()])


def _fill(
    folder: Path,
    identity: dict[str, Any],
    shards: dict[str, str],
    parts: dict[str, NDArray[np.uint8]],
    encode: Callable[[NDArray[np.uint8]], Tensor],
    advance: Advance,
) -> None:
    """Write the shards that are missing, and the index after each."""
    for name, part in parts.items():
        if name in shards:
            advance(len(part))
            continue
        with replacing(folder / name) as temporary:
            write_safetensors({"latents": encode(part)}, temporary)
        shards[name] = sha256(folder / name)
        with replacing(folder / "index.json") as temporary:
            temporary.write_text(json.dumps({"identity": identity, "shards": shards}, indent=1))


def latent_example(latents: Tensor, *, flip: bool) -> Example:
    """A draw from each picture's latent distribution, of the picture or of its mirror image."""

    def example(index: int, generator: torch.Generator) -> Tensor:
        mirrored = flip and bool(torch.rand((), generator=generator) < 0.5)
        mean, deviation = latents[index, int(mirrored)]
        return mean + deviation * torch.randn(mean.shape, generator=generator)

    return example


def _encode(autoencoder: Autoencoder, device: torch.device, advance: Advance, pixels: NDArray[np.uint8]) -> Tensor:
    rows = []
    for picture in pixels:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
        both = [torch.cat(autoencoder.encode(view)) for view in (image, image.flip(-1))]
        rows.append(torch.stack(both).cpu())
        if not torch.isfinite(rows[-1]).all():
            raise DataError(f"{autoencoder.source}: encodes a picture as NaN or infinity; take another `autoencoder`")
        advance(1)
    return torch.stack(rows)


def _identity(pixels: NDArray[np.uint8], autoencoder: Autoencoder) -> dict[str, Any]:
    return {
        "pictures_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
        "autoencoder_sha256": autoencoder.weights_sha256,
        "scale": autoencoder.scale,
        "shift": autoencoder.shift,
    }


def _read_index(folder: Path, identity: dict[str, Any]) -> dict[str, str]:
    """SHA-256 by shard."""
    path = folder / "index.json"
    if not path.exists():
        return {}
    try:
        index = json.loads(path.read_text())
        found, shards = index["identity"], {str(name): str(digest) for name, digest in index["shards"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is not readable ({error}); remove {folder} to encode again") from error
    if found != identity:
        raise DataError(f"{folder}: holds latents of other pictures or another autoencoder; name another folder")
    return shards


def _verified(path: Path, digest: str, count: int) -> Tensor:
    if not path.is_file() or sha256(path) != digest:
        raise DataError(f"{path}: is missing or damaged; remove the folder {path.parent} to encode again")
    try:
        latents = load_file(path)["latents"]
    except (SafetensorError, KeyError) as error:
        raise DataError(f"{path}: holds no latents; remove the folder {path.parent} to encode again") from error
    if len(latents) != count or not torch.isfinite(latents).all():
        raise DataError(
            f"{path}: expected {count} finite latents, got {len(latents)} or NaN; remove the folder {path.parent} to "
            "encode again"
        )
    return latents
