"""More than 8 bits a channel, and orientation, in files that Pillow reads in silence."""

import contextlib
import io
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import smooth_picture
from PIL import Image
from png_bytes import png16
from tiff_bytes import raw_tiff

from cmmd_toolkit import PictureError
from cmmd_toolkit.pictures.decode import decode

DEEP = np.random.default_rng(0).integers(0, 65536, (6, 9, 4)).astype(np.uint16)
SCALED = np.rint(DEEP / 257.0).astype(np.uint8)


def tiff(values: NDArray[Any], photometric: int, *, order: str = "<", planar: int = 1, packed: bool = False) -> bytes:
    """`photometric` 0: white is zero, 1: black is zero, 2: RGB, 5: CMYK; one strip, or one a plane if `planar` is 2."""
    height, width, channels = values.shape
    planes = [values] if planar == 1 else [values[:, :, [i]] for i in range(channels)]
    strips = [plane.astype(values.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    bits = [8 * values.dtype.itemsize] * channels
    return raw_tiff((width, height), bits, photometric, strips, order, 8 if packed else 1, planar, kind)


def test_a_transparent_grey_of_16_bits_scales_and_is_white() -> None:
    picture = decode(png16(DEEP[:, :, :1], (int(DEEP[2, 3, 0]),)), "a")
    expected = SCALED[:, :, :1].repeat(3, axis=2)
    expected[DEEP[:, :, 0] == DEEP[2, 3, 0]] = 255
    assert np.array_equal(picture.pixels, expected)
    assert picture.notes == ("16-bit grey scaled to 8 bits", "alpha placed over white")


def test_a_transparent_colour_of_16_bits_is_compared_in_16_bits() -> None:
    values = DEEP[:, :, :3].copy()
    values[0, 0], values[0, 1] = (256, 512, 768), (257, 512, 768)
    picture = decode(png16(values, (256, 512, 768)), "a")
    assert picture.pixels[0, :2].tolist() == [[255, 255, 255], [1, 2, 3]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_16_bit_grey_of_tiff_has_its_white(white_is_zero: bool, packed: bool) -> None:
    data = tiff(DEEP[:, :, :1], 0 if white_is_zero else 1, packed=packed)
    expected = 255 - SCALED[:, :, 0] if white_is_zero else SCALED[:, :, 0]
    assert np.array_equal(decode(data, "a").pixels[:, :, 1], expected)


def test_12_bit_grey_reaches_white() -> None:
    pairs = [(0, 4095), (2048, 16)]
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    picture = decode(raw_tiff((4, 1), [12], 1, [packed]), "a")
    assert picture.pixels[0, :, 0].tolist() == [0, 255, 128, 1]
    assert picture.notes == ("12-bit grey scaled to 8 bits",)


@pytest.mark.parametrize(
    "data",
    [png16(DEEP[:, :, :3])]
    + [tiff(DEEP[:, :, :3], 2, order=order, packed=packed) for order in "<>" for packed in (False, True)],
    ids=["png", "tiff-little", "tiff-little-packed", "tiff-big", "tiff-big-packed"],
)
def test_16_bit_colour_is_rounded_and_counted(data: bytes) -> None:
    picture = decode(data, "a")
    assert np.array_equal(picture.pixels, SCALED[:, :, :3])
    assert picture.notes == ("16-bit colour scaled to 8 bits",)
    assert decode(data, "a", "plain").notes == ("16-bit colour cut to 8 bits",)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("photometric", "channels"), [(0, 1), (1, 1), (2, 3), (2, 4), (5, 4), (1, 2)])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "f2", "f4"])
def test_a_tiff_is_right_or_refused(
    dtype: str, planar: int, photometric: int, channels: int, packed: bool, order: str
) -> None:
    """Within the rounding of 8 bits (CMYK and cut channels: two levels) of what the file says, or one line."""
    white = 1.0 if dtype[0] == "f" else float(np.iinfo(dtype).max)
    ideal = DEEP[:, :, :channels] / 65535.0
    values = (ideal * white).astype(dtype)
    data = tiff(values, photometric, order=order, planar=planar, packed=packed)
    if dtype in ("u1", "u2") and channels != 2 and planar == 1 and (dtype, photometric, order) != ("u2", 0, ">"):
        assert np.abs(decode(data, "a").pixels - 255 * shown(ideal, photometric)).max() <= 2
        return
    with contextlib.suppress(PictureError):
        assert np.abs(decode(data, "a").pixels - 255 * shown(ideal, photometric)).max() <= 2


def shown(ideal: NDArray[np.float64], photometric: int) -> NDArray[np.float64]:
    """What a viewer shows over white, 0..1."""
    if photometric == 0:
        return 1 - ideal
    if photometric == 5:
        return (1 - ideal[:, :, :3]) * (1 - ideal[:, :, 3:])
    alpha = ideal[:, :, 3:] if ideal.shape[2] == 4 else 1.0
    return ideal[:, :, :3] * alpha + 1 - alpha


def test_16_bit_grey_with_alpha_is_cut_and_counted() -> None:
    picture = decode(png16(DEEP[:, :, :2]), "a")
    alpha = DEEP[:, :, 1] / 65535.0
    assert np.abs(picture.pixels[:, :, 0] - (DEEP[:, :, 0] / 257.0 * alpha + 255 * (1 - alpha))).max() < 2.5
    assert picture.notes == ("16-bit colour cut to 8 bits", "alpha placed over white")


def test_16_bit_alpha_is_placed_over_white() -> None:
    picture = decode(png16(DEEP), "a")
    white = Image.new("RGBA", (9, 6), "white")
    assert np.array_equal(
        picture.pixels, np.asarray(Image.alpha_composite(white, Image.fromarray(SCALED)).convert("RGB"))
    )
    assert picture.notes == ("16-bit colour scaled to 8 bits", "alpha placed over white")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_orientation_of_a_tiff_is_undone_and_counted(orientation: int) -> None:
    image, stream = smooth_picture(4), io.BytesIO()
    image.save(stream, "TIFF", tiffinfo={0x0112: orientation})
    picture = decode(stream.getvalue(), "a")
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    assert np.array_equal(picture.pixels, np.asarray(image.transpose(Image.Transpose(turns[orientation]))))
    assert picture.notes == ("turned upright by its TIFF tag",)
