"""PGM and PPM: every kind against Pillow or the definition, cuts, damage, and a folder of them."""

import io
from pathlib import Path

import numpy as np
import pytest
from pictures import smooth_picture
from PIL import Image

from cmmd_toolkit import PictureError, compare
from cmmd_toolkit.pictures import netpbm
from cmmd_toolkit.pictures.decode import decode

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.int64)


def binary(kind: str, samples: np.ndarray, maximum: int, header: str = "{kind}\n{w} {h}\n{maximum}\n") -> bytes:
    text = header.format(kind=kind, w=samples.shape[1], h=samples.shape[0], maximum=maximum)
    return text.encode() + samples.astype(">u2" if maximum > 255 else np.uint8).tobytes()


def plain_text(kind: str, samples: np.ndarray, maximum: int) -> bytes:
    words = " ".join(map(str, samples.ravel())).replace(" 1", "\n1")
    return f"{kind} # a comment\n# another\n{samples.shape[1]} {samples.shape[0]}\n{maximum}\n{words}\n".encode()


def scaled(samples: np.ndarray, maximum: int) -> np.ndarray:
    """Round half up, in whole numbers."""
    pixels = (samples * 510 + maximum) // (2 * maximum)
    return np.broadcast_to(pixels if pixels.ndim == 3 else pixels[..., None], (5, 7, 3)).astype(np.uint8)


@pytest.mark.parametrize("maximum", [1, 63, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_every_kind_and_maximum_is_read_as_the_format_says(kind: str, maximum: int) -> None:
    samples = COLOURS * maximum // 255
    samples = samples if kind in ("P3", "P6") else samples[..., 0]
    data = (plain_text if kind in ("P2", "P3") else binary)(kind, samples, maximum)
    picture = decode(data, "a.ppm")
    assert np.array_equal(picture.pixels, scaled(samples, maximum))
    assert picture.format == "PPM"
    assert any("levels per channel scaled to 256" in note for note in picture.notes) == (maximum != 255)
    assert ("grey to RGB" in picture.notes) == (kind in ("P2", "P5"))
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode(data, "a.ppm", "plain").pixels, shown)  # as the peers read it
    if maximum <= 255 or kind in ("P3", "P6"):
        assert np.abs(shown.astype(int) - picture.pixels).max() <= 1


def test_what_pillow_writes_is_what_is_read() -> None:
    for image in (smooth_picture(3), smooth_picture(3).convert("L")):
        stream = io.BytesIO()
        image.save(stream, "PPM")
        assert np.array_equal(decode(stream.getvalue(), "a").pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    "header", ["{kind} {w} {h} {maximum}\n", "{kind}\n#x\n{w}\n#y\n{h} {maximum}\t", "{kind}\r\n{w} {h} {maximum} "]
)
def test_headers_are_read_whatever_stands_between_the_numbers(header: str) -> None:
    assert np.array_equal(decode(binary("P6", COLOURS, 255, header), "a").pixels, COLOURS)


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize("maximum", [255, 65535])
def test_no_cut_is_read_and_what_follows_is_let_be(kind: str, maximum: int) -> None:
    samples = (COLOURS if kind in ("P3", "P6") else COLOURS[..., 0]) * (maximum // 255)
    data = (plain_text if kind in ("P2", "P3") else binary)(kind, samples, maximum)
    last = len(data.rstrip()) - len(data.split()[-1]) if kind in ("P2", "P3") else len(data) - 1
    for end in range(2, last + 1):  # of text the last number may lose digits unseen
        with pytest.raises(PictureError, match="damaged picture|not a picture"):
            decode(data[:end], "a.ppm")
    assert np.array_equal(decode(data + b"P6 3", "a").pixels, decode(data, "a").pixels)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P6 1 1 255 \0\0", "shorter than its header says"),
        (b"P5 2 1 63 \0\x40", "a sample is larger than its maximum"),
        (b"P2 2 1 63 0 64", "a sample is larger than its maximum"),
        (b"P2 2 1 63 0 -1", "not whole numbers"),
        (b"P2 2 1 63 0 1.5", "not whole numbers"),
        (b"P2 2 1 65535 0 65536", "not whole numbers up to 65535"),
        (b"P2 1 1 9 " + b"9" * 5000, "not whole numbers"),
        (b"P5 2 1 0 \0\0", "its maximum is 0"),
        (b"P5 2 1 65536 \0\0\0\0", "its maximum is 65536"),
        (b"P5 0 1 255 ", "no pixels"),
        (b"P6 9999999999 9999999999 255 \0\0\0", "shorter than its header says"),
        (b"P6 99999999999 1 255 \0\0\0", "its header is cut"),
        (b"P3 2 x 255 0", "its header is cut"),
        (b"P6" + b" " * 2**16 + b"1 1 255 \0\0\0", "longer than 65,536 bytes"),
        (b"P4\n3 2\n\xa0\x40", "of kind P4, which is not read; save it as P5"),
        (b"P7\nWIDTH 3\n", "of kind P7"),
        (b"Pf\n3 2\n-1.0\n" + bytes(24), "of kind Pf"),
    ],
)
def test_damage_is_named_in_one_line(data: bytes, reason: str) -> None:
    for policy in ("upright", "plain"):
        with pytest.raises(PictureError, match=f"a.ppm: damaged picture .*{reason}") as caught:
            decode(data, "a.ppm", policy)
        assert "\n" not in str(caught.value)


def test_long_text_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = plain_text("P3", COLOURS, 255)
    monkeypatch.setattr(netpbm, "_PART", 7)
    assert np.array_equal(decode(data, "a").pixels, COLOURS)


def test_a_large_one_is_refused_by_its_header() -> None:
    with pytest.raises(PictureError, match="5 x 7|7 x 5"):
        decode(binary("P6", COLOURS, 255), "a", max_pixels=34)
    assert decode(binary("P6", COLOURS, 255), "a", max_pixels=35).pixels.shape == (5, 7, 3)


def test_a_folder_of_them_scores_as_the_same_pictures_in_png(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        for suffix in ("png", "ppm"):
            (tmp_path / f"{name}-{suffix}").mkdir()
            for i in range(6):
                picture = smooth_picture(i + 100 * (name == "fake"))
                picture.save(tmp_path / f"{name}-{suffix}" / f"{i}.{suffix}")
    png, ppm = (
        compare(tmp_path / f"real-{suffix}", tmp_path / f"fake-{suffix}", backbone="mini") for suffix in ("png", "ppm")
    )
    assert [own.value for own in ppm.results] == [own.value for own in png.results]
    assert ppm.sets[0]["formats"] == {"PPM": 6}
