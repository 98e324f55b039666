"""PGM and PPM: grey and colour without compression, in bytes (P5, P6) or as text (P2, P3), up to 16 bits a channel.

Samples go from 0 to the file's own maximum, 1 to 65535, and are scaled to round(255 v / maximum). Pillow, which opens
the file and says its size, reads grey of 16 bits as 32.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_TEXT = (b"P2", b"P3")
_OTHERS = (b"P1", b"P4", b"P7", b"Pf", b"PF", b"Py")  # that Pillow opens as this format
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P[2356]" + 3 * (_SPACE + rb"(\d{1,10})") + rb"\s")
_COMMENT = re.compile(rb"#[^\r\n]*")
_GAP = re.compile(rb"\s")
_MOST, _DIGITS = 65535, 18
_PART = 2**20  # bytes of text whose words are held at a time
_LONGEST_HEADER = 2**16  # bytes, comments included: a file of blanks would be searched for seconds


@dataclass(frozen=True)
class _Header:
    kind: bytes
    width: int
    height: int
    maximum: int
    end: int

    @property
    def count(self) -> int:
        return self.width * self.height * _CHANNELS[self.kind]


def is_netpbm(data: bytes) -> bool:
    """Whether a file begins as Netpbm's formats do."""
    return (data[:2] in _CHANNELS or data[:2] in _OTHERS) and data[2:3].isspace()


def netpbm_damage(data: bytes) -> str | None:
    """What is wrong with a PGM or PPM; other kinds of Netpbm are not read."""
    if data[:2] in _OTHERS:
        return f"of kind {data[:2].decode()}, which is not read; save it as P5 (grey) or P6 (colour)"
    head = _header(data)
    if head is None:
        return f"its header is cut, longer than {_LONGEST_HEADER:,} bytes or has no width, height and maximum"
    if not 1 <= head.maximum <= _MOST:
        return f"its maximum is {head.maximum}, and 1 to {_MOST} are allowed"
    if not (head.width and head.height):
        return "it has no pixels"
    if head.count > len(data) - head.end:  # a byte or a digit each at least: nothing is read before this holds
        return "it is shorter than its header says"
    samples = _samples(data, head)
    if samples is None:
        return f"its samples are not whole numbers up to {_MOST}"
    if len(samples) < head.count:
        return "it is shorter than its header says"
    return "a sample is larger than its maximum" if int(samples.max()) > head.maximum else None


def netpbm_pixels(data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """RGB (H, W, 3) of a whole PGM or PPM, and what was converted."""
    head = _header(data)
    assert head is not None
    samples = _samples(data, head)
    assert samples is not None
    channels, maximum = _CHANNELS[head.kind], head.maximum
    shape = head.height, head.width, channels
    if maximum != 255:
        scaled = np.arange(maximum + 1, dtype=np.int64) * 510 + maximum
        samples = (scaled // (2 * maximum)).astype(np.uint8)[samples]
    pixels = samples.astype(np.uint8, copy=False).reshape(shape)
    notes = [] if maximum == 255 else [f"{maximum + 1:,} levels per channel scaled to 256"]
    notes += ["grey to RGB"] if channels == 1 else []
    return np.ascontiguousarray(np.broadcast_to(pixels, (*shape[:2], 3))), tuple(notes)


def _header(data: bytes) -> _Header | None:
    found = _HEADER.match(data, 0, _LONGEST_HEADER)
    if found is None:
        return None
    width, height, maximum = map(int, found.groups())
    return _Header(data[:2], width, height, maximum, found.end())


def _samples(data: bytes, head: _Header) -> NDArray[np.integer] | None:
    """As many as the header says, or all there are; None where text holds something else than numbers."""
    if head.kind not in _TEXT:
        kind = np.dtype(np.uint8 if head.maximum < 256 else ">u2")
        whole = (len(data) - head.end) // kind.itemsize
        return np.frombuffer(data, kind, min(head.count, whole), head.end)
    return _numbers(data[head.end :], head.count)


def _numbers(text: bytes, count: int) -> NDArray[np.integer] | None:
    """The first whole numbers of a text, part by part; None where something else stands among them."""
    text = _COMMENT.sub(b"", text) if b"#" in text else text
    samples, filled, at = np.empty(count, np.uint16), 0, 0
    while filled < count and at < len(text):
        space = _GAP.search(text, at + _PART)
        end = len(text) if space is None else space.end()
        part = text[at:end].split(maxsplit=count - filled)[: count - filled]
        if not all(word.isdigit() and len(word) <= _DIGITS for word in part):
            return None
        values = np.array(part).astype(np.int64)
        if len(values) and int(values.max()) > _MOST:
            return None
        samples[filled : filled + len(part)] = values
        filled, at = filled + len(part), end
    return samples[:filled]
