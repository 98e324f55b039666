"""Whether a JPEG is whole: its scans by their headers, its coded pixels by the warnings of libjpeg.

A decoder that meets a mark before all pixels are coded fills the rest with grey; libjpeg warns, and Pillow passes over
the warning. simplejpeg makes it an error, and is the decoder of most pictures (jpeg_pixels.py).
"""

import re
from dataclasses import dataclass, field

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_END, _SCAN, _INTERVAL = 0xD9, 0xDA, 0xDD
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_PROGRESSIVE, _LOSSLESS, _ARITHMETIC = (0xC2, 0xC6, 0xCA, 0xCE), (0xC3, 0xC7, 0xCB, 0xCF), range(0xC9, 0xD0)
_MOST_SCANS, _MOST_FILL = 64, 1 << 16  # encoders write 12 scans at most; more, or endless fill, take minutes
_EARLY, _DAMAGED = "its coded pixels end early", "its coded pixels are damaged"
_WARNINGS = (  # bytes before the end mark, which some cameras write, are no damage
    (re.compile("premature end"), _EARLY),
    (re.compile("bad Huffman code|instead of RST|extraneous bytes before marker 0x(?!d9)"), _DAMAGED),
)


@dataclass
class _Scan:
    components: tuple[int, ...]
    first: int  # coefficients of this scan
    last: int
    bit: int  # the lowest bit of the coefficients that is known after this scan
    interval: int
    restarts: list[int] = field(default_factory=list)


@dataclass
class Jpeg:
    """What the marks of a JPEG say."""

    frame: int = 0
    width: int = 0
    height: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    scans: list[_Scan] = field(default_factory=list)
    ended: bool = False
    reason: str | None = None


def read_marks(data: bytes) -> Jpeg:
    """Walk the marks up to the end mark, or to the first that makes no sense."""
    found, at, interval = Jpeg(), 2, 0
    while (mark := _MARKER.search(data, at)) and not found.reason:
        kind, at = mark[1][0], mark.end()
        if _is_endless_fill(data, mark.start()):
            found.reason = "endless fill bytes"
        if kind == _END:
            found.ended = True
            return found
        if kind in _WITHOUT_LENGTH:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        segment, at = data[at + 2 : end], end
        if kind in _FRAMES:
            _read_frame(found, kind, segment)
        elif kind == _INTERVAL:
            interval = int.from_bytes(segment[:2], "big")
        elif kind == _SCAN:
            at = _read_scan(found, segment, data, at, interval)
    return found


def mark_damage(data: bytes) -> str | None:
    """What is wrong with the marks and scan headers."""
    found = read_marks(data)
    if found.reason or not found.ended:
        return found.reason or "it is cut off: its end mark is missing"
    if not found.scans or not found.sampling:
        return "it holds no picture"
    if _lacks_scans(found):
        return "some of its scans are missing"
    return next((reason for scan in found.scans if (reason := _restart_damage(found, scan))), None)


def pixel_damage(data: bytes) -> str | None:
    """What is wrong with the coded pixels, by libjpeg's warnings; None where it cannot tell (arithmetic, lossless)."""
    import simplejpeg

    try:
        colours = "CMYK" if simplejpeg.decode_jpeg_header(data)[2] == "CMYK" else "GRAY"
        simplejpeg.decode_jpeg(data, colours, strict=True, min_factor=8)  # small, but every coded bit is read
    except ValueError as error:
        return warned_damage(error)
    return None


def warned_damage(error: ValueError) -> str | None:
    """The damage that an error of simplejpeg tells of; None where it is another warning, or no damage."""
    return next((reason for said, reason in _WARNINGS if said.search(str(error))), None)


def _is_endless_fill(data: bytes, start: int) -> bool:
    return data[start - _MOST_FILL : start] == b"\xff" * _MOST_FILL if data[start - 1] == 0xFF else False


def _read_frame(found: Jpeg, kind: int, segment: bytes) -> None:
    parts = [segment[i : i + 3] for i in range(6, len(segment) - 2, 3)]
    sampling = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts}
    if found.frame or len(segment) < 9 or len(sampling) != segment[5] or 0 in sum(sampling.values(), ()):
        found.reason = "a header that makes no sense"
        return
    found.frame, found.sampling = kind, sampling
    found.height, found.width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")


def _read_scan(found: Jpeg, segment: bytes, data: bytes, at: int, interval: int) -> int:
    """Add a scan; returns the place of the mark behind it."""
    count = segment[0] if segment else 0
    components = tuple(segment[1 : 1 + 2 * count : 2])
    if len(segment) < 2 * count + 4 or not set(components) <= set(found.sampling) or not components:
        found.reason = "a scan that makes no sense"
        return at
    first, last, bits = segment[2 * count + 1 : 2 * count + 4]
    scan = _Scan(components, first, min(last, 63), bits & 15, interval)
    found.scans.append(scan)
    if len(found.scans) > _MOST_SCANS:
        found.reason = f"more than {_MOST_SCANS} scans"
    most = _intervals(found, scan) + 1
    while (mark := _MARKER.search(data, at)) and not found.reason:
        if mark[1][0] not in _RESTARTS:
            return mark.start()
        scan.restarts.append(mark[1][0] - _RESTARTS[0])
        found.reason = "too many restart marks" if len(scan.restarts) > most else None
        at = mark.end()
    return len(data)


def _lacks_scans(found: Jpeg) -> bool:
    unknown = {(component, k) for component in found.sampling for k in range(64)}
    for scan in found.scans:
        whole = found.frame not in _PROGRESSIVE
        known = range(64) if whole else range(scan.first, scan.last + 1) if scan.bit == 0 else ()
        unknown -= {(component, k) for component in scan.components for k in known}
    return bool(unknown)


def _restart_damage(found: Jpeg, scan: _Scan) -> str | None:
    if scan.restarts != [i % 8 for i in range(len(scan.restarts))]:
        return "a restart mark is out of order"
    return "restart marks are missing" if len(scan.restarts) < _intervals(found, scan) - 1 else None


def _intervals(found: Jpeg, scan: _Scan) -> int:
    """The number of stretches between restart marks; some encoders write one mark more, behind the last."""
    return -(-_units(found, scan) // scan.interval) if scan.interval else 1


def _units(found: Jpeg, scan: _Scan) -> int:
    """The number of units (MCUs) that a scan codes."""
    edge = 1 if found.frame in _LOSSLESS else 8
    widest = max(wide for wide, _ in found.sampling.values())
    tallest = max(tall for _, tall in found.sampling.values())
    if len(scan.components) > 1:
        return -(-found.width // (edge * widest)) * -(-found.height // (edge * tallest))
    wide, tall = found.sampling[scan.components[0]]
    columns, rows = -(-found.width * wide // widest), -(-found.height * tall // tallest)
    return -(-columns // edge) * -(-rows // edge)
