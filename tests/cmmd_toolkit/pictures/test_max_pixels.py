"""A stated limit of pixels, known from the header, and the memory of a picture below it."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import smooth_picture, write_pictures
from PIL import Image
from png_bytes import png16, png_header

from cmmd_toolkit import PictureError, compare, embed
from cmmd_toolkit.cli import options as cli_options
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.pictures.decode import MAX_PIXELS, decode
from dit_generators.data.pictures import load_pictures
from dit_generators.errors import DataError

_PEAK = """
import io, re, sys
from PIL import Image
from cmmd_toolkit.pictures.decode import decode
from cmmd_toolkit.backbones.mini import preprocess
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
decode(open(sys.argv[1], "rb").read(), "small"); before = peak()
preprocess(decode(open(sys.argv[2], "rb").read(), "large").pixels)
print(peak() - before)
"""


def header(width: int, height: int, kind: str) -> bytes:
    """A picture that claims to be `width` x `height`."""
    if kind == "PNG":
        return png_header(width, height)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind)
    data = bytearray(stream.getvalue())
    if kind == "BMP":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    else:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("size", [(10_001, 10_000), (13_300, 13_300), (60_000, 60_000)])
def test_a_picture_above_the_limit_is_refused_by_its_header(kind: str, size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=f"x: {size[0]} x {size[1]} pixels .* 100,000,000.*`max_pixels`"):
        decode(header(*size, kind), "x")


def test_the_limit_itself_is_allowed_and_any_other_can_be_given() -> None:
    stream = io.BytesIO()
    smooth_picture(1, (30, 20)).save(stream, "PNG")
    assert decode(stream.getvalue(), "x", max_pixels=600).pixels.shape == (20, 30, 3)
    with pytest.raises(PictureError, match="more than 599"):
        decode(stream.getvalue(), "x", max_pixels=599)
    with pytest.raises(PictureError, match="damaged"):  # beyond Pillow's own limit the decoder is reached
        decode(header(14_000, 14_000, "PNG"), "x", max_pixels=200_000_000)


def test_every_way_into_a_set_keeps_the_limit(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "set", 3)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    pictures = [smooth_picture(1), smooth_picture(2)]
    for source in (folder, tmp_path / "set.zip", sorted(folder.iterdir()), pictures):
        with pytest.raises(PictureError, match="more than 100, "):
            embed(source, backbone="mini", device="cpu", max_pixels=100)
    with pytest.raises(PictureError, match="more than 100, "):
        compare(folder, folder, backbone="mini", device="cpu", max_pixels=100)
    with pytest.raises(DataError, match="more than 100, .*`max_pixels`"):
        load_pictures(folder, 16, max_pixels=100)


@pytest.mark.parametrize("command", ["compare", "rank", "plan", "explain", "embed"])
def test_every_command_that_reads_pictures_has_the_option(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [str(write_pictures(tmp_path / name, 4)) for name in ("a", "b", "c")]
    sets = {"embed": [folders[0], "--out", str(tmp_path / "out.npz")], "explain": folders[:2]}.get(command, folders)
    with pytest.raises(SystemExit) as stop:
        main([command, *sets, "--backbone", "mini", "--device", "cpu", "--max-pixels", "100"])
    error = capfd.readouterr().err
    assert stop.value.code == 2
    assert len(error.strip().splitlines()) == 1
    assert "more than 100, " in error
    assert "--max-pixels" in error


def test_the_written_out_default_is_that_of_the_decoder() -> None:
    assert cli_options._MAX_PIXELS == MAX_PIXELS == 100_000_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize(("kind", "turn"), [("PNG", 1), ("PNG", 6), ("JPEG", 1), ("JPEG", 8), ("TIFF", 6), ("GIF", 1)])
def test_a_worker_stays_within_three_times_the_picture(kind: str, turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    for name, size in (("small", (64, 64)), ("large", (5000, 4000))):
        options = {"PNG": {"compress_level": 1}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
        Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(tmp_path / name, kind, exif=exif, **options)
    assert peak_of_decoding(tmp_path) < 3 * 3 * 5000 * 4000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("channels", [3, 4])
def test_so_it_does_with_16_bits_a_channel(channels: int, tmp_path: Path) -> None:
    for name, size in (("small", (64, 64)), ("large", (5000, 4000))):
        (tmp_path / name).write_bytes(png16(np.full((size[1], size[0], channels), 23130, np.uint16)))
    assert peak_of_decoding(tmp_path) < 3 * 3 * 5000 * 4000


@pytest.mark.parametrize(
    ("kind", "options", "taken"),
    [
        ("WEBP", {}, 16),
        ("JPEG", {"progressive": True, "subsampling": 0}, 10),
        ("JPEG", {"progressive": True, "subsampling": 2}, 9),
        ("JPEG", {"subsampling": 0}, 9),
    ],
)
def test_what_takes_more_memory_has_a_lower_limit(kind: str, options: dict[str, Any], taken: int) -> None:
    stream = io.BytesIO()
    smooth_picture(1, (30, 20)).save(stream, kind, **options)
    least = -(-600 * taken // 9)
    assert decode(stream.getvalue(), "x", max_pixels=least).pixels.shape == (20, 30, 3)
    with pytest.raises(PictureError, match=r"30 x 20 pixels are more than 599, .*`max_pixels`") as caught:
        decode(stream.getvalue(), "x", max_pixels=least - 1)
    assert (f"takes {taken} bytes per pixel" in str(caught.value)) == (taken > 9)


def peak_of_decoding(folder: Path) -> int:
    """Bytes that the picture `large` takes beyond those that `small` took, with mini's preprocessing."""
    files = [str(folder / "small"), str(folder / "large")]
    return int(subprocess.run([sys.executable, "-c", _PEAK, *files], capture_output=True, text=True, check=True).stdout)
