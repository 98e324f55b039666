"""Whether an encoded picture is whole, as far as its format can tell, and in a layout that is read as the file says.

PNG: the checksum and place of every chunk, and as many rows as the header says. JPEG: all scans and restart marks, and
coded pixels up to each mark. WebP: the lengths of the file and its chunks, and no lost end. GIF: all blocks, a first
frame that fills its canvas. BMP: every row. TIFF: every strip or tile, of its full length. PGM and PPM: every sample,
none above the maximum. Bytes after the end of a picture are allowed: cameras and tools append their own.

What cannot be known: JPEG, WebP, GIF, BMP, PPM and most TIFF carry no checksums, so a changed byte inside their pixels
decodes to other pixels without a word. So do a cut arithmetic-coded or lossless JPEG with an end mark put behind it, a
JPEG whose header gives less rows than were coded, fax-coded TIFF, and zeros at the end of a WebP that is flat there.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import PictureError
from .bmp_layout import bmp_damage
from .jpeg_pixels import decode_whole
from .jpeg_whole import mark_damage
from .netpbm import is_netpbm, netpbm_damage
from .png_whole import START as _PNG_START, chunk_damage, row_damage
from .tiff_layout import part_damage, table_damage, unusual_layout
from .webp_tail import tail_is_lost


def check_intact(data: bytes, name: str) -> None:
    """Raise PictureError when the parts of the encoded picture are not whole; other formats than these pass."""
    for kind, starts, damage in _CONTAINERS:
        if starts(data) and (reason := damage(data)):
            raise _damaged(name, kind, reason)


def check_contents(image: Image.Image, data: bytes, name: str) -> NDArray[np.uint8] | None:
    """Raise PictureError when the pixels of an opened picture are not all there; returns those of most JPEGs."""
    check_layout(image, name)
    kind, reason, pixels = image.format, None, None
    if kind == "TIFF":
        reason = part_damage(image, data)
    elif kind == "PNG":
        reason = row_damage(data) or _frame_damage(image, image.size)
    elif kind in ("JPEG", "MPO"):
        pixels, reason = decode_whole(image, data)
    elif kind == "BMP":
        reason = bmp_damage(data, image.mode)
    elif kind == "GIF":
        canvas = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        reason = _frame_damage(image, canvas if all(canvas) else image.size)
    if reason:
        raise _damaged(name, str(kind), reason)
    return pixels


def check_layout(image: Image.Image, name: str) -> None:
    """Raise PictureError when Pillow would decode an opened TIFF in another way than the file says."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.format == "TIFF" and (layout := unusual_layout(tags)):
        raise PictureError(f"{name}: a TIFF {layout}; save it again with 8 bits per channel, interleaved")


def check_end(data: bytes, kind: str, pixels: NDArray[np.uint8], name: str) -> None:
    """Raise PictureError when the decoded pixels show that the end of the file was lost."""
    if kind == "WEBP" and tail_is_lost(data, pixels):
        raise _damaged(name, "WebP", "its end was lost and left as zeros")


def _damaged(name: str, kind: str, reason: str) -> PictureError:
    return PictureError(f"{name}: damaged picture ({kind}: {reason}); replace it or use `on_error='skip'`")


def _frame_damage(image: Image.Image, canvas: tuple[int, int]) -> str | None:
    """The first frame must fill its canvas, except where the rest is transparent."""
    left, top, right, bottom = image.tile[0][1] if image.tile else (0, 0, *canvas)  # type: ignore[attr-defined]
    if right > canvas[0] or bottom > canvas[1]:
        return "its first frame reaches beyond its canvas"
    if (left, top, right, bottom) != (0, 0, *canvas) and "transparency" not in image.info:
        return "its first frame leaves a part of its canvas open"
    return None


def _webp_damage(data: bytes) -> str | None:
    end, at, pictures = 8 + int.from_bytes(data[4:8], "little"), 12, 0
    if end > len(data) + 1:  # a last padding byte may be missing
        return "it is shorter than its header says"
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
            if not (data[10] | data[at + 9]) & 0x80:
                return "it has no table of colours"
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


_CONTAINERS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], str | None]], ...] = (
    ("PNG", lambda data: data.startswith(_PNG_START), chunk_damage),
    ("JPEG", lambda data: data.startswith(b"\xff\xd8"), mark_damage),
    ("WebP", lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp_damage),
    ("GIF", lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif_damage),
    ("TIFF", lambda data: data.startswith((b"II", b"MM")), table_damage),
    ("Netpbm", is_netpbm, netpbm_damage),
)
