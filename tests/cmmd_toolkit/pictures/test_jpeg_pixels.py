"""JPEGs are decoded to Pillow's pixels, by simplejpeg where it can, in the words and notes of Pillow's road."""

import io
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import simplejpeg
from damage import damages
from numpy.typing import NDArray
from pictures import shared_path, smooth_picture
from PIL import Image, ImageCms

from cmmd_toolkit.errors import PictureError
from cmmd_toolkit.pictures import jpeg_pixels
from cmmd_toolkit.pictures.decode import decode
from cmmd_toolkit.pictures.jpeg_pixels import decode_whole

EDGES = (1, 2, 7, 8, 9, 16, 17, 33)
VARIANTS = ({}, {"progressive": True}, {"restart_marker_blocks": 1}, {"restart_marker_rows": 1}, {"optimize": True})


def encoded(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def is_decoded_the_same(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        pixels, reason = decode_whole(image, data)
    return pixels is not None and reason is None and np.array_equal(pixels, by_pillow(data))


def adobe(transform: int) -> bytes:
    """Adobe's mark, which names the transform of the colours: 0 none, 1 YCbCr, 2 YCCK."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def without_jfif(data: bytes) -> bytes:
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_every_size_variant_and_quality_has_the_pixels_of_pillow(subsampling: str) -> None:
    for width, height in itertools.product(EDGES, EDGES):
        picture = smooth_picture(width, (width, height))
        for variant, quality in itertools.product(VARIANTS, (5, 90)):
            assert is_decoded_the_same(encoded(picture, subsampling=subsampling, quality=quality, **variant))


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "Gray"])
def test_samplings_that_pillow_does_not_write_have_its_pixels(subsampling: str) -> None:
    for width, height in itertools.product(EDGES, EDGES):
        pixels = np.array(smooth_picture(height, (width, height)))
        assert is_decoded_the_same(simplejpeg.encode_jpeg(pixels, colorsubsampling=subsampling, quality=80))


@pytest.mark.parametrize("transform", [0, 1])
def test_colours_are_those_that_the_marks_say_to_pillow(transform: int) -> None:
    mark = adobe(transform)
    for options in ({}, {"keep_rgb": True}):
        data = encoded(smooth_picture(3), subsampling="4:4:4", **options)
        bare = without_jfif(data)
        for whole in (data, bare, data[:2] + mark + data[2:], bare[:2] + mark + bare[2:]):
            assert is_decoded_the_same(whole)


@pytest.mark.parametrize("names", [b"RGB", b"rgb", bytes([0, 1, 2]), bytes([7, 8, 9])])
def test_colours_named_by_their_components_are_those_of_pillow(names: bytes) -> None:
    data = bytearray(without_jfif(encoded(smooth_picture(3), subsampling="4:4:4")))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    data[frame + 10 : frame + 19 : 3] = names
    data[scan + 5 : scan + 11 : 2] = names
    assert is_decoded_the_same(bytes(data))


def test_cmyk_twelve_bits_and_what_libjpeg_warns_of_are_left_to_pillow() -> None:
    cmyk, rgb = encoded(smooth_picture(1).convert("CMYK")), encoded(smooth_picture(1))
    unknown = rgb[:2] + adobe(7) + without_jfif(rgb)[2:]
    for data in (cmyk, unknown):
        with Image.open(io.BytesIO(data)) as image:
            assert decode_whole(image, data) == (None, None)
        assert np.array_equal(decode(data, "x").pixels, by_pillow(data))
    assert decode(cmyk, "x").notes == ("CMYK to RGB",)
    deep = bytearray(encoded(smooth_picture(1)))
    deep[deep.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(PictureError, match="x: "):
        decode(bytes(deep), "x")


def corpus() -> Iterator[bytes]:
    picture = smooth_picture(4, (33, 17))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for turn in range(10):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield encoded(picture, exif=exif, icc_profile=profile)
        yield encoded(picture.convert("L"), exif=exif)
    for variant in VARIANTS:
        yield encoded(picture, **variant)
    yield encoded(picture.convert("CMYK"))
    yield encoded(picture)[:-2] + bytes(7) + b"\xff\xd9"
    picture.save(stream := io.BytesIO(), "MPO", save_all=True, append_images=[smooth_picture(5)])
    yield stream.getvalue()


def outcome(data: bytes, policy: str) -> tuple[object, ...]:
    try:
        picture = decode(data, "x", policy, max_pixels=10_000)
    except PictureError as error:
        return (str(error),)
    return picture.format, picture.notes, picture.pixels.shape, picture.pixels.tobytes()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("policy", ["upright", "plain"])
def test_both_decoders_give_the_same_pictures_notes_and_errors(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [changed for data in corpus() for changed in (data, *damages(data, 40))]
    found = [outcome(data, policy) for data in given]
    monkeypatch.setattr(jpeg_pixels, "_same_decoder", lambda: False)
    assert found == [outcome(data, policy) for data in given]
    assert {len(own) for own in found} == {1, 4}  # some were refused, some were read


@pytest.mark.parametrize("place", ["landscapes", "scenes", "stylegan2_landscapes"])
def test_real_pictures_have_the_pixels_of_pillow(place: str) -> None:
    files = sorted(file for file in shared_path("data", place).rglob("*") if file.suffix in (".jpg", ".jpeg"))
    if not files:
        pytest.skip(f"no JPEG in {place}")
    assert all(is_decoded_the_same(file.read_bytes()) for file in files[:: max(1, len(files) // 100)])
