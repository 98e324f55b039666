"""Hand-made PNG bytes that no encoder would write."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be `width` x `height` and holds next to nothing."""
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def png16(values: NDArray[np.uint16], key: tuple[int, ...] = ()) -> bytes:
    """A PNG of 1 to 4 channels (H, W, C) with 16 bits each; `key` is its transparent colour."""
    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [chunk(b"IHDR", head)] + ([chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))] if key else [])
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
