"""Batches in `.npy` and `.npz`: every layout, subsets, damage, flat memory."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import names_of, pixels_of

from cmmd_toolkit import InputError
from cmmd_toolkit.pictures.sources import open_images


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)


def saved(folder: Path, kind: str, batch: np.ndarray) -> Path:
    path = folder / f"batch-{kind}.{'npy' if kind == 'npy' else 'npz'}"
    if kind == "npy":
        np.save(path, batch)
    elif kind == "stored":
        np.savez(path, other=np.zeros(3), arr_0=batch)
    else:
        np.savez_compressed(path, batch)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["npy", "stored", "packed"])
def test_every_layout_gives_the_batch_again_and_again(kind: str, order: str, batch: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path, kind, np.asarray(batch, order=order))
    source = open_images(path)
    assert source.size == 12
    assert names_of(path) == [f"{row:02d}" for row in range(12)]
    for _ in range(2):
        assert np.array_equal(np.stack([load().pixels for _, load in source]), batch)
    chosen = open_images(batch).subset(5, seed=1)
    drawn = source.subset(5, seed=1)
    assert [name for name, _ in drawn] == [name for name, _ in chosen]
    for (_, own), (_, other) in zip(drawn, chosen, strict=True):
        assert np.array_equal(own().pixels, other().pixels)


@pytest.mark.parametrize("kind", ["stored", "packed"])
def test_every_changed_byte_of_the_numbers_is_seen(kind: str, batch: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path, kind, batch)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("arr_0.npy")
    for at in range(member.header_offset + 200, member.header_offset + member.compress_size, 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match=r"\.npz: .*; save it again"):
            pixels_of(path)


@pytest.mark.parametrize("kind", ["npy", "stored", "packed"])
def test_no_cut_is_read(kind: str, batch: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path, kind, batch)
    whole = path.read_bytes()
    for length in (0, 3, 40, 200, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"batch-.*; save it again"):
            pixels_of(path)


MEMORY = """
import re, sys
from pathlib import Path
from cmmd_toolkit.pictures.sources import open_images
def peak():  # ru_maxrss would begin with that of the parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
source = open_images(sys.argv[1])
count = sum(load().pixels.shape[0] == 256 for _, load in source)
count += sum(load().pixels.shape[0] == 256 for _, load in source.subset(50, seed=0))
print(count, (peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", ["npy", "stored", "packed"])
def test_memory_is_flat(kind: str, tmp_path: Path) -> None:
    """200 MB of pictures, in less than 25 MB beyond the start."""
    path = saved(tmp_path, kind, np.zeros((1024, 256, 256, 3), np.uint8))
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == 1074
    assert megabytes < 25


def test_what_stands_beside_the_pictures_is_said_to_be_left_out(batch: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", arr_0=batch, mu=np.zeros(2), sigma=np.eye(2))
    told = "of its arrays arr_0 was read, others were left out: mu, sigma"
    assert open_images(tmp_path / "reference.npz").all_remarks() == (told,)
    assert open_images(saved(tmp_path, "packed", batch)).all_remarks() == ()
