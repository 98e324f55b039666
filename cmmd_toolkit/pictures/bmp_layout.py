"""Which BMPs are read: those whose rows are all there, in a layout that Pillow decodes as the file says."""

import struct
from dataclasses import dataclass

_RAW, _RLE8, _RLE4, _MASKS = range(4)
_OLD_HEADER, _FILE_HEADER = 12, 14
_END_OF_ROW, _END_OF_PICTURE, _MOVE = 0, 1, 2
_DEPTH_OF_MODE = {"1": 1, "L": 8}


@dataclass(frozen=True)
class _Header:
    size: int
    pixels_at: int
    width: int
    height: int
    bits: int
    compression: int
    masks: tuple[int, int, int, int]


def bmp_damage(data: bytes, mode: str) -> str | None:
    """What is wrong with a BMP that Pillow opens in `mode`."""
    head = _header(data)
    if head.pixels_at < _FILE_HEADER + head.size:
        return "its pixels lie in its header"
    if _DEPTH_OF_MODE.get(mode, head.bits) != head.bits:
        return f"a palette of an unusual size for {head.bits} bits"
    if head.compression == _MASKS and (not any(head.masks) or (head.bits == 16 and head.masks[3])):
        return "its masks of colours are of an unusual kind"
    if head.compression in (_RLE8, _RLE4):
        return _run_damage(data, head)
    stride = (head.width * head.bits + 31) // 32 * 4
    return "it is shorter than its header says" if head.pixels_at + stride * head.height > len(data) else None


def _header(data: bytes) -> _Header:
    pixels_at, size = struct.unpack_from("<II", data, 10)
    if size == _OLD_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, colours, masks = _RAW, 0, (0, 0, 0, 0)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        colours = struct.unpack_from("<I", data, 46)[0]
        masks = struct.unpack_from("<IIII", data.ljust(70, b"\0"), 54)
        masks = masks if size >= 56 else (*masks[:3], 0)
    if pixels_at == _FILE_HEADER + size and bits <= 8:  # it forgets its palette, as Pillow knows
        pixels_at += (colours or 1 << bits) * (3 if size == _OLD_HEADER else 4)
    return _Header(size, pixels_at, width, abs(height), bits, compression, masks)


def _run_damage(data: bytes, head: _Header) -> str | None:
    """Runs must give every pixel, row by row."""
    at, row, column = head.pixels_at, 0, 0
    if at % 2:  # Pillow aligns to the file, others to the pixels
        return "its runs begin at an odd place"
    while at + 1 < len(data) and row < head.height:
        count, code = data[at], data[at + 1]
        at += 2
        if count:
            column += count
        elif code == _END_OF_ROW and column == head.width:
            row, column = row + 1, 0
        elif code > _MOVE:
            column += code
            size = (code + 1) // 2 if head.compression == _RLE4 else code
            at += size + size % 2
        else:
            break
        if column > head.width:
            return "a run is longer than its row"
    last = row == head.height - 1 and column == head.width
    return None if at <= len(data) and (last or row == head.height) else "its runs leave pixels out"
