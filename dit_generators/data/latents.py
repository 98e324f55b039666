"""Latents of pictures, encoded once by all processes: mean and deviation of each picture and of its mirror image.

A cache is a folder of safetensors shards and an index with the SHA-256 of each; damage is found before training. The
latents stay in the files, which are memory-mapped: the system keeps in memory what it has room for.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from cmmd_toolkit.common.files import sha256
from cmmd_toolkit.common.progress import Advance, ShowProgress
from cmmd_toolkit.common.safetensors_file import map_tensor
from cmmd_toolkit.common.writing import replacing

from ..common.agreement import check_agreement
from ..common.files import locked, read_text, write_json, write_safetensors
from ..common.processes import ALONE, Processes
from ..errors import DataError
from ..weights.autoencoder import ENCODED_AT_ONCE, Autoencoder
from .pixels import Pixels, take

_SHARD = 1024  # pictures
_PICTURES = ("pictures_sha256", "picture_digests_sha256")  # what an index may know its pictures by


@dataclass(frozen=True)
class Latents:
    """float32 (N, 2 flips, 2 mean and deviation, C, h, w) in files of `_SHARD` pictures each."""

    shards: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 2, 2, C, h, w)."""
        return len(self), *self.shards[0].shape[1:]

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """(2, 2, C, h, w) of one picture."""
        return self.shards[index // _SHARD][index % _SHARD]


def encode_pictures(
    pixels: Pixels,
    autoencoder: Autoencoder,
    folder: Path,
    device: torch.device,
    show_progress: ShowProgress,
    *,
    digest: str | None = None,
    processes: Processes = ALONE,
) -> Latents:
    """The latents of pictures, from the cache in `folder` where it is whole; `digest` is the hash of the pictures.

    Shards that are there already are kept: an interrupted encoding is resumed. Processes share the shards.
    """
    identity = _identity(pixels, autoencoder, digest)
    lengths = {
        f"{i // _SHARD:05d}.safetensors": range(i, min(i + _SHARD, len(pixels))) for i in range(0, len(pixels), _SHARD)
    }
    shards = _read_index(folder, identity)
    processes.wait()  # all have read the index before it is written
    if not lengths.keys() <= shards.keys():
        with ExitStack() as held:
            if processes.is_main:
                held.enter_context(locked(folder))
            processes.wait()
            check_agreement(folder, identity, processes)
            shards = _read_index(folder, identity)  # another run may have encoded some since
            processes.wait()
            missing = {name: part for name, part in lengths.items() if name not in shards}
            mine = sum(map(len, list(missing.values())[processes.rank :: processes.count]))
            with show_progress("latents", mine) as advance:
                encode = partial(_encode, pixels, autoencoder, device, advance)
                _fill(folder, identity, shards, missing, encode, processes)
    return Latents(_verified(folder, shards, lengths, processes))


def _fill(
    folder: Path,
    identity: dict[str, Any],
    shards: dict[str, str],
    missing: dict[str, range],
    encode: Callable[[range], Tensor],
    processes: Processes,
) -> None:
    """Write the shards that are missing, one a process at a time, and the index after each round."""
    names = list(missing)
    for first in range(0, len(names), processes.count):
        own = {}
        for name in names[first + processes.rank : first + processes.count][:1]:
            with replacing(folder / name) as temporary:
                write_safetensors({"latents": encode(missing[name])}, temporary)
            own[name] = sha256(folder / name)
        for made in processes.gather(own):
            shards |= made
        if processes.is_main:
            write_json({"identity": identity, "shards": shards}, folder / "index.json")


@dataclass(frozen=True)
class LatentExamples:
    """A draw from each picture's latent distribution, of the picture or of its mirror image."""

    latents: Latents
    flip: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, h, w)."""
        channels, rows, columns = self.latents.shape[3:]
        return channels, rows, columns

    def draw(self, generator: torch.Generator) -> tuple[bool, Tensor]:
        """Whether it is mirrored, and the noise of its latent."""
        mirrored = self.flip and bool(torch.rand((), generator=generator) < 0.5)
        return mirrored, torch.randn(self.shape, generator=generator)

    def make(self, indices: Sequence[int], draws: Sequence[tuple[bool, Tensor]]) -> Tensor:
        """See `Examples`."""
        rows = [self.latents[index][int(mirrored)] for index, (mirrored, _) in zip(indices, draws, strict=True)]
        mean, deviation = torch.from_numpy(np.stack(rows, axis=1))
        return mean + deviation * torch.stack([noise for _, noise in draws])


def _encode(pixels: Pixels, autoencoder: Autoencoder, device: torch.device, advance: Advance, rows: range) -> Tensor:
    """float32 (n, 2, 2, C, h, w) of these pictures, a few at once."""
    encoded = []
    for first in range(0, len(rows), ENCODED_AT_ONCE):
        part = np.stack(take(pixels, rows[first : first + ENCODED_AT_ONCE]))
        images = torch.from_numpy(part).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        both = [torch.stack(autoencoder.encode(view), dim=1) for view in (images, images.flip(-1))]
        encoded.append(torch.stack(both, dim=1).cpu())
        if not torch.isfinite(encoded[-1]).all():
            raise DataError(f"{autoencoder.source}: encodes a picture as NaN or infinity; use another `autoencoder`")
        advance(len(part))
    return torch.cat(encoded)


def _identity(pixels: Pixels, autoencoder: Autoencoder, digest: str | None) -> dict[str, Any]:
    known = {"picture_digests_sha256": digest} if digest else {}
    if isinstance(pixels, np.ndarray):  # as caches of earlier versions know them
        known["pictures_sha256"] = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
    return known | {
        "autoencoder_sha256": autoencoder.weights_sha256,
        **autoencoder.factors,
    }


def _read_index(folder: Path, identity: dict[str, Any]) -> dict[str, str]:
    """SHA-256 by shard."""
    path = folder / "index.json"
    if not path.exists():
        return {}
    try:
        index = json.loads(read_text(path))
        found, shards = index["identity"], {str(name): str(digest) for name, digest in index["shards"].items()}
        is_same = _agree(found, identity)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is not readable ({error}); remove {folder} to encode again") from error
    if not is_same:
        raise DataError(f"{folder}: holds latents of other pictures or another autoencoder; name another folder")
    return shards


def _agree(found: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Whether the pictures are the same by each hash that both know, one at least, and all else is equal."""
    common = [name for name in _PICTURES if name in found and name in identity]
    rest = [name for name in identity if name not in _PICTURES]
    return bool(common) and all(found.get(name) == identity[name] for name in (*common, *rest))


def _verified(folder: Path, shards: dict[str, str], lengths: dict[str, range], processes: Processes) -> list[Any]:
    """All shards, memory-mapped; each is verified by one of the processes. Raises DataError in all for damage."""
    fault = None
    try:
        for name in processes.share(lengths):
            _verify(folder / name, shards[name], len(lengths[name]))
    except DataError as error:
        fault = error
    for found in processes.gather(fault):
        if found is not None:
            raise found
    return [_mapped(folder / name) for name in lengths]


def _verify(path: Path, digest: str, count: int) -> None:
    if not path.is_file() or sha256(path) != digest:
        raise DataError(f"{path}: is missing or damaged; remove the folder {path.parent} to encode again")
    latents = _mapped(path)
    if len(latents) != count or not np.isfinite(latents).all():
        raise DataError(
            f"{path}: expected {count} finite latents, got {len(latents)} or NaN; remove the folder {path.parent} to "
            "encode again"
        )


def _mapped(path: Path) -> NDArray[np.float32]:
    try:
        return map_tensor(path, "latents")
    except (SafetensorError, KeyError) as error:
        raise DataError(f"{path}: holds no latents; remove the folder {path.parent} to encode again") from error
