"""Hand-made TIFF bytes in layouts that few encoders write."""

import struct


def raw_tiff(
    size: tuple[int, int], bits: list[int], photometric: int, strips: list[bytes],
    order: str = "<", compression: int = 1, planar: int = 1, kind: int = 1, change: dict[int, list[int]] | None = None,
) -> bytes:  # fmt: skip
    """`change` are tags to write in place of these; an empty list leaves one out."""
    tags = {256: [size[0]], 257: [size[1]], 258: bits, 259: [compression], 262: [photometric]}
    tags |= {273: [0] * len(strips), 277: [len(bits)], 278: [size[1]]}
    tags |= {279: [len(strip) for strip in strips], 284: [planar]}
    tags |= {338: [2]} if photometric == 2 and len(bits) == 4 else {}  # the fourth is alpha, not multiplied
    tags |= {339: [kind] * len(bits)} | (change or {})
    tags = {tag: tags[tag] for tag in sorted(tags) if tags[tag]}
    values_at = 8 + 2 + 12 * len(tags) + 4
    pixels_at = values_at + sum(4 * len(values) for values in tags.values())
    tags[273] = [pixels_at + sum(len(strip) for strip in strips[:i]) for i in range(len(strips))]
    entries, beyond = b"", b""
    for tag, values in tags.items():
        raw = struct.pack(f"{order}{len(values)}I", *values)
        where = raw if len(values) == 1 else struct.pack(f"{order}I", values_at + len(beyond))
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + where
        beyond += raw if len(values) > 1 else b""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + beyond
    return head.ljust(pixels_at, b"\0") + b"".join(strips)
