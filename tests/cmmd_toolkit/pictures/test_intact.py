"""Damaged files are refused before they are decoded; odd but whole ones are read."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import smooth_picture
from PIL import Image

from cmmd_toolkit.errors import CmmdError, PictureError
from cmmd_toolkit.pictures.decode import decode
from cmmd_toolkit.pictures.sources import open_images


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    smooth_picture(5).resize((24, 20)).save(stream, kind, **options)
    return stream.getvalue()


def test_every_changed_byte_of_a_png_is_seen() -> None:
    data = encoded("PNG")
    for i in range(len(data)):
        changed = bytearray(data)
        changed[i] ^= 1 << i % 8
        with pytest.raises(PictureError):
            decode(bytes(changed), "a")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
    ids=["png", "jpeg", "progressive", "webp", "lossless", "gif"],
)
def test_no_cut_and_no_zeroed_tail_is_read(kind: str, options: dict[str, object]) -> None:
    data = encoded(kind, **options)
    whole = decode(data, "a").pixels
    for i in range(len(data) - 1):
        with pytest.raises(PictureError):
            decode(data[:i], "a")
        if not data[i:].strip(b"\0"):
            continue
        zeroed = data[:i] + bytes(len(data) - i)
        if kind == "WEBP":  # no end mark: libwebp refuses most
            continue
        with pytest.raises(PictureError):
            decode(zeroed, "a")
    assert np.array_equal(decode(data + b"appended by a camera\xff\xd8", "a").pixels, whole)


def test_a_jpeg_with_a_thumbnail_several_scans_and_restarts_is_whole() -> None:
    thumbnail = Image.Exif()
    thumbnail[0x010E] = "\xff\xd9 an end mark that is none"
    for options in ({"progressive": True}, {"restart_marker_blocks": 1}, {"exif": thumbnail}):
        assert decode(encoded("JPEG", **options), "a").notes == ()
    assert decode(encoded("JPEG")[:-2] + b"\xff\xff\xff\xd9", "a").notes == ()


def test_bytes_between_the_scans_of_a_jpeg_are_damage_and_those_before_its_end_mark_are_not() -> None:
    whole = encoded("JPEG", progressive=True)
    pixels = decode(whole, "x").pixels
    assert np.array_equal(decode(whole[:-2] + bytes(7) + whole[-2:], "x").pixels, pixels)
    assert np.array_equal(decode(whole + b"appended by a camera", "x").pixels, pixels)
    scan = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 2)
    with pytest.raises(PictureError, match="its coded pixels are damaged"):
        decode(whole[:scan] + b"abcdefg" + whole[scan:], "x")


def test_a_huffman_code_that_does_not_exist_is_seen() -> None:
    whole = bytearray(encoded("JPEG", quality=90, optimize=True))
    start = whole.index(b"\xff\xda") + 14
    refused = 0
    for at in range(start, len(whole) - 2, 7):
        spoilt = whole.copy()
        spoilt[at] = 0xFE if spoilt[at] != 0xFE else 0xFD
        try:
            decode(bytes(spoilt), "x")
        except PictureError:
            refused += 1
    assert refused > 0


def test_the_first_frame_of_an_animation_is_counted() -> None:
    for kind in ("GIF", "WEBP", "PNG"):
        stream = io.BytesIO()
        smooth_picture(5).save(stream, kind, save_all=True, append_images=[smooth_picture(6)])
        assert "first frame of several" in decode(stream.getvalue(), "a").notes


def test_a_strip_beyond_the_end_of_a_tiff_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded("TIFF", compression="tiff_lzw")
    with pytest.raises(PictureError, match="damaged"):
        decode(data[:8] + b"\xff" * 40 + data[48:], "a")
    raw = encoded("TIFF")
    place = raw.index((273).to_bytes(2, "little"), raw[4])
    with pytest.raises(PictureError, match="beyond the end of the file"):
        decode(raw[: place + 8] + (10**6).to_bytes(4, "little") + raw[place + 12 :], "a")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "set"
    pictures.mkdir()
    for i in range(3):
        smooth_picture(i).save(pictures / f"{i}.png")
    return pictures


def test_a_pipe_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "a.png")
    loads = dict(open_images(folder))
    with pytest.raises(PictureError, match="not a regular file"):
        loads["a.png"]()
    for suffix in (".zip", ".npy", ".npz", ".png"):
        pipe = folder.parent / f"pipe{suffix}"
        os.mkfifo(pipe)
        with pytest.raises(CmmdError, match="not a regular file"):
            open_images(pipe)
    (folder.parent / "null.npz").symlink_to("/dev/zero")
    with pytest.raises(CmmdError, match="not a regular file"):
        open_images(folder.parent / "null.npz")


def test_five_thousand_nested_folders_end_in_a_line(tmp_path: Path) -> None:
    script = "import os\nfor i in range(5000): os.mkdir('a'); os.chdir('a')"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    try:
        with pytest.raises(CmmdError, match="too long"):
            open_images(tmp_path)
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "a"], check=True)


def test_skip_leaves_out_what_cannot_be_opened(folder: Path) -> None:
    from cmmd_toolkit import embed

    os.mkfifo(folder / "a.png")
    (folder / "b.png").symlink_to("nowhere")
    (folder / "c.png").symlink_to("c.png")
    assert len(embed(folder, backbone="mini", on_error="skip", workers=2).values) == 3
