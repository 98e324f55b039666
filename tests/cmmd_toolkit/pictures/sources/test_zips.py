"""Zips: read in place, unsafe names, damage, a folder of one."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import names_of, pixels_of, write_pictures

from cmmd_toolkit import InputError, PictureError, compare
from cmmd_toolkit.pictures.sources import open_images


def test_a_zip_is_read_in_place_with_the_folders_pixels(real: Path, tmp_path: Path) -> None:
    archive = tmp_path / "real.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for path in sorted(real.iterdir(), reverse=True):
            stream.write(path, f"inner/{path.name}")
        stream.writestr("__MACOSX/._000.png", b"x")
    assert names_of(archive) == [f"inner/{i:03d}.png" for i in range(8)]
    for own, other in zip(pixels_of(archive), pixels_of(real), strict=True):
        assert np.array_equal(own, other)


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "x/../../a.png", "C:/a.png", "..\\a.png"])
def test_a_zip_with_names_that_point_outside_is_refused(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr(name, b"x")
    with pytest.raises(InputError, match="bad.zip: unsafe entry name"):
        open_images(archive)


def test_a_damaged_zip_entry_names_itself(real: Path, tmp_path: Path) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.write(real / "000.png", "a.png")
    data = bytearray(archive.read_bytes())
    data[100] ^= 255
    archive.write_bytes(data)
    with pytest.raises(PictureError, match="bad.zip:a.png: cannot be unpacked"):
        pixels_of(archive)


def test_a_folder_of_a_zip_is_a_set_of_its_own(real: Path, fake: Path, tmp_path: Path) -> None:
    archive = tmp_path / "both.ZIP"
    with zipfile.ZipFile(archive, "w") as written:
        for folder, name in ((real, "sets/real"), (fake, "sets/real-not"), (fake, "sets/fake")):
            for file in folder.iterdir():
                written.write(file, f"{name}/sub/{file.name}")
    part = f"{archive}:sets/real"
    assert names_of(part) == [f"sub/{name}" for name in names_of(real)]
    assert names_of(f"{archive}:/sets/real/") == names_of(part)
    assert open_images(part).name == part
    for own, expected in zip(pixels_of(part), pixels_of(real), strict=True):
        assert np.array_equal(own, expected)
    options = {"backbone": "mini", "device": "cpu", "metric": "fd"}
    inside = compare(part, f"{archive}:sets/fake/sub", **options)
    assert inside.value("fd", generated=f"{archive}:sets/fake/sub") == compare(real, fake, **options).value("fd")
    with pytest.raises(InputError, match="no pictures .* among its 0 files below nothing/"):
        open_images(f"{archive}:nothing")
    with pytest.raises(InputError, match=r"absent\.zip:sets: no such file"):
        open_images(tmp_path / "absent.zip:sets")
    (tmp_path / "odd.zip:name").mkdir()  # a folder of that name is what it is
    write_pictures(tmp_path / "odd.zip:name", 2)
    assert len(names_of(tmp_path / "odd.zip:name")) == 2
