"""Decoding: every awkward kind of picture, damaged files, and the recorded oracles."""

import io

import numpy as np
import pytest
from pictures import shared_path, smooth_picture
from PIL import Image
from png_bytes import png_header

from cmmd_toolkit import PictureError
from cmmd_toolkit.pictures.decode import decode


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_rgb_comes_back_as_it_was(kind: str) -> None:
    image = smooth_picture(1)
    picture = decode(encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {})), "a")
    assert np.array_equal(picture.pixels, np.asarray(image))
    assert (picture.format, picture.notes) == (kind, ())


def test_transparent_pixels_become_white() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    picture = decode(encoded(image), "a")
    assert (picture.pixels == 255).all()
    assert picture.notes == ("alpha placed over white",)


def test_half_transparent_black_becomes_middle_grey() -> None:
    picture = decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), "a")
    assert (picture.pixels == 127).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_alpha_too(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (0, 0, 0)).convert(mode)
    key = image.getpixel((0, 0))
    picture = decode(encoded(image, transparency=key), "a")
    assert (picture.pixels == 255).all()
    assert picture.notes == ("alpha placed over white",)


def test_palette_indices_become_their_colours() -> None:
    image = smooth_picture(2).quantize(16)
    picture = decode(encoded(image), "a")
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.notes == ("palette to RGB",)


def test_grey_is_repeated_over_the_channels() -> None:
    image = smooth_picture(3).convert("L")
    picture = decode(encoded(image), "a")
    assert np.array_equal(picture.pixels, np.repeat(np.asarray(image)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 1000, 32768, 65535]], np.uint16)
    picture = decode(encoded(Image.fromarray(values), kind), "a")
    assert picture.pixels[0, :, 0].tolist() == [0, 1, 4, 128, 255]
    assert picture.notes == ("16-bit grey scaled to 8 bits",)


def test_cmyk_is_converted() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    picture = decode(encoded(image, "JPEG", quality=95), "a")
    assert np.abs(picture.pixels.astype(int) - [255, 0, 0]).max() < 12
    assert picture.notes == ("CMYK to RGB",)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    image = smooth_picture(4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(image, "PNG", exif=exif), "a")
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    assert np.array_equal(picture.pixels, np.asarray(image.transpose(Image.Transpose(turns[orientation]))))
    assert picture.notes == ("turned upright by EXIF",)


def test_the_plain_policy_does_what_the_peers_do() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    picture = decode(encoded(image), "a", "plain")
    assert (picture.pixels == [10, 20, 30]).all()
    assert picture.notes == ()


def test_the_first_of_several_frames_is_taken() -> None:
    first, second = smooth_picture(1), smooth_picture(2)
    picture = decode(encoded(first, "TIFF", save_all=True, append_images=[second]), "a")
    assert np.array_equal(picture.pixels, np.asarray(first))
    assert picture.notes == ("first frame of several",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "x.png: is not a picture in any of PNG, JPEG"),
        (b"", "x.png: is not a picture"),
        (encoded(smooth_picture(1))[:-60], "x.png: damaged picture"),
        (encoded(smooth_picture(1), "JPEG")[:400], "x.png: damaged picture"),
        (encoded(smooth_picture(1), "WEBP")[:60], "x.png: (damaged|is not a picture)"),
        (encoded(smooth_picture(1), "PCX"), "x.png: is not a picture in any of"),
        (png_header(60_000, 60_000), "x.png: .*decompression bomb"),
        (encoded(Image.new("F", (3, 3)), "TIFF"), "x.png: pixels of type F .* no defined white"),
    ],
)
def test_bad_files_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        decode(data, "x.png")


@pytest.mark.parametrize(
    ("awkward", "plain"),
    [("rgba.png", "rgba_on_white.png"), ("gray16.png", "gray16_to8.png"), ("exif6.jpg", "exif6_upright.png")],
)
def test_reaches_the_recorded_conversions(awkward: str, plain: str) -> None:
    folder = shared_path("oracles", "metrics", "images")
    pixels = [decode((folder / name).read_bytes(), name).pixels for name in (awkward, plain)]
    assert np.array_equal(*pixels)
