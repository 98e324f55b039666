"""Folders: order, hidden files, links, refusals."""

import os
from pathlib import Path

import pytest
from pictures import names_of, pixels_of, smooth_picture, write_pictures

from cmmd_toolkit import InputError
from cmmd_toolkit.pictures.sources import open_images


def test_folders_are_searched_recursively_in_name_order_whatever_the_case(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "sub/c.Png", "sub/deep/d.webp", "Z.tiff", "e.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        smooth_picture(1).save(tmp_path / name)
    assert names_of(tmp_path) == ["Z.tiff", "a.jpeg", "b.PNG", "e.bmp", "sub/c.Png", "sub/deep/d.webp"]
    assert names_of(tmp_path, recursive=False) == ["Z.tiff", "a.jpeg", "b.PNG", "e.bmp"]


def test_other_files_and_hidden_ones_are_left_out_and_counted(real: Path) -> None:
    (real / "notes.txt").write_text("x")
    (real / "._000.png").write_bytes(b"x")
    (real / ".cache").mkdir()
    smooth_picture(1).save(real / ".cache" / "x.png")
    source = open_images(real)
    assert source.size == 8
    assert source.remarks == ("1 files with other suffixes were left out",)


def test_linked_folders_are_followed_and_loops_end(real: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "linked").symlink_to(real, target_is_directory=True)
    (top / "loop").symlink_to(top, target_is_directory=True)
    assert len(names_of(top)) == 8


def test_only_deeper_pictures_are_hinted_at(tmp_path: Path) -> None:
    write_pictures(tmp_path / "sub", 2)
    with pytest.raises(InputError, match="subfolders are searched with `recursive`"):
        open_images(tmp_path, recursive=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_picture_is_named(real: Path) -> None:
    (real / "000.png").chmod(0)
    with pytest.raises(InputError, match="000.png: cannot be read"):
        pixels_of(real)


def test_a_link_to_nothing_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"a.png: cannot be read .*; a broken link"):
        pixels_of(tmp_path)
