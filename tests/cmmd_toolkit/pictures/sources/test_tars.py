"""Tars and WebDataset shards: order, names, damage, links, subsets; indexed and streamed alike."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from archives import assert_damage_is_told, contents, write_tar
from pictures import names_of, pixels_of

from cmmd_toolkit import InputError, PictureError, compare, embed, explain
from cmmd_toolkit.pictures.sources import open_images

SUFFIXES = (".tar", ".tar.gz", ".tgz")


def packed(folder: Path, target: Path, prefix: str = "") -> Path:
    return write_tar(target, contents(folder, prefix), "w:gz" if target.suffix != ".tar" else "w")


@pytest.fixture
def shards(real: Path, tmp_path: Path) -> str:
    """The pictures of `real` and their labels in three shards."""
    files = contents(real)
    for shard in range(3):
        own = {name: data for i, (name, data) in enumerate(files.items()) if i % 3 == shard}
        samples = {f"s/{key}": data for name, data in own.items() for key, data in _sample(name, data)}
        write_tar(tmp_path / f"train-00{shard}.tar", samples)
    return str(tmp_path / "train-{000..002}.tar")


def _sample(name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [(name, data), (name.replace(".png", ".cls"), b"7"), (name.replace(".png", ".json"), b"{}")]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tar_gives_the_pixels_of_its_folder_in_its_own_order(suffix: str, real: Path, tmp_path: Path) -> None:
    files = dict(reversed(contents(real, "./inner/").items()))
    path = write_tar(tmp_path / f"real{suffix}", {**files, "._x.png": b"", "note.txt": b"x"}, _mode(suffix))
    source = open_images(path)
    assert source.size == (8 if suffix == ".tar" else None)
    assert names_of(path) == [name.removeprefix("./") for name in files]
    for own, other in zip(pixels_of(path), reversed(pixels_of(real)), strict=True):
        assert np.array_equal(own, other)
    record = embed(path, backbone="mini").record
    assert record is not None
    assert record.remarks == ("2 files with other suffixes were left out",)


def _mode(suffix: str) -> str:
    return "w" if suffix == ".tar" else "w:gz"


def test_shards_are_one_set_in_the_order_of_their_names(shards: str, real: Path, fake: Path) -> None:
    source = open_images(shards)
    assert (source.size, source.name) == (8, shards)
    assert source.remarks == ("16 files with other suffixes were left out",)
    order = [row for shard in range(3) for row in range(shard, 8, 3)]
    assert names_of(shards) == [f"train-00{row % 3}.tar:s/{row:03d}.png" for row in order]
    expected = pixels_of(real)
    for own, row in zip(pixels_of(shards), order, strict=True):
        assert np.array_equal(own, expected[row])
    options = {"backbone": "mini", "metric": "mmd", "device": "cpu"}
    assert compare(shards, fake, **options).value("mmd") == pytest.approx(compare(real, fake, **options).value("mmd"))


def test_a_missing_shard_is_named(shards: str) -> None:
    with pytest.raises(InputError, match=r"train-003\.tar: no such file or folder"):
        open_images(shards.replace("002", "003"))


def test_classes_of_shards_are_the_folders_behind_their_names(real: Path, fake: Path, tmp_path: Path) -> None:
    files = [*contents(real, "dog/").items(), *contents(fake, "cat/").items()]
    for shard in range(2):
        write_tar(tmp_path / f"{shard}.tar", dict(files[shard::2]))
    pattern = str(tmp_path / "{0,1}.tar")
    report = compare(pattern, pattern, backbone="mini", metric="mmd", per_class=True)
    assert sorted(report.results_per_class) == ["cat", "dog"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_draw_is_that_of_the_folder(suffix: str, real: Path, tmp_path: Path) -> None:
    path = packed(real, tmp_path / f"real{suffix}")
    drawn = open_images(path).subset(3, seed=2)
    expected = open_images(real).subset(3, seed=2)
    assert [name for name, _ in drawn] == [name for name, _ in expected]
    for (_, own), (_, other) in zip(drawn, expected, strict=True):
        assert np.array_equal(own().pixels, other().pixels)
    assert [name for name, _ in drawn] == [name for name, _ in expected], "a stream is read as often as asked"
    if suffix != ".tar":
        record = embed(path, backbone="mini", max_images=3, seed=2).record
        assert record is not None
        assert record.remarks == ("read twice: its 8 pictures were counted, and 3 of them drawn",)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize("name", ["../a.png", "/a.png", "x/../../a.png", "C:/a.png", "..\\a.png"])
def test_names_that_point_outside_are_refused(name: str, suffix: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / f"bad{suffix}", {name: b"x"}, _mode(suffix))
    with pytest.raises(InputError, match=r"unsafe entry name .* make the tar again"):
        names_of(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(member)
    with pytest.raises(InputError, match=r"bad\.tar: entry 'a\.png' is .*; make the tar again with real files"):
        open_images(tmp_path / "bad.tar")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_no_cut_of_a_tar_is_read_as_a_smaller_one(suffix: str, real: Path, tmp_path: Path) -> None:
    whole = packed(real, tmp_path / f"whole{suffix}").read_bytes()
    unpacked = gzip.decompress(whole) if suffix != ".tar" else whole
    end = max(i for i, byte in enumerate(unpacked) if byte) + 1
    cut = tmp_path / f"cut{suffix}"
    places = [0, 1, 100, 512, 513, 5000, end - 1, end, (end + 511) // 512 * 512]
    for place in places if suffix == ".tar" else [0, 1, 9, 30, len(whole) // 2, len(whole) - 9, len(whole) - 1]:
        cut.write_bytes(whole[:place])
        with pytest.raises(InputError, match=r"cut\.tar.*: not a whole tar \(.*\); make or copy it again"):
            names_of(cut)


def test_a_damaged_header_in_the_middle_and_a_second_tar_behind_the_first_are_seen(real: Path, tmp_path: Path) -> None:
    path = packed(real, tmp_path / "a.tar")
    data = path.read_bytes()
    second = 512 + (len((real / "000.png").read_bytes()) + 511) // 512 * 512
    path.write_bytes(data[: second + 10] + b"?" + data[second + 11 :])
    with pytest.raises(InputError, match=f"a damaged header at byte {second}"):
        open_images(path)
    path.write_bytes(data + data)
    with pytest.raises(InputError, match="more follows its end mark"):
        open_images(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_endless_zeros_behind_a_tar_are_not_read_to_their_end(suffix: str, real: Path, tmp_path: Path) -> None:
    path = packed(real, tmp_path / "a.tar")
    if suffix == ".tar":
        with path.open("ab") as file:
            file.truncate(1 << 42)
    else:
        path = path.rename(tmp_path / "a.tar.gz")
        path.write_bytes(gzip.compress(path.read_bytes() + bytes(80 << 20), 1))
    with pytest.raises(InputError, match=r"zeros follow its end mark at byte \d+\); make or copy it again"):
        names_of(path)


def test_damage_of_any_kind_is_one_line_or_whole_pictures(real: Path, tmp_path: Path) -> None:
    for suffix in (".tar", ".tar.gz"):
        whole = packed(real, tmp_path / f"whole{suffix}").read_bytes()
        assert_damage_is_told(tmp_path / f"damaged{suffix}", whole, real)


def test_a_tar_whose_header_leads_backwards_ends(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    header = bytearray(member.tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"  # base 256, below zero
    checksum = 256 + sum(header[:148]) + sum(header[156:512])
    header[148:156] = b"%06o\0 " % checksum
    (tmp_path / "bad.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(InputError, match="not a whole tar"):
        open_images(tmp_path / "bad.tar")


def test_a_tar_is_known_by_its_content(real: Path, tmp_path: Path) -> None:
    plain, zipped = packed(real, tmp_path / "a.tar"), packed(real, tmp_path / "b.tar.gz")
    plain.rename(tmp_path / "c.tar.gz")
    zipped.rename(tmp_path / "d.tar")
    assert names_of(tmp_path / "c.tar.gz") == names_of(tmp_path / "d.tar") == names_of(real)
    (tmp_path / "e.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(InputError, match="not a whole tar"):
        open_images(tmp_path / "e.tar")


def test_a_tar_that_changes_under_the_run_is_named(real: Path, tmp_path: Path) -> None:
    path = packed(real, tmp_path / "a.tar")
    source = open_images(path)
    packed(real, path, "longer-name/")
    with pytest.raises(PictureError, match=r"a\.tar: was changed while it was read"):
        [load() for _, load in source]


def test_tars_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures .* among its 1 files"):
        open_images(write_tar(tmp_path / "a.tar", {"a.txt": b"x"}))
    with pytest.raises(InputError, match="no usable picture"):
        embed(write_tar(tmp_path / "a.tar.gz", {"a.txt": b"x"}, "w:gz"), backbone="mini")


def test_the_headers_of_every_dialect_are_read(real: Path, tmp_path: Path) -> None:
    name = "x" * 60 + "/" + "y" * 120 + "/ü.png"
    data = (real / "000.png").read_bytes()
    for number, dialect in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=dialect) as archive:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        assert names_of(path) == [name]
        assert len(pixels_of(path)) == 1


def test_the_sheet_of_a_streamed_tar_is_that_of_its_folder(real: Path, fake: Path, tmp_path: Path) -> None:
    (real / "0bad.png").write_bytes(b"x")
    path = packed(real, tmp_path / "real.tar.gz")
    options = {"backbone": "mini", "device": "cpu", "on_error": "skip", "top": 3}
    explain(path, fake, **options).save_sheet(tmp_path / "a.png")
    explain(real, fake, **options).save_sheet(tmp_path / "b.png")
    from PIL import Image

    with Image.open(tmp_path / "a.png") as own, Image.open(tmp_path / "b.png") as other:
        a, b = np.asarray(own), np.asarray(other)
    assert a.shape == b.shape
    assert (a != b).any(axis=2).mean() < 0.01  # the names of the sets differ
