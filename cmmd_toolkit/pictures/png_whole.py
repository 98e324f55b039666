"""Whether a PNG is whole: its chunks by their checksums and order, its rows by unpacking them."""

import struct
import zlib
from collections.abc import Iterator

START = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"iCCP")
_BEFORE_PIXELS = (b"IHDR", b"PLTE", b"tRNS")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MOST_CHUNKS = 200_000  # more take longer to walk than any picture to decode
_PIECE, _UNPACKED = 1 << 16, 1 << 20  # bytes fed to zlib and taken from it at a time


def chunk_damage(data: bytes) -> str | None:
    """What is wrong with the chunks, up to the end chunk."""
    seen: set[bytes] = set()
    for number, (kind, start, end) in enumerate(_chunks(data)):
        shown = kind.decode("ascii", "replace")
        if number == _MOST_CHUNKS:
            return f"more than {_MOST_CHUNKS:,} chunks"
        if zlib.crc32(memoryview(data)[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return f"wrong checksum of chunk {shown}"
        late = (kind in _BEFORE_PIXELS and b"IDAT" in seen) or (kind == b"PLTE" and b"tRNS" in seen)
        if late or (kind in _ONCE and kind in seen) or (kind == b"IHDR") != (not seen):
            return f"chunk {shown} is out of place"
        if kind not in _CRITICAL and kind[0] & 0x20 == 0:
            return f"unknown critical chunk {shown}"
        if kind == b"IHDR" and not _is_header(data[start:end]):
            return "a header that makes no sense"
        if kind == b"PLTE" and (end - start) % 3:
            return "a palette that makes no sense"
        seen.add(kind)
        if kind == b"IEND":
            return "it has no palette" if data[25] == _PALETTE and b"PLTE" not in seen else None
    return "it ends before its end chunk"


def row_damage(data: bytes) -> str | None:
    """What is wrong with the packed rows of a PNG whose chunks are right: they must be as many as the header says."""
    expected, found, inflater = _bytes_of_rows(data), 0, zlib.decompressobj()
    try:
        for piece in _pieces(data):
            while piece and found <= expected and not inflater.eof:
                found += len(inflater.decompress(piece, _UNPACKED))
                piece = inflater.unconsumed_tail
    except zlib.error:
        return "its rows cannot be unpacked"
    if found > expected:
        return "it holds more rows than its header says"
    return None if found == expected and inflater.eof else "its rows end early"


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last place of the contents of each chunk that lies within the file."""
    at = len(START)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, end
        at = end + 4


def _is_header(head: bytes) -> bool:
    return len(head) == 13 and head[9] in _CHANNELS and head[10:12] == b"\0\0" and head[12] < 2


def _bytes_of_rows(data: bytes) -> int:
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((x - width) // dx), -((y - height) // dy)) for x, y, dx, dy in passes]
    return sum(rows * (1 + (columns * bits * _CHANNELS[kind] + 7) // 8) for columns, rows in sizes if columns > 0)


def _pieces(data: bytes) -> Iterator[bytes]:
    for kind, start, end in _chunks(data):
        if kind == b"IDAT":
            for at in range(start, end, _PIECE):
                yield data[at : min(at + _PIECE, end)]
        elif kind == b"IEND":
            return
