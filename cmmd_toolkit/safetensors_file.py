"""Writing `.safetensors`: equal bytes for equal contents, into the file that was opened for it.

The library's `save_file` writes the metadata in an order of chance, and through a hidden file of its own, `.tmp` and
six letters, which a killed process leaves beside the target for ever.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"f": "F", "i": "I", "u": "U"}
_ALIGNMENT = 8


def write_safetensors(tensors: Mapping[str, NDArray[Any]], path: Path, metadata: Mapping[str, str]) -> None:
    """The format of https://github.com/huggingface/safetensors: length of the header, header, tensors by size of item.

    No copy of a contiguous little-endian tensor is made.
    """
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
