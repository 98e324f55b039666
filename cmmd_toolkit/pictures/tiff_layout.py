"""Which TIFFs are read: those whose pixels are all there, in a layout that Pillow decodes as the file says.

TIFF leaves much open. What other readers show in another way than Pillow, or Pillow wrongly without a word, is refused.
"""

import contextlib
import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from PIL import Image

from .jpeg_whole import mark_damage, pixel_damage, read_marks

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS, _PLANAR, _PREDICTOR = 258, 259, 262, 277, 278, 284, 317
_COLOURS, _TILE_WIDTH, _TILE_LENGTH, _INKS, _FORMAT, _JPEG_TABLES = 320, 322, 323, 332, 339, 347
_PLACES = ((273, 279, "strip"), (324, 325, "tile"))  # tags: offsets, numbers of bytes
_RAW, _OLD_JPEG, _JPEG = 1, 6, 7
_PREDICTED = (5, 8, 32946, 34925, 50000)  # compressions that a predictor goes with: LZW, deflate, LZMA, zstd
_BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 1, 2, 3, 5, 6
_SIGNED = 2
_MOST_PARTS = 400_000  # strips or tiles: more take minutes


def unusual_layout(tags: Any) -> str | None:
    """What of the layout is not decoded as the file says, or None."""
    photometric, planes = tags.get(_PHOTOMETRIC), tags.get(_PLANAR) == 2
    compression, bits = tags.get(_COMPRESSION, _RAW), _several(tags.get(_BITS, 1))
    if photometric is None:
        return "without a photometric interpretation"
    if _SIGNED in _several(tags.get(_FORMAT, 1)):
        return "with signed samples"
    if tags.get(_PREDICTOR, 1) != 1 and compression not in _PREDICTED:
        return "with a predictor that its compression does not have"
    kinds = (_RGB, _CMYK) if tags.get(_SAMPLES, 1) > 1 else (_BLACK_IS_ZERO,)
    if planes and (set(bits) != {8} or photometric not in kinds):
        return "with separate planes of this kind"
    if photometric == _CMYK and tags.get(_INKS, 1) != 1:
        return "with inks other than CMYK"
    if photometric == _YCBCR and compression == _RAW:
        return "with uncompressed YCbCr"
    if compression == _OLD_JPEG:
        return "with JPEG compression of the old kind"
    if photometric == _PALETTE and not _is_palette(tags.get(_COLOURS), max(bits)):
        return "with a palette of an unusual size"
    return None


def table_damage(data: bytes) -> str | None:
    """What is wrong with the size of the first page's table of strips or tiles, before Pillow makes a list of it."""
    order: Literal["big", "little"] = "big" if data.startswith(b"MM") else "little"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    wide = 43 in data[2:4]  # BigTIFF
    table = number(8, 8) if wide else number(4, 4)
    head, entry, size = (8, 20, 8) if wide else (2, 12, 4)
    for at in range(table + head, table + head + entry * min(number(table, head), 1000), entry):
        count = number(at + 4, size)
        for tag, _, word in _PLACES:
            if number(at, 2) == tag and count > _MOST_PARTS:
                return f"{count:,} {word}s are more than {_MOST_PARTS:,}"
    return None


def part_damage(image: Image.Image, data: bytes) -> str | None:
    """What is wrong with the strips or tiles of an opened TIFF; silences libtiff."""
    silence_libtiff()
    tags = image.tag_v2  # type: ignore[attr-defined]
    for offset_tag, count_tag, word in _PLACES:
        if offset_tag in tags:
            return _parts_damage(tags, _numbers(tags[offset_tag]), _numbers(tags.get(count_tag)), word, data)
    return None  # Pillow refuses a picture without any


def _parts_damage(
    tags: Any, offsets: Sequence[int] | None, counts: Sequence[int] | None, word: str, data: bytes
) -> str | None:
    shapes = _shapes(tags, word)
    if offsets is None or counts is None or not shapes or (counts and len(counts) != len(offsets)):
        return f"its table of {word}s makes no sense"
    columns, rows, number = shapes
    if len(offsets) != number:
        return f"it has {len(offsets):,} {word}s of {number:,}"
    raw = tags.get(_COMPRESSION, _RAW) == _RAW
    for i, offset in enumerate(offsets):
        least = _raw_bytes(tags, columns, rows(i)) if raw else 1
        count = counts[i] if counts else least
        if offset + max(count, least) > len(data):
            return f"{word} {i} lies beyond the end of the file"
        if count < least:
            return f"{word} {i} is too short"
        if tags.get(_COMPRESSION) == _JPEG and (reason := _jpeg_damage(tags, data[offset : offset + count], rows(i))):
            return f"{word} {i}: {reason}"
    return None


def _shapes(tags: Any, word: str) -> tuple[int, Any, int] | None:
    """Columns of a part, rows of part i, and the number of parts."""
    width, height = tags[256], tags[257]
    planes = tags.get(_SAMPLES, 1) if tags.get(_PLANAR) == 2 else 1
    wide, tall = (tags.get(_TILE_WIDTH), tags.get(_TILE_LENGTH)) if word == "tile" else (width, tags.get(_ROWS, height))
    if not all(isinstance(edge, int) and edge > 0 for edge in (wide, tall, planes)):
        return None
    if word == "tile":
        return wide, lambda i: tall, -(-width // wide) * -(-height // tall) * planes
    down = -(-height // tall)
    return wide, lambda i: min(tall, height - i % down * tall), down * planes


def _raw_bytes(tags: Any, columns: int, rows: int) -> int:
    bits, samples = _several(tags.get(_BITS, 1)), tags.get(_SAMPLES, 1)
    return rows * ((columns * max(bits) * (1 if tags.get(_PLANAR) == 2 else samples) + 7) // 8)


def _jpeg_damage(tags: Any, part: bytes, rows: int) -> str | None:
    tables = tags.get(_JPEG_TABLES, b"")
    whole = tables.removesuffix(b"\xff\xd9") + part[2:] if tables else part
    if reason := mark_damage(whole):
        return reason
    if read_marks(whole).height < rows:
        return "its coded pixels end early"
    if reason := pixel_damage(whole):
        return reason
    return None


def _is_palette(values: Any, bits: int) -> bool:
    """Whether it has a colour for every value, of 16 bits: some writers put 8, which Pillow shows as black."""
    return isinstance(values, tuple) and len(values) == 3 << bits and (max(values) > 255 or max(values) == 0)


def _several(values: Any) -> tuple[int, ...]:
    return values if isinstance(values, tuple) else (values,)


def _numbers(values: Any) -> Sequence[int] | None:
    """Whole numbers of a tag, none where it is absent; None when they are something else."""
    values = () if values is None else _several(values)
    return values if all(isinstance(value, int) and value >= 0 for value in values) else None


@cache
def silence_libtiff() -> None:
    """libtiff writes errors to the terminal by itself; Pillow raises what matters."""
    from PIL import _imaging

    with contextlib.suppress(OSError, AttributeError):  # a Pillow without libtiff, or one linked in another way
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
