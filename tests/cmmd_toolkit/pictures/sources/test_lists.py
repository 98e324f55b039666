"""Lists of paths: order, comments, missing pictures by line, refusals."""

from pathlib import Path

import numpy as np
import pytest
from pictures import names_of, pixels_of, write_pictures

from cmmd_toolkit import InputError, PictureError, compare, embed, explain
from cmmd_toolkit.pictures.sources import open_images


def listed(folder: Path, *lines: str, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_list_gives_the_pictures_it_names_in_its_order(real: Path, tmp_path: Path) -> None:
    absolute = str(real / "001.png")
    path = listed(tmp_path, "\ufeff# a comment", "real/005.png", "", "  ./real/000.png  ", absolute, "real/005.png")
    source = open_images(path)
    assert (source.size, source.name) == (4, str(path))
    assert names_of(path) == ["real/005.png", "real/000.png", absolute, "real/005.png"]
    expected = [pixels_of(real)[row] for row in (5, 0, 1, 5)]
    for own, other in zip(pixels_of(path), expected, strict=True):
        assert np.array_equal(own, other)


def test_line_ends_of_any_system_are_read(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"real/000.png\r\nreal/001.png\r\n")
    assert names_of(path) == ["real/000.png", "real/001.png"]


def test_a_missing_picture_is_named_with_its_list_and_line(real: Path, tmp_path: Path) -> None:
    path = listed(tmp_path, "# first", "real/000.png", "real/gone.png", "real", "real/1\0.png", "real/001.png")
    with pytest.raises(PictureError, match=r"list\.txt, line 3: .*real/gone\.png: cannot be read \(No such file"):
        embed(path, backbone="mini")
    features = embed(path, backbone="mini", on_error="skip")
    assert features.names == ("real/000.png", "real/001.png")
    assert features.record is not None
    reasons = dict(features.record.skipped)
    assert "list.txt, line 5" in reasons["real/1\0.png"]
    assert "not a regular file but a folder" in reasons["real"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no pictures; write the path"),
        (b"\n# only a comment\n\n", "lists no pictures"),
        (b"a.png\n\xff\xfe.png", r"not a list of paths in UTF-8 \(byte 6\)"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_images(tmp_path / "x.txt")


def test_a_list_is_scored_as_its_folder_is(real: Path, fake: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in real.iterdir())
    path = listed(tmp_path, *(f"real/{name}" for name in names))
    options = {"backbone": "mini", "device": "cpu", "metric": "mmd"}
    assert compare(path, fake, **options).value("mmd") == compare(real, fake, **options).value("mmd")
    explanation = explain(path, fake, backbone="mini", top=2)
    assert [entry.name for entry in explanation.sections[0].uncovered] == [
        f"real/{entry.name}" for entry in explain(real, fake, backbone="mini", top=2).sections[0].uncovered
    ]


def test_classes_are_the_first_folders_of_the_listed_paths(tmp_path: Path) -> None:
    for place in ("a", "b"):
        for own in ("dog", "cat"):
            write_pictures(tmp_path / place / own, 3, first_seed=ord(place) + ord(own[0]))
        listed(tmp_path / place, *(f"{own}/00{i}.png" for own in ("dog", "cat") for i in range(3)))
    first, second = tmp_path / "a" / "list.txt", tmp_path / "b" / "list.txt"
    report = compare(first, second, backbone="mini", metric="mmd", per_class=True)
    assert sorted(report.results_per_class) == ["cat", "dog"]


def test_a_subset_of_a_list_is_that_of_its_folder(real: Path, tmp_path: Path) -> None:
    path = listed(real, *sorted(file.name for file in real.iterdir()))
    own = [name for name, _ in open_images(path).subset(3, seed=5)]
    assert own == [name for name, _ in open_images(real).subset(3, seed=5)]
