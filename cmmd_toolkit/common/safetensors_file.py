"""Writing `.safetensors`: equal bytes for equal contents, into the file that was opened for it.

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
