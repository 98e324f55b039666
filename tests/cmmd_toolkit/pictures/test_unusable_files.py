"""What cannot be opened in a folder is named; with `on_error="skip"` it is counted, and the rest is scored."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import smooth_picture
from PIL import Image
from tiff_bytes import raw_tiff

from cmmd_toolkit import InputError, PictureError, compare, embed
from cmmd_toolkit.pictures.sources import open_images, picture_names


def deep_folder(top: Path, depth: int) -> None:
    """That many folders in each other, and a picture in the last; its path is too long for any system call."""
    home = Path.cwd()
    os.chdir(top)
    try:
        for _ in range(depth):
            Path("a").mkdir()
            os.chdir("a")
        smooth_picture(0).save("deep.png")
    finally:
        os.chdir(home)


@pytest.fixture
def odd(real: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pictures, and seven names of pictures that are none."""
    monkeypatch.chdir(real)  # the name of a socket must be short
    os.mkfifo("pipe.png")
    Path("loop.png").symlink_to("loop.png")
    Path("nothing.png").symlink_to("absent")
    Path("zero.png").symlink_to("/dev/zero")
    Path("folder.png").mkdir()
    Path("folder.png/notes.txt").touch()
    Path("text.png").write_text("no picture")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
    return real


def test_everything_unusable_is_skipped_counted_and_named(odd: Path) -> None:
    report = compare(odd, odd, backbone="mini", metric="mmd", on_error="skip")
    names = sorted(entry["name"] for entry in report.sets[0]["skipped"])
    assert names == [f"{name}.png" for name in ("folder", "loop", "nothing", "pipe", "socket", "text", "zero")]
    assert report.results[0].n_reference == 8
    assert any("7 unusable pictures skipped" in warning for warning in report.warnings)
    features = embed(odd, backbone="mini", on_error="skip")
    assert (len(features), features.provenance["skipped"]) == (8, 7)


def test_each_of_them_stops_a_run_that_skips_nothing(odd: Path) -> None:
    for path in sorted(odd.glob("[a-z]*.png")):
        path.rename(odd / f".{path.name}")
    for path in sorted(odd.glob(".[a-z]*.png")):
        shown = path.rename(odd / path.name[1:])
        with pytest.raises(PictureError, match=rf"{shown.name}: .*use `on_error='skip'`"):
            embed(odd, backbone="mini")
        shown.rename(path)


def test_a_file_too_large_for_a_picture_is_named_and_never_read(real: Path) -> None:
    with (real / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PictureError, match=r"huge\.png: has 1,099,511,627,776 bytes, more than a picture .*'skip'`"):
        embed(real, backbone="mini")
    assert len(embed(real, backbone="mini", on_error="skip")) == 8


def test_a_folder_that_is_named_like_a_picture_and_holds_some_is_searched(real: Path) -> None:
    (real / "more.png").mkdir()
    (real / "007.png").rename(real / "more.png" / "7.png")
    assert picture_names(real)[0][-1] == "more.png/7.png"
    assert len(embed(real, backbone="mini")) == 8


def test_five_thousand_nested_folders_are_one_line_or_skipped(real: Path) -> None:
    deep_folder(real, 5000)
    try:
        with pytest.raises(InputError, match=r"cannot be listed \(File name too long\)"):
            picture_names(real)  # of training
        source = open_images(real)
        with pytest.raises(PictureError, match="File name too long"):
            embed(source, backbone="mini")
        assert len(embed(source, backbone="mini", on_error="skip")) == 8
    finally:
        subprocess.run(["rm", "-rf", str(real / "a")], check=True)  # pytest's own removal gives up on it


def test_a_missing_file_in_a_list_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.png: cannot be read \(No such file or directory\); check its name"):
        embed([tmp_path / "a.png"], backbone="mini")


# ---- other people's lines ------------------------------------------------------------------------------


def noisy_tiffs(folder: Path) -> None:
    """Files at which libtiff, Pillow and its logger each say something on their own."""
    grey = np.arange(48, dtype=np.uint8).tobytes()
    (folder / "samples.tiff").write_bytes(raw_tiff((8, 6), [8] * 122, 1, [grey * 122]))
    (folder / "packed.tiff").write_bytes(raw_tiff((8, 6), [8], 1, [b"\x07" * 40], compression=5))
    smooth_picture(0).save(folder / "tags.tiff", compression="tiff_lzw", tiffinfo={65000: "private", 40961: "x"})
    Image.new("P", (4, 4)).save(folder / "palette.png", transparency=b"\0\1\2")


def test_no_library_writes_a_line_of_its_own(real: Path) -> None:
    noisy_tiffs(real)
    command = [sys.executable, "-m", "cmmd_toolkit", "compare", real, real, "--backbone", "mini", "--on-error", "skip"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [str(real)] * 2
    assert "2 unusable pictures skipped" in done.stdout


def test_opened_tiffs_are_silent_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy_tiffs(tmp_path)
    with Image.open(tmp_path / "packed.tiff") as image, pytest.raises(PictureError):
        embed([image], backbone="mini")
    assert capfd.readouterr() == ("", "")
