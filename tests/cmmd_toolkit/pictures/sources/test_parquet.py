"""Parquet files with pictures: columns, names, row groups, damage, a missing package."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import assert_damage_is_told, contents, write_parquet
from pictures import names_of, pixels_of, write_pictures
from pyarrow import parquet

from cmmd_toolkit import InputError, PictureError, compare, embed
from cmmd_toolkit.pictures.sources import open_images


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_a_file_gives_the_pixels_of_its_folder(rows: int, real: Path, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "real.parquet", contents(real, "s/"), rows=rows)
    assert open_images(path).size == 8
    assert names_of(path) == [f"s/{name}" for name in names_of(real)]
    for own, other in zip(pixels_of(path), pixels_of(real), strict=True):
        assert np.array_equal(own, other)


def test_a_folder_of_files_is_one_set_with_row_numbers_for_names(real: Path, fake: Path, tmp_path: Path) -> None:
    files, folder = list(contents(real).items()), tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for part in range(2):
        write_parquet(folder / f"train-{part}.parquet", dict(files[part * 5 : part * 5 + 5]), paths=False)
    assert names_of(tmp_path / "set") == list("01234567")
    assert names_of(f"{folder}/train-{{0,1}}.parquet") == list("01234567")
    options = {"backbone": "mini", "metric": "mmd", "device": "cpu"}
    assert compare(tmp_path / "set", fake, **options).value("mmd") == compare(real, fake, **options).value("mmd")
    drawn = open_images(tmp_path / "set").subset(4, seed=3)
    expected = open_images(real).subset(4, seed=3)
    for (_, own), (_, other) in zip(drawn, expected, strict=True):
        assert np.array_equal(own().pixels, other().pixels)


def test_pictures_in_a_folder_come_before_its_parquet_files(real: Path) -> None:
    write_parquet(real / "x.parquet", contents(real))
    source = open_images(real)
    assert source.size == 8
    assert source.remarks == ("1 files with other suffixes were left out",)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes_is_one_of_pictures(kind: pa.DataType, real: Path, tmp_path: Path) -> None:
    table = pa.table({"n": list(range(8)), "png": pa.array(list(contents(real).values()), kind)})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert len(pixels_of(tmp_path / "a.parquet")) == 8


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1, 2]}, r"no column of pictures .*; it has label \(int64\); give one"),
        (
            {"a": [b"x", b"y"], "b": [b"x", b"y"]},
            r"several columns .*; it has a \(binary\), b \(binary\); name one, as in FILE.parquet:a",
        ),
        ({"a": pa.array([], pa.binary())}, "no pictures among its 0 rows"),
    ],
)
def test_what_holds_no_pictures_is_refused_with_its_columns(columns: dict, message: str, tmp_path: Path) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        open_images(tmp_path / "a.parquet")


def test_a_column_is_chosen_by_its_name(real: Path, tmp_path: Path) -> None:
    """Two columns of one file, or of several, are two sets; `datasets` writes structs, others bytes."""
    fake = write_pictures(tmp_path / "fake", 8, first_seed=70)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "real": pa.array(list(contents(real).values()), pa.binary()),
        "fake:0": pa.array([{"bytes": own, "path": name} for name, own in contents(fake).items()], kind),
        "label": list(range(8)),
    }
    for part in range(2):
        rows = {name: own[part * 4 : part * 4 + 4] for name, own in columns.items()}
        parquet.write_table(pa.table(rows), tmp_path / f"{part}.parquet")
    both = str(tmp_path / "{0,1}.parquet")
    for column, folder in (("real", real), ("fake:0", fake)):
        source = open_images(f"{both}:{column}")
        assert source.name == f"{both}:{column}"
        for own, other in zip(pixels_of(source), pixels_of(folder), strict=True):
            assert np.array_equal(own, other)
    report = compare(f"{both}:real", f"{both}:fake:0", backbone="mini", metric="mmd", device="cpu")
    assert report.results[0].generated == f"{both}:fake:0"
    assert report.value("mmd") == compare(real, fake, backbone="mini", metric="mmd", device="cpu").value("mmd")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("label", r"a\.parquet: column 'label' holds no pictures .*; it has label \(int64\), png \(binary\)"),
        ("image", r"a\.parquet: no column 'image'; it has label \(int64\), png \(binary\)"),
        ("twice", r"a\.parquet: several columns 'twice'; it has .* twice \(binary\), twice \(binary\)$"),
    ],
)
def test_a_column_that_is_none_of_pictures_is_refused(column: str, message: str, tmp_path: Path) -> None:
    columns = [pa.array(own) for own in ([1, 2], [b"x", b"y"], [b"x", b"y"], [b"x", b"y"])]
    parquet.write_table(pa.Table.from_arrays(columns, ["label", "png", "twice", "twice"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        open_images(f"{tmp_path}/a.parquet:{column}")
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        open_images(f"{tmp_path}/none.parquet:{column}")


def test_rows_without_bytes_are_unusable_pictures(real: Path, tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    first = (real / "000.png").read_bytes()
    values = [
        {"bytes": first, "path": None},
        {"bytes": None, "path": "/x.png"},
        None,
        {"bytes": first, "path": "b.png"},
    ]
    parquet.write_table(pa.table({"image": pa.array(values, kind)}), tmp_path / "a.parquet")
    with pytest.raises(PictureError, match=r"a\.parquet, row 1 \(/x\.png\): names a picture and does not hold it"):
        embed(tmp_path / "a.parquet", backbone="mini")
    features = embed(tmp_path / "a.parquet", backbone="mini", on_error="skip")
    assert features.names == ("0", "b.png")


def test_damage_is_one_line_or_whole_pictures(real: Path, tmp_path: Path) -> None:
    """Pictures are PNG, whose own checksums find what Parquet, written without any, does not."""
    whole = write_parquet(tmp_path / "whole.parquet", contents(real)).read_bytes()
    assert_damage_is_told(tmp_path / "damaged.parquet", whole, real)


def test_without_pyarrow_the_extra_is_named(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "a.parquet", contents(real))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)  # what import finds where it is not installed
    with pytest.raises(InputError, match=r"needs the package pyarrow; pip install 'cmmd-toolkit\[parquet\]'"):
        open_images(path)


MEMORY = """
import re, sys
from pathlib import Path
import pyarrow.parquet
from cmmd_toolkit.pictures.sources import open_images
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
count = sum(len(load.read()) == 65536 for _, load in open_images(sys.argv[1]))
print(count, (peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_is_that_of_a_row_group_and_not_of_the_file(tmp_path: Path) -> None:
    """200 MB in row groups of 100 pictures, as `datasets` writes them, in less than 80 MB."""
    files = {f"{i}.png": np.random.default_rng(i).bytes(65536) for i in range(3200)}
    path = write_parquet(tmp_path / "a.parquet", files, rows=100)
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == 3200
    assert megabytes < 80
