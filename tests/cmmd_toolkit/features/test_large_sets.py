"""Sets larger than memory: mapped files, temporary files, blocks; equal numbers, and memory that is bounded."""

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, smooth_picture, write_pictures

from cmmd_toolkit import Features, InputError, compare, embed, frechet_distance, kernel_distance, rank, squared_mmd
from cmmd_toolkit.common import row_collector, safetensors_file
from cmmd_toolkit.common.row_collector import RowCollector, empty_rows, gathered, row_blocks
from cmmd_toolkit.features import matrices, unit_rows
from cmmd_toolkit.metrics import kid, mmd

MIB = 2**20


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit so low that the sets of these tests are large."""
    for module in (row_collector, matrices, unit_rows, kid, mmd):
        monkeypatch.setattr(module, "IN_MEMORY", 1000)
    monkeypatch.setattr(safetensors_file, "_MAPPED", 1000)


def is_mapped(values: np.ndarray) -> bool:
    while values is not None:
        if isinstance(values, np.memmap):
            return True
        values = values.base
    return False


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that NumPy and Python held at a time above those at the start; mapped files do not count."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---- files ----------------------------------------------------------------------------------------


def test_features_of_a_large_file_stay_in_it(tmp_path: Path) -> None:
    path, values = tmp_path / "x.safetensors", np.zeros((20_000, 1024), np.float32)  # 78 MiB
    values[:, ::7] = gaussian(20_000, 147).astype(np.float32)
    Features(values).save(path)

    def work() -> None:
        loaded = Features.load(path)
        assert is_mapped(loaded.values)
        assert not loaded.values.flags.writeable
        assert np.array_equal(loaded.values[::999], values[::999])

    assert peak_of(work) < 24 * MIB
    with path.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"\1\2\3\4")

    def refuse() -> None:
        with pytest.raises(InputError, match="checksum differs"):
            Features.load(path)

    assert peak_of(refuse) < 24 * MIB


def test_statistics_and_frechet_distance_take_blocks(tmp_path: Path) -> None:
    paths, dim = [tmp_path / f"{i}.npy" for i in range(2)], 128
    for i, path in enumerate(paths):
        np.save(path, gaussian(100_000, dim, seed=i).astype(np.float32))  # 49 MiB
    x, y = (Features.load(path) for path in paths)
    assert is_mapped(x.values)
    assert peak_of(x.statistics) < 80 * MIB  # two blocks of float64; all rows are 98 MiB, and were held twice
    assert np.allclose(x.statistics().cov, np.cov(x.values, rowvar=False), rtol=1e-9, atol=1e-12)
    half, whole = (
        peak_of(lambda rows=rows: frechet_distance(reference=x.values[:rows], generated=y)) for rows in (50_000, None)
    )
    assert whole < 75 * MIB
    assert whole - half < 50_000 * 300  # bytes a row: numbers of each picture, and no copy of its features, 512 bytes


def test_mapped_sets_have_the_numbers_of_sets_in_memory(tmp_path: Path, small_limits: None) -> None:
    pairs = []
    for i in range(3):
        features = Features(gaussian(120, 6, seed=i) + 0.2 * i, {"backbone": "clip"})
        features.save(tmp_path / f"{i}.safetensors")
        pairs.append((features, tmp_path / f"{i}.safetensors"))
    held, files = zip(*pairs, strict=True)
    assert is_mapped(Features.load(files[0]).values)
    for metric in ("all", "mmd", "fd"):
        one, two = (compare(own[0], list(own[1:]), metric=metric) for own in (held, files))
        assert [own.value for own in one.results] == [own.value for own in two.results]
        assert [own.interval for own in one.results] == [own.interval for own in two.results]
    orders = [rank(own[0], list(own[1:])).orders[0] for own in (held, files)]
    assert [pair.p_value for pair in orders[0].pairs] == [pair.p_value for pair in orders[1].pairs]


@pytest.mark.parametrize("bandwidth", ["median", "median-pooled", 3.0])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_streamed_kernel_rows_give_the_same_sums(
    bandwidth: object, estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = gaussian(2500, 7, seed=1) + 4, gaussian(1100, 7, seed=2) + 4.1
    x[3] = x[4]
    estimates = []
    for limit in (row_collector.IN_MEMORY, 100):
        monkeypatch.setattr(mmd, "IN_MEMORY", limit)
        options = {"bandwidth": bandwidth, "estimator": estimator}
        estimates.append([squared_mmd(reference=x, generated=own, **options) for own in (y, x[:900])])
    assert estimates[0] == estimates[1]


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_whole_set_kid_in_blocks_has_the_same_value(estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (gaussian(rows, 7, seed=rows).astype(np.float32) for rows in (2500, 1100))
    x[3] = x[4]
    estimates = []
    for limit in (row_collector.IN_MEMORY, 100):
        monkeypatch.setattr(kid, "IN_MEMORY", limit)
        estimates.append(kernel_distance(reference=x, generated=y, estimator=estimator))
    assert estimates[0] == estimates[1]


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mmd", "kid"])
def test_streamed_kernel_rows_hold_no_copy_of_a_set(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (gaussian(rows, 512, seed=rows).astype(np.float32) for rows in (16_000, 1000))  # 31 MiB, 62 as float64

    def peak(limit: int) -> int:
        monkeypatch.setattr(kid if metric == "kid" else mmd, "IN_MEMORY", limit)
        if metric == "kid":
            return peak_of(lambda: kernel_distance(reference=x, generated=y))
        return peak_of(lambda: squared_mmd(reference=x, generated=y, bandwidth=30.0))

    peak(100)  # imports
    assert peak(100) < peak(row_collector.IN_MEMORY) - x.nbytes


def test_nan_in_a_later_block_is_named_by_its_row(tmp_path: Path) -> None:
    values = np.zeros((9000, 1024), np.float32)
    values[8001, 5] = np.nan
    assert len(row_blocks(*values.shape)) > 1
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InputError, match=r"x.npy: features: NaN or infinity in row 8001; compute the features again"):
        Features.load(tmp_path / "x.npy")


# ---- .npy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_of_features_is_scored_like_the_array(dtype: type, order: str, tmp_path: Path) -> None:
    x, y = gaussian(60, 5, seed=0).astype(dtype), gaussian(50, 5, seed=1).astype(dtype)
    for name, rows in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", np.asarray(rows, order=order))
    report = compare(tmp_path / "x.npy", tmp_path / "y.npy")
    assert [own.value for own in report.results] == [own.value for own in compare(x, y).results]
    assert {own.backbone for own in report.results} == {"features"}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3), np.int64), "expected uint8 images"),
        (np.zeros((5, 3, 2)), "expected uint8 images"),
        (np.zeros((0, 3)), "expected numbers of shape"),
        (np.full((5, 3), np.inf), "NaN or infinity in row 0"),
        (np.full((5, 3), 1e30), "expected a largest magnitude"),
    ],
)
def test_an_npy_that_is_no_matrix_of_features_is_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=message) as found:
        compare(tmp_path / "x.npy", gaussian(5, 3))
    assert "x.npy" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_damaged_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, gaussian(50, 3))
    whole = path.read_bytes()
    for data in (whole[:-5], whole[:60], whole + b"more", b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x.npy"):
            Features.load(path)


@pytest.mark.parametrize("end", [slice(-5), slice(None)])
def test_a_damaged_npy_of_features_is_not_taken_for_pictures(end: slice, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, gaussian(50, 3))
    path.write_bytes(path.read_bytes()[end] + (b"more" if end.stop is None else b""))
    with pytest.raises(InputError, match=r"x\.npy: .*save it again"):
        compare(path, gaussian(50, 3))


# ---- temporary files ------------------------------------------------------------------------------


def test_rows_beyond_the_limit_go_to_a_file_without_a_name(tmp_path: Path, small_limits: None) -> None:
    rows, collector = gaussian(70, 9).astype(np.float32), RowCollector(9, folder=tmp_path)
    for start in range(0, 70, 8):
        collector.add(rows[start : start + 8])
    collected = collector.collected()
    assert is_mapped(collected)
    assert np.array_equal(collected, rows)
    assert list(tmp_path.iterdir()) == []
    index = np.array([5, 5, 69, 0] * 20)
    assert is_mapped(gathered(rows, index))
    assert np.array_equal(gathered(rows, index), rows[index])
    assert RowCollector(9).collected().shape == (0, 9)


def test_a_large_float64_matrix_is_converted_in_blocks(small_limits: None) -> None:
    rows = gaussian(70, 9)
    values = Features(rows).values
    assert is_mapped(values)
    assert np.array_equal(values, rows.astype(np.float32))


def test_a_full_disk_is_an_error_in_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, numpy as np, sys; from pathlib import Path\n"
        "from cmmd_toolkit.common import row_collector\n"
        "row_collector.IN_MEMORY = 1000; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "collector = row_collector.RowCollector(100, folder=Path(sys.argv[1]))\n"
        "for _ in range(100): collector.add(np.zeros((10, 100), np.float32))"
    )
    finished = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "could not be written (File too large); free space, or set TMPDIR to another folder" in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_rows_in_any_order_go_to_a_file_too(tmp_path: Path, small_limits: None) -> None:
    rows = gaussian(70, 9).astype(np.float32)
    filled = empty_rows(70, 9, tmp_path)
    for part in (slice(1, None, 2), slice(0, None, 2)):
        filled[part] = rows[part]
    assert is_mapped(filled)
    assert np.array_equal(filled, rows)
    assert list(tmp_path.iterdir()) == []
    assert not is_mapped(empty_rows(5, 9, tmp_path))


def test_no_room_for_rows_is_an_error_in_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
        "from cmmd_toolkit.common.row_collector import empty_rows, empty_rows\n"
        f"empty_rows(10**6, 100, __import__('pathlib').Path({str(tmp_path)!r}))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = finished.stderr.strip().splitlines()[-1]
    assert "1,000,000 rows of 100 features are kept in a temporary file here, for which there is no room" in last


def test_many_pictures_are_embedded_into_a_file(real: Path, tmp_path: Path, small_limits: None) -> None:
    pictures = [smooth_picture(seed) for seed in range(9)]
    held = np.stack([np.asarray(picture) for picture in pictures])
    features = embed(iter(pictures), backbone="mini", batch_size=2, store=tmp_path / "store")
    assert is_mapped(features.values)
    again = embed(iter([*pictures[:4], smooth_picture(99), *pictures[4:]]), backbone="mini", store=tmp_path / "store")
    assert np.array_equal(np.delete(again.values, 4, axis=0), features.values)
    alone = embed(held, backbone="mini", batch_size=2, store=False)
    assert np.array_equal(alone.values, features.values)


def test_a_record_takes_few_bytes_a_picture() -> None:
    from cmmd_toolkit.features.record import Kind, RecordBuilder

    names, kind, digest = [f"n01440764/n01440764_{i:06d}.JPEG" for i in range(50_000)], Kind("JPEG", ()), bytes(16)

    def work() -> None:
        seen = RecordBuilder()
        for place, name in enumerate(names):
            seen.add(place, name, kind, (500, 375), digest)
        assert len(seen.build(())) == len(names)

    assert peak_of(work) / len(names) < 100  # 28 bytes and 8 for the place of the name, and as much while it is built


def test_a_folder_of_pictures_gives_the_same_features_either_way(tmp_path: Path, small_limits: None) -> None:
    folder = write_pictures(tmp_path / "p", 7)
    path = tmp_path / "x.safetensors"
    features = embed(folder, backbone="mini")
    features.save(path)
    assert np.array_equal(Features.load(path).values, features.values)
    assert Features.load(path).names == features.names
