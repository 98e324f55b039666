"""Whether an encoded picture is whole, as far as its format can tell, before it is decoded.

PNG: the checksum of every chunk, up to the end chunk. JPEG: the end mark after the last scan. WebP: the lengths of the
file and its chunks. GIF: all blocks, up to the trailer. TIFF: every strip or tile lies within the file. Bytes after the
end of a picture are allowed: cameras and tools append their own.

What cannot be known: JPEG, lossy WebP, BMP and most TIFF carry no checksums, so a changed byte inside their pixels, or
a JPEG whose missing second half was replaced by an end mark, decodes to other pixels without a word.
"""

import contextlib
import ctypes
import re
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from PIL import Image

from .errors import PictureError

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_PLACES = ((273, 279, "strip"), (324, 325, "tile"))  # TIFF tags: offsets, numbers of bytes


def check_intact(data: bytes, name: str) -> None:
    """Raise PictureError when the encoded picture is not whole; other formats than those named above pass."""
    if data.startswith(_PNG_START):
        kind, reason = "PNG", _png_damage(data)
    elif data.startswith(b"\xff\xd8"):
        kind, reason = "JPEG", _jpeg_damage(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        kind, reason = "WebP", _webp_damage(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        kind, reason = "GIF", _gif_damage(data)
    else:
        return
    if reason:
        raise _damaged(name, kind, reason)


def check_places(image: Image.Image, size: int, name: str) -> None:
    """Raise PictureError when pixels of an opened TIFF lie beyond the `size` bytes of its file."""
    if image.format != "TIFF":
        return
    tags = image.tag_v2  # type: ignore[attr-defined]
    for offset_tag, count_tag, word in _PLACES:
        offsets, counts = _numbers(tags.get(offset_tag)), _numbers(tags.get(count_tag))
        if offsets is None or counts is None or (counts and len(counts) != len(offsets)):
            raise _damaged(name, "TIFF", f"its table of {word}s makes no sense")
        for i, offset in enumerate(offsets):
            if offset + (counts[i] if counts else 1) > size:
                raise _damaged(name, "TIFF", f"{word} {i} lies beyond the end of the file")


def _damaged(name: str, kind: str, reason: str) -> PictureError:
    return PictureError(f"{name}: damaged picture ({kind}: {reason}); replace it or use --on-error skip")


def _png_damage(data: bytes) -> str | None:
    at = len(_PNG_START)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        kind = data[at + 4 : at + 8]
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"wrong checksum of chunk {kind.decode('ascii', 'replace')}"
        if kind == b"IEND":
            return None
        at = end
    return "it ends before its end chunk"


def _jpeg_damage(data: bytes) -> str | None:
    at, scans, pattern = 2, 0, _JPEG_MARKER
    while found := pattern.search(data, at):
        marker, at, pattern = found[1][0], found.end(), _JPEG_MARKER
        if marker == _END_OF_IMAGE:
            return None if scans else "it holds no picture"
        if marker in _WITHOUT_LENGTH:
            continue
        at += int.from_bytes(data[at : at + 2], "big")
        if marker == _START_OF_SCAN:
            scans, pattern = scans + 1, _AFTER_SCAN
    return "it does not end in its end mark"


def _webp_damage(data: bytes) -> str | None:
    end, at, pictures = 8 + int.from_bytes(data[4:8], "little"), 12, 0
    if end > len(data) + 1:  # a last padding byte may be missing
        return "it is shorter than it says"
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > end:
            return "a chunk is longer than the file"
        pictures += data[at : at + 4] in (b"VP8 ", b"VP8L", b"ANMF")
        at += 8 + size + size % 2
    return None if pictures else "it holds no picture"


def _gif_damage(data: bytes) -> str | None:
    if len(data) < 13:
        return "it ends in its header"
    at, pictures = 13 + _table(data[10]), 0
    while at < len(data):
        block = data[at]
        if block == 0x3B:
            return None if pictures else "it holds no picture"
        if block == 0x2C and at + 10 < len(data):
            pictures += 1
            at += 11 + _table(data[at + 9])
        elif block == 0x21:
            at += 2
        else:
            return "an unknown block"
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return "it ends before its trailer"


def _table(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _numbers(values: Any) -> Sequence[int] | None:
    """Whole numbers of a TIFF tag, none where it is absent; None when they are something else."""
    values = () if values is None else values if isinstance(values, tuple) else (values,)
    return values if all(isinstance(value, int) and value >= 0 for value in values) else None


@cache
def silence_libtiff() -> None:
    """libtiff writes errors and warnings to the terminal by itself; Pillow raises what matters."""
    from PIL import _imaging

    with contextlib.suppress(OSError, AttributeError):  # a Pillow without libtiff, or one linked in another way
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
