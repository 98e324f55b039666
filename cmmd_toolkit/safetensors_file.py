"""Writing `.safetensors`: equal bytes for equal contents, into the file that was opened for it.

The library's `save_file` writes the metadata in an order of chance, and through a hidden file of its own, `.tmp` and
six letters, which a killed process leaves beside the target for ever.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"f": "F", "i": "I", "u": "U"}
_ALIGNMENT = 8
_CHECKSUM = "sha256"


def write_safetensors(tensors: Mapping[str, NDArray[Any]], path: Path, metadata: Mapping[str, str]) -> None:
    """The format of https://github.com/huggingface/safetensors: length of the header, header, tensors by size of item.

    No copy of a contiguous little-endian tensor is made. The metadata gains a checksum, which the format lacks.
    """
    metadata = {**metadata, _CHECKSUM: _checksum(tensors, metadata)}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    start = 0
    for name, tensor in ordered:
        kind = f"{_KINDS[tensor.dtype.kind]}{8 * tensor.dtype.itemsize}"
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [start, start + tensor.nbytes]}
        start += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in ordered:
            stream.write(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).data)


def is_whole(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bool:
    """Whether what was read is what was written; files without a checksum, of older versions and other tools, pass."""
    return metadata.get(_CHECKSUM) in (None, _checksum(tensors, metadata))


def _checksum(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(item for item in metadata.items() if item[0] != _CHECKSUM)).encode())
    for name, tensor in sorted(tensors.items()):
        little = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
        digest.update(repr((name, little.dtype.str, little.shape)).encode())
        digest.update(little.data)
    return digest.hexdigest()
