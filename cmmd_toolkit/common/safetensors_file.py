"""`.safetensors`: equal bytes for equal contents, into the file that was opened for it; large tensors stay in the file.

The library's `save_file` writes the metadata in an order of chance, and through a hidden file of its own, `.tmp` and
six letters, which a killed process leaves beside the target for ever.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"f": "F", "i": "I", "u": "U"}
_ALIGNMENT = 8
_MAPPED = 64 * 2**20  # bytes: a larger tensor is not read but memory-mapped
_CHECKSUM = "sha256"


def write_safetensors(tensors: Mapping[str, NDArray[Any]], path: Path, metadata: Mapping[str, str]) -> None:
    """Write arrays, and a checksum among the metadata, which the format lacks."""
    little = {name: _little(tensor) for name, tensor in tensors.items()}
    parts = {name: _part(array) for name, array in little.items()}
    write_parts(parts, path, {**metadata, _CHECKSUM: _checksum(little, metadata)})


@dataclass(frozen=True)
class Part:
    """One tensor: its kind as the format calls it, shape, bytes an element, and its little-endian bytes."""

    kind: str
    shape: tuple[int, ...]
    item_size: int
    data: memoryview


def _part(array: NDArray[Any]) -> Part:
    size = array.dtype.itemsize
    return Part(f"{_KINDS[array.dtype.kind]}{8 * size}", array.shape, size, array.data)


def write_parts(parts: Mapping[str, Part], path: Path, metadata: Mapping[str, str]) -> None:
    """The format of https://github.com/huggingface/safetensors: length of the header, header, tensors by size of item.

    No copy of a tensor is made.
    """
    ordered = sorted(parts.items(), key=lambda item: (-item[1].item_size, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    start = 0
    for name, part in ordered:
        header[name] = {"dtype": part.kind, "shape": part.shape, "data_offsets": [start, start + part.data.nbytes]}
        start += part.data.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for _, part in ordered:
            stream.write(part.data)


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a file; arrays of more than 64 MiB are memory-mapped, read-only.

    The library checks the header: it raises its own SafetensorError, and OSError.
    """
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as stream:
        places = _places(path)
        tensors = {
            name: _mapped(path, places[name]) if _is_large(places[name]) else stream.get_tensor(name)
            for name in stream.keys()  # noqa: SIM118 (not a dict)
        }
        return tensors, stream.metadata() or {}


def map_tensor(path: Path, name: str) -> NDArray[Any]:
    """One array of a file, memory-mapped, read-only, whatever its size. Raises KeyError where there is none.

    The library checks the header: it raises its own SafetensorError.
    """
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):
        return _mapped(path, _places(path)[name])


def _places(path: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Kind, shape, and first and last byte in the file of every tensor."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    start = 8 + length
    return {
        name: (own["dtype"], tuple(own["shape"]), *(start + offset for offset in own["data_offsets"]))
        for name, own in header.items()
    }


def _is_large(place: tuple[str, tuple[int, ...], int, int]) -> bool:
    kind, _, first, last = place
    return last - first > _MAPPED and kind[0] in _KINDS.values() and kind[1:].isdecimal()


def _mapped(path: Path, place: tuple[str, tuple[int, ...], int, int]) -> NDArray[Any]:
    kind, shape, first, _ = place
    dtype = f"<{kind[0].lower()}{int(kind[1:]) // 8}"
    return np.asarray(np.memmap(path, dtype, "r", first, shape))


def is_whole(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bool:
    """Whether what was read is what was written; files without a checksum, of older versions and other tools, pass."""
    return _CHECKSUM not in metadata or metadata[_CHECKSUM] == _checksum(tensors, metadata)


def _checksum(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(item for item in metadata.items() if item[0] != _CHECKSUM)).encode())
    for name, tensor in sorted(tensors.items()):
        little = _little(tensor)
        digest.update(repr((name, little.dtype.str, little.shape)).encode())
        digest.update(little.data)
    return digest.hexdigest()


def _little(tensor: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(tensor, tensor.dtype.newbyteorder("<"), order="C")
