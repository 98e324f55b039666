"""Equal bytes for equal contents: the safetensors library writes the header's metadata in an order of chance."""

import json
import struct
from pathlib import Path


def sort_header(path: Path) -> None:
    """Sort the metadata of a `.safetensors` file in place; the tensors and their offsets stay where they are."""
    with path.open("r+b") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        metadata = dict(sorted(header.pop("__metadata__").items()))
        ordered = {"__metadata__": metadata, **header}
        data = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) <= length:
            stream.seek(8)
            stream.write(data.ljust(length))
