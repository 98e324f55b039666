"""Image sources: folders, zips, arrays and iterables; order, subsets and refusals."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import smooth_picture, write_pictures

from cmmd_toolkit import ArgumentError, InputError, PictureError, compare
from cmmd_toolkit.pictures.sources import open_images, subset_rows


def names_of(source: object, **options: object) -> list[str]:
    return [name for name, _ in open_images(source, **options)]


def pixels_of(source: object) -> list[np.ndarray]:
    return [load().pixels for _, load in open_images(source)]


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


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_batches_hold_nhwc_images(suffix: str, tmp_path: Path) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    path = tmp_path / f"batch{suffix}"
    np.save(path, batch) if suffix == ".npy" else np.savez(path, arr_0=batch)
    assert np.array_equal(np.stack(pixels_of(path)), batch)


def test_tensors_are_nchw_and_arrays_either_way() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    turned = batch.transpose(0, 3, 1, 2)
    for source in (batch, turned, torch.from_numpy(turned.copy())):
        assert np.array_equal(np.stack(pixels_of(source)), batch)
    square = batch[:, :3, :3]
    assert np.array_equal(np.stack(pixels_of(torch.from_numpy(square.copy()))), square.transpose(0, 2, 3, 1))


def test_iterables_of_pictures_paths_and_arrays_stream(real: Path) -> None:
    image = smooth_picture(0)
    items = [
        image,
        str(real / "000.png"),
        np.asarray(image),
        torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()),
    ]
    assert open_images(iter(items)).size is None
    assert open_images(items).size == 4
    for pixels in pixels_of(iter(items)):
        assert np.array_equal(pixels, np.asarray(image))


def test_subsets_are_seeded_sorted_and_without_repeats(real: Path) -> None:
    chosen = [name for name, _ in open_images(real).subset(5, seed=1)]
    assert chosen == sorted(set(chosen))
    assert chosen == [name for name, _ in open_images(real).subset(5, seed=1)]
    assert subset_rows(100, 10, 1).tolist() != subset_rows(100, 10, 2).tolist()
    assert len(list(open_images(real).subset(50, seed=1))) == 8
    assert len(list(open_images(smooth_picture(i) for i in range(6)).subset(3, seed=0))) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent", "absent: no such file or folder"),
        (lambda folder: folder, "no pictures .* among its 0 files"),
        (lambda folder: write_pictures(folder / "one", 1) / "000.png", "is a single picture; give the folder"),
        (lambda folder: _written(folder / "x.txt", b"x"), "expected a folder, .zip, .npy, .npz or .safetensors"),
        (lambda folder: _written(folder / "x.zip", b"x"), "not a readable zip"),
        (lambda folder: _written(folder / "x.npz", b"xxxx"), "not a NumPy .npz file"),
        (lambda folder: _written(folder / "x.npy", b""), "not a NumPy .npy file"),
        (lambda folder: _saved(folder / "x.npy", np.zeros((2, 4, 4, 3))), r"expected uint8 images \(N, H, W, 3\)"),
        (lambda folder: _saved(folder / "x.npy", np.array([{}], dtype=object)), "only pickle can read"),
    ],
)
def test_refusals_name_the_file_and_the_remedy(make: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_images(make(tmp_path))


def test_only_deeper_pictures_are_hinted_at(tmp_path: Path) -> None:
    write_pictures(tmp_path / "sub", 2)
    with pytest.raises(InputError, match="subfolders are searched with `recursive`"):
        open_images(tmp_path, recursive=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_picture_is_named(real: Path) -> None:
    (real / "000.png").chmod(0)
    with pytest.raises(InputError, match="000.png: cannot be read"):
        pixels_of(real)


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(ArgumentError, match="got int"):
        open_images(3)
    with pytest.raises(InputError, match="expected uint8 images"):
        open_images(np.zeros((2, 4, 4, 3)))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


def test_a_link_to_nothing_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"a.png: cannot be read .*; a link to nothing"):
        pixels_of(tmp_path)


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
