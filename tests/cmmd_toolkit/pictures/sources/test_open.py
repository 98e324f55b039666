"""Whatever is given for a set: iterables, subsets and refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import pixels_of, smooth_picture, write_pictures

from cmmd_toolkit import ArgumentError, InputError
from cmmd_toolkit.pictures.sources import open_images, subset_rows


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
        (lambda folder: _written(folder / "x.csv", b"x"), r"expected a folder, .zip, .* got a \.csv file"),
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
