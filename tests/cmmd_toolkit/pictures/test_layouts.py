"""Files written by hand that Pillow alone decodes wrongly, or to less than the whole, without a word."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pictures import smooth_picture
from PIL import Image
from png_bytes import chunk
from tiff_bytes import raw_tiff

from cmmd_toolkit.errors import PictureError
from cmmd_toolkit.pictures.decode import decode

GREY = np.random.default_rng(2).integers(0, 256, (6, 7)).astype(np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in GREY)
Change = Callable[[bytes], bytes]


def png(
    packed: bytes, *, kind: int = 0, bits: int = 8, size: tuple[int, int] = (7, 6), before: Any = (), after: Any = ()
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    parts = [head, *(chunk(*part) for part in before), chunk(b"IDAT", packed), *(chunk(*part) for part in after)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def refusal(data: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data, "a")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- PNG ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packed",
    [
        zlib.compress(ROWS[:-8]),
        zlib.compress(ROWS[:24]),
        zlib.compress(ROWS[:-1]),
        zlib.compress(ROWS + ROWS[:8]),
        zlib.compress(ROWS)[:-4],
        zlib.compress(ROWS)[:-1] + b"\0",
        b"",
    ],
    ids=["a row short", "half", "a byte short", "a row more", "no checksum", "wrong checksum", "empty"],
)
def test_rows_of_a_png_are_as_many_as_its_header_says_though_all_chunks_are_right(packed: bytes) -> None:
    assert np.array_equal(decode(png(zlib.compress(ROWS)), "a").pixels[:, :, 0], GREY)
    assert "damaged picture (PNG: " in refusal(png(packed))


@pytest.mark.parametrize("interlace", [False, True])
def test_rows_of_every_kind_of_png_are_counted_right(interlace: bool) -> None:
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16"):
        for size in ((1, 1), (3, 2), (9, 17)):
            image = Image.fromarray(np.full(size[::-1], 999, np.uint16)) if mode == "I;16" else Image.new(mode, size)
            stream = io.BytesIO()
            image.save(stream, "PNG")
            data = stream.getvalue()
            if interlace:  # of a picture of zeros only the number of bytes matters
                data = _interlaced(data)
            assert decode(data, "a").pixels.shape == (size[1], size[0], 3)


def _interlaced(data: bytes) -> bytes:
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    packed = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns, rows = len(range(x, width, dx)), len(range(y, height, dy))
        packed += bytes(1 + (columns * bits * channels + 7) // 8) * rows if columns else b""
    before = chunk(b"PLTE", bytes(768)) if kind == 3 else b""
    parts = [chunk(b"IHDR", data[16:28] + b"\1"), before, chunk(b"IDAT", zlib.compress(packed)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_chunks_of_a_png_out_of_place_are_refused() -> None:
    packed, palette, header = (
        zlib.compress(ROWS),
        (b"PLTE", bytes(768)),
        (b"IHDR", struct.pack(">IIBBBBB", 7, 3, 8, 0, 0, 0, 0)),
    )
    assert "IHDR is out of place" in refusal(png(packed, before=[header]))
    assert "IHDR is out of place" in refusal(png(packed, after=[header]))
    assert "PLTE is out of place" in refusal(png(packed, kind=3, after=[palette]))
    assert "PLTE is out of place" in refusal(png(packed, kind=3, before=[palette, palette]))
    assert "tRNS is out of place" in refusal(png(packed, after=[(b"tRNS", b"\0\0")]))
    assert "it has no palette" in refusal(png(packed, kind=3))
    assert "unknown critical chunk" in refusal(png(packed, before=[(b"CgBI", b"1234")]))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_few_bits_is_white(bits: int) -> None:
    white = (1 << bits) - 1
    values = np.arange(8) % (white + 1)
    coded = "".join(format(value, f"0{bits}b") for value in values)
    row = bytes(int(coded[i : i + 8], 2) for i in range(0, len(coded), 8))
    data = png(zlib.compress(b"\0" + row), bits=bits, size=(8, 1), before=[(b"tRNS", struct.pack(">H", 1))])
    expected = np.where(values == 1, 255, values * 255 // white)
    assert decode(data, "a").pixels[0, :, 1].tolist() == expected.tolist()


# ---- palettes -------------------------------------------------------------------------------------


def test_a_pixel_beyond_its_palette_is_refused() -> None:
    rows = zlib.compress(b"".join(b"\0" + bytes([0, 1, 2, 3, 4, 5, value]) for value in range(6)))
    assert decode(png(rows, kind=3, before=[(b"PLTE", bytes(range(18)))]), "a").pixels[0, 1].tolist() == [3, 4, 5]
    assert "colour 5 of a palette of 5" in refusal(png(rows, kind=3, before=[(b"PLTE", bytes(range(15)))]))
    colours = bytes([9, 9, 9, 0] * 3)
    assert "colour 6 of a palette of 3" in refusal(bmp(8, bytes([0, 1, 2, 6]), (4, 1), colours, used=3))


# ---- BMP ------------------------------------------------------------------------------------------


def bmp(
    bits: int, pixels: bytes, size: tuple[int, int], palette: bytes = b"", *, used: int = 0, compression: int = 0,
    masks: tuple[int, ...] = (), at: int | None = None,
) -> bytes:  # fmt: skip
    length = 108 if masks else 40
    head = struct.pack("<IiiHHIIiiII", length, *size, 1, bits, compression, 0, 0, 0, used, 0)
    head = (head + struct.pack(f"<{len(masks)}I", *masks)).ljust(length, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head) if at is None else at) + head + pixels


def test_no_cut_bmp_is_read() -> None:
    for data, spare in (
        (bmp(24, bytes(range(36)), (3, 3)), 0),
        (bmp(1, bytes(range(12)), (3, 3), bytes(8)), 0),
        (bmp(8, RUNS * 4 + b"\0\1", (8, 4), bytes(1024), compression=1), 4),  # marks behind the last pixel
    ):
        assert decode(data, "a").pixels.ndim == 3
        for i in range(len(data) - spare):
            refusal(data[:i])


RUNS = b"\x08\x40\0\0"  # eight pixels of colour 64, end of row


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (RUNS * 3 + b"\x06\x40\0\0", "leave pixels out"),
        (RUNS * 2 + b"\0\1", "leave pixels out"),
        (RUNS + b"\0\2\2\1" + RUNS * 2, "leave pixels out"),
        (b"\x20\x40", "longer than its row"),
        (b"\0\x0aabcdefghij\0\0" * 4, "longer than its row"),
    ],
)
def test_runs_of_a_bmp_give_every_pixel_once(runs: bytes, reason: str) -> None:
    assert (decode(bmp(8, RUNS * 4, (8, 4), bytes(range(256)) * 4, compression=1), "a").pixels == [2, 1, 0]).all()
    assert reason in refusal(bmp(8, runs, (8, 4), bytes(1024), compression=1))


def test_a_bmp_of_a_layout_that_pillow_misreads_is_refused() -> None:
    black_and_white = bytes([0, 0, 0, 0, 255, 255, 255, 0])
    assert "for 8 bits" in refusal(bmp(8, bytes([0, 1, 1, 0]), (4, 1), black_and_white, used=2))
    assert "for 4 bits" in refusal(bmp(4, bytes([0x01, 0x10, 0, 0]), (3, 1), black_and_white, used=2))
    assert "masks" in refusal(bmp(16, bytes(8), (3, 1), compression=3, masks=(0x7C00, 0x3E0, 0x1F, 0x8000)))
    assert "in its header" in refusal(bmp(24, bytes(12), (3, 1), at=20))
    assert decode(bmp(16, bytes(8), (3, 1), compression=3, masks=(0xF800, 0x7E0, 0x1F, 0)), "a").notes == ()


# ---- GIF ------------------------------------------------------------------------------------------


def gif(canvas: tuple[int, int], place: tuple[int, int] = (0, 0), *, table: bool = True, clear: bool = False) -> bytes:
    """A frame of one pixel."""
    head = b"GIF89a" + struct.pack("<HH", *canvas) + bytes([0x80 * table, 0, 0]) + bytes([9, 9, 9, 7, 7, 7]) * table
    control = b"!\xf9\4\1\0\0\0\0" if clear else b""
    return head + control + b"," + struct.pack("<HHHH", *place, 1, 1) + b"\0\2\2D\1\0;"


def test_the_first_frame_of_a_gif_fills_its_canvas_or_the_rest_is_transparent() -> None:
    assert (decode(gif((1, 1)), "a").pixels == 9).all()
    assert (decode(gif((3, 3), (1, 1), clear=True), "a").pixels == 255).all()
    assert "leaves a part" in refusal(gif((3, 3), (1, 1)))
    assert "beyond its canvas" in refusal(gif((1, 1), (2, 2)))


def test_a_gif_without_colours_is_refused() -> None:
    assert "no table of colours" in refusal(gif((1, 1), table=False))


# ---- TIFF -----------------------------------------------------------------------------------------


def grey_tiff(change: dict[int, list[int]], strips: list[bytes], compression: int = 1, photometric: int = 1) -> bytes:
    return raw_tiff((7, 6), [8], photometric, strips, compression=compression, change={278: [2]} | change)


STRIPS = [GREY[top : top + 2].tobytes() for top in (0, 2, 4)]
PALETTE = [257 * i for i in range(256)] * 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (grey_tiff({}, STRIPS[:2]), "2 strips of 3"),
        (grey_tiff({278: [6]}, STRIPS), "3 strips of 1"),
        (grey_tiff({279: [14, 7, 14]}, STRIPS), "strip 1 is too short"),
        (grey_tiff({279: [14, 0, 14]}, STRIPS), "strip 1 is too short"),
        (grey_tiff({339: [2]}, STRIPS), "signed samples"),
        (grey_tiff({262: []}, STRIPS), "photometric"),
        (grey_tiff({317: [2]}, STRIPS), "predictor"),
        (grey_tiff({317: [2]}, [b"\x0d" + strip for strip in STRIPS], 32773), "predictor"),
        (grey_tiff({320: list(range(256)) * 3}, STRIPS, photometric=3), "palette"),
        (grey_tiff({320: PALETTE[:300]}, STRIPS, photometric=3), "palette"),
        (raw_tiff((2, 2), [8, 8, 8], 6, [bytes(64)]), "uncompressed YCbCr"),
        (raw_tiff((2, 2), [8] * 4, 5, [bytes(64)], change={332: [2]}), "inks"),
        (raw_tiff((2, 2), [16] * 3, 2, [zlib.compress(bytes(8))] * 3, compression=8, planar=2), "separate planes"),
    ],
)
def test_a_tiff_that_pillow_misreads_is_refused(data: bytes, reason: str) -> None:
    assert np.array_equal(decode(grey_tiff({}, STRIPS), "a").pixels[:, :, 0], GREY)
    assert reason in refusal(data)


def test_a_palette_of_16_bits_is_rounded() -> None:
    values = [min(65535, 257 * i + 200) for i in range(256)]
    data = grey_tiff({320: values * 3}, STRIPS, photometric=3)
    assert np.array_equal(decode(data, "a").pixels[:, :, 2], np.rint(np.asarray(values) / 257).astype(np.uint8)[GREY])


def test_grey_with_alpha_multiplied_in_is_read() -> None:
    pairs = np.stack([GREY // 2, np.full_like(GREY, 128)], 2)
    data = raw_tiff((7, 6), [8, 8], 1, [pairs.tobytes()], change={338: [1]})
    assert np.abs(decode(data, "a").pixels[:, :, 0].astype(int) - (GREY // 2 + 127)).max() <= 2


def test_a_short_jpeg_in_a_tiff_is_refused() -> None:
    stream = io.BytesIO()
    smooth_picture(3).convert("L").save(stream, "JPEG")
    whole, (width, height) = stream.getvalue(), smooth_picture(3).size
    make = lambda strip, rows=height: raw_tiff((width, rows), [8], 1, [strip], compression=7)  # noqa: E731
    assert decode(make(whole), "a").pixels.shape == (height, width, 3)
    assert "end mark" in refusal(make(whole[: len(whole) // 2 + 150]))
    assert "end early" in refusal(make(whole[: len(whole) // 2 + 150] + b"\xff\xd9"))
    assert "end early" in refusal(make(whole, height + 8))


# ---- JPEG -----------------------------------------------------------------------------------------


def jpeg(**options: Any) -> bytes:
    stream = io.BytesIO()
    smooth_picture(7).resize((96, 80)).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 95, "subsampling": 0},
        {"optimize": True},
        {"progressive": True},
        {"restart_marker_blocks": 3},
    ],
    ids=["baseline", "fine", "optimized", "progressive", "restarts"],
)
def test_an_end_mark_put_behind_a_cut_jpeg_does_not_make_it_whole(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    whole = decode(data, "a").pixels
    start = data.index(b"\xff\xda") + 16
    for i in range(start, len(data) - 16, 23):
        if data[i - 1] != 0xFF:
            refusal(data[:i] + b"\xff\xd9")
    assert np.array_equal(decode(data, "a").pixels, whole)


def test_a_jpeg_without_all_its_scans_is_refused() -> None:
    data = jpeg(progressive=True)
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xda\0"]
    tables = [data.rindex(b"\xff\xc4", 0, start) for start in starts[1:]]
    for end in {min(start, table) if table > before else start
                for before, start, table in zip(starts, starts[1:], tables, strict=False)}:  # fmt: skip
        assert "scans are missing" in refusal(data[:end] + b"\xff\xd9")


def test_restart_marks_of_a_jpeg_are_all_there_in_order() -> None:
    data = jpeg(restart_marker_blocks=3)
    marks = [i for i in range(len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    assert len(marks) > 8
    assert "restart mark" in refusal(data[: marks[2]] + data[marks[3] :])
    assert "restart mark" in refusal(data[: marks[0]] + data[marks[8] :])
    assert "end early" in refusal(data[: marks[2] + 2] + data[marks[3] :])


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(jpeg(exif=exif), "a").pixels, decode(jpeg(), "a").pixels)


# ---- WebP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_whose_end_is_zeros_is_refused_unless_it_is_flat_there(lossless: bool) -> None:
    def encoded(pixels: Any) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "WEBP", lossless=lossless, quality=60)
        return stream.getvalue()

    noise = np.random.default_rng(4).integers(0, 60, (96, 64, 3)).astype(np.uint8)
    data = encoded(noise + np.asarray(smooth_picture(2).resize((64, 96))) // 2)
    decode(data, "a")
    accepted = 0
    for i in range(200, len(data) - 40, 97):
        try:
            accepted += decode(data[:i] + bytes(len(data) - i), "a").format == "WEBP"
        except PictureError:
            continue
    assert accepted <= 1 + (len(data) // 97) // 5  # a few cannot be told from a picture that is flat there
    columns = np.broadcast_to(noise[:1], (600, 64, 3)).copy()
    for whole in (np.full((900, 900, 3), 200, np.uint8), columns):
        assert decode(encoded(whole), "a").pixels.shape == whole.shape


# ---- time -----------------------------------------------------------------------------------------


def test_what_would_take_minutes_is_refused_or_not_walked() -> None:
    """Each of these took over a minute, or would with a larger file."""
    progressive = jpeg(progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    assert "more than 64 scans" in refusal(progressive[:-2] + scan * 5000 + b"\xff\xd9")
    assert "fill" in refusal(jpeg()[:-2] + b"\xff" * 1_000_000 + b"\xd9")
    assert "chunks" in refusal(png(zlib.compress(ROWS), before=[(b"abCd", b"")] * 250_000))
    assert "500,000 strips" in refusal(b"II*\0" + struct.pack("<IHHHII", 8, 1, 273, 4, 500_000, 26) + bytes(2_000_004))
    profile = (b"iCCP", b"a\0\0" + zlib.compress(bytes(1000)))
    assert "iCCP is out of place" in refusal(png(zlib.compress(ROWS), before=[profile] * 2))
    page = grey_tiff({}, STRIPS)
    first = 8 + 2 + 12 * int.from_bytes(page[8:10], "little")
    pages, size = 20_000, first + 4 - 8
    chain = b"".join(page[8:first] + struct.pack("<I", len(page) + size * (i + 1)) for i in range(pages))
    many = page[:first] + struct.pack("<I", len(page)) + page[first + 4 :] + chain[:-4] + bytes(4)
    assert "first frame of several" in decode(many, "a").notes
