"""Sums of kernels through torch are those of NumPy, whatever the shapes, types, blocks and devices."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cmmd_toolkit import DeviceError, frechet_distance, kernel_distance, kernels_on, squared_mmd
from cmmd_toolkit.common import processes
from cmmd_toolkit.estimation import device_rows, device_subsets, device_sums, kernel_device
from cmmd_toolkit.estimation.device_bounds import DeviceBounds
from cmmd_toolkit.estimation.device_moments import products_on
from cmmd_toolkit.estimation.device_rows import on_device
from cmmd_toolkit.estimation.device_sums import between, within
from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.kernels import (
    GaussianRows,
    KernelRows,
    PairedRows,
    PolynomialRows,
    sums_between,
    sums_within,
)
from cmmd_toolkit.estimation.pair_distances import Pairs, Points
from cmmd_toolkit.estimation.streamed_rows import StreamedGaussianRows

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def rows_of(count: int, dim: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(dtype)


def gaussian(count: int, dim: int, dtype: Any = np.float64, gamma: float | None = None, seed: int = 0) -> GaussianRows:
    return GaussianRows(rows_of(count, dim, dtype, seed), 0.5 / dim if gamma is None else gamma)


def agree(first: KernelRows, second: KernelRows, device: str, tile: int, tolerance: float) -> None:
    """Both roads find the same sums, relative to the largest of each kind."""
    own, cross = sums_within(first), sums_between(first, second)
    placed = on_device(first, device), on_device(second, device)
    found = [(own, *within(placed[0], tile)), (cross, *between(*placed, tile))]
    for wanted, totals, *others in found:
        names = ("row_sums", "column_sums")[: len(others)]
        pairs = [(getattr(wanted, name), sums) for name, sums in zip(names, others, strict=True)]
        for expected, sums in [([wanted.total, wanted.squares], totals), *pairs]:
            expected = np.asarray(expected)
            assert sums.dtype == torch.float64
            assert np.abs(sums.cpu().numpy() - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-300)


SHAPES = {
    "uneven last blocks": (70, 45, 7, 32),
    "blocks of one row": (9, 6, 3, 1),
    "one block": (20, 33, 5, 64),
    "a row more than a block": (65, 64, 4, 64),
    "one feature": (40, 30, 1, 16),
    "two rows": (2, 2, 3, 1),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_torch_finds_the_sums_of_numpy(shape: str, dtype: Any) -> None:
    n, m, dim, tile = SHAPES[shape]
    tolerance = 1e-13 if dtype is np.float64 else 2e-6
    agree(gaussian(n, dim, dtype), gaussian(m, dim, dtype, seed=1), "cpu", tile, tolerance)
    polynomial = [PolynomialRows(rows_of(k, dim, dtype, k), 3, 1 / dim, 1.0) for k in (n, m)]
    agree(*polynomial, "cpu", tile, tolerance)
    paired = PairedRows(gaussian(n, dim, dtype, seed=2), gaussian(n, dim, dtype, seed=3))
    agree(paired, gaussian(m, dim, dtype, seed=1), "cpu", tile, tolerance * 20)  # differences of like kernels


@pytest.mark.parametrize("gamma", [1e-60, 1e-12, 1e6, 1e59])
def test_bandwidths_at_both_ends_agree(gamma: float) -> None:
    agree(gaussian(30, 4, gamma=gamma), gaussian(20, 4, gamma=gamma, seed=1), "cpu", 8, 1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_degrees_agree(degree: int) -> None:
    agree(*(PolynomialRows(rows_of(k, 5, seed=k), degree, 0.2, 1.0) for k in (30, 21)), "cpu", 16, 1e-13)


@pytest.mark.parametrize("free", [0, 2**40])
def test_streamed_rows_agree_whole_or_slice_by_slice(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_rows, "_free", lambda _device: free)
    np.save(tmp_path / "rows.npy", rows_of(3000, 6, np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    streamed = StreamedGaussianRows(mapped, np.full(6, 0.1), np.float64, 0.2)
    other = StreamedGaussianRows(mapped[:1100], np.full(6, 0.1), np.float64, 0.2)
    agree(streamed, other, "cpu", 1500, 1e-12)
    read_only = PolynomialRows(mapped[:200], 3, 0.2, 1.0)
    agree(read_only, PolynomialRows(mapped[200:300], 3, 0.2, 1.0), "cpu", 64, 2e-6)


@pytest.mark.filterwarnings("error")
def test_no_block_leaves_the_device() -> None:
    """Tensors on `meta` hold nothing: to copy one to the host, or to look at a number of it, raises."""
    rows = [on_device(one, "meta") for one in (gaussian(70, 7), gaussian(45, 7, seed=1))]
    polynomial = on_device(PolynomialRows(rows_of(70, 7), 3, 0.2, 1.0), "meta")
    sums = [*within(rows[0], 16), *between(rows[0], rows[1], 16), *within(polynomial, 16)]
    assert {own.device.type for own in sums} == {"meta"}
    with pytest.raises(NotImplementedError, match="no data"):
        sums[0].cpu()


@pytest.mark.parametrize("free", [0, 2**40])
def test_nothing_of_the_cpu_meets_what_is_on_a_gpu(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tensors that say they are on CUDA and refuse to meet others, where there is no GPU."""
    monkeypatch.setattr(device_rows, "_free", lambda _device: free)
    x, y = (rows_of(count, 6, np.float32) for count in (70, 45))
    draws = [(np.arange(9), np.arange(4, 13))] * 2
    with FakeTensorMode(allow_non_fake_inputs=True):
        first, second = (on_device(GaussianRows(rows, 0.1), "cuda:0") for rows in (x, y))
        paired = on_device(PairedRows(GaussianRows(x, 0.1), GaussianRows(x, 0.2)), "cuda:0")
        polynomial = on_device(PolynomialRows(x, 3, 0.2, 1.0), "cuda:0")
        sent = device_rows.Uploaded(x.astype(np.float64), "cuda:0")
        bounds = DeviceBounds(Pairs(Points(x), Points(y)), np.float32, "cuda:0")
        block = bounds.block((slice(0, 30), slice(10, 40)))
        bounds.leave_out(block, np.arange(5), np.arange(5))
        found = [block, products_on("cuda:0", x, x.mean(axis=0), [slice(0, 40), slice(40, 70)], 69)]
        found += [*within(first, 32), *between(first, second, 32), *within(paired, 32), *between(paired, second, 32)]
        found += [*within(polynomial, 32), device_subsets._values(sent, sent, (3, 0.2, 1.0), draws)]
        assert {str(own.device) for own in found} == {"cuda:0"}


def test_where_there_is_no_float64_the_cpu_sums_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_sums, "NO_FLOAT64", ("meta",))  # stands for MPS, which few machines have
    assert device_sums._Tiles("meta", 8).zeros(3).device.type == "cpu"
    monkeypatch.setattr(kernel_device, "NO_FLOAT64", ("meta",))
    monkeypatch.setattr(kernel_device, "resolve_device", lambda _device: "meta")
    with kernels_on("meta"):
        assert kernel_device.device_of_kernels(np.float32, 1e12) == "meta"
        assert kernel_device.device_of_kernels(np.float64, 1e12) is None
        assert kernel_device.kernels_described() == "meta"
    with kernels_on("auto"):
        assert kernel_device.device_of_kernels(np.float32, 1e12) is None
        assert kernel_device.kernels_described() == "cpu"


def with_kernels_through_torch(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` gives when the device is torch's CPU, and how often torch was asked."""
    asked = []

    def device(dtype: Any, _multiplications: float) -> str:
        asked.append(dtype)
        return "cpu"

    with monkeypatch.context() as patched:
        for module in ("estimation.kernels", "estimation.gaussian", "metrics.kid"):
            patched.setattr(f"cmmd_toolkit.{module}.device_of_kernels", device)
        return work(), len(asked)


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_squared_mmd_is_the_same_through_torch(estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows_of(150, 12), rows_of(90, 12, seed=1) + 0.2
    y[3] = x[5]

    def work() -> Any:
        return squared_mmd(reference=x, generated=y, estimator=estimator)

    wanted, (found, asked) = work(), with_kernels_through_torch(monkeypatch, work)
    assert asked >= 3
    assert found.value == pytest.approx(wanted.value, abs=1e-13)
    assert found.standard_error == pytest.approx(wanted.standard_error, rel=1e-9)
    assert found.interval == pytest.approx(wanted.interval, abs=1e-12)


@pytest.mark.parametrize("free", [0, 2**40])
@pytest.mark.parametrize("recipe", ["default", "torch-fidelity", "clean-fid"])
def test_kernel_distances_are_the_same_through_torch(recipe: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows_of(80, 6), rows_of(70, 6, seed=1) * 1.1
    monkeypatch.setattr(device_rows, "_free", lambda _device: free)
    monkeypatch.setattr(device_subsets, "_NUMBERS", 20_000)  # some subsets at a time, the last ones fewer
    subsets = {} if recipe == "default" else {"subsets": 7, "subset_size": 30}

    def work() -> Any:
        return kernel_distance(reference=x, generated=y, recipe=recipe, **subsets)

    wanted, (found, asked) = work(), with_kernels_through_torch(monkeypatch, work)
    assert asked == (3 if recipe == "default" else 1)
    assert found.value == pytest.approx(wanted.value, rel=1e-11)
    if subsets:
        assert found.parameters["subset_std"] == pytest.approx(wanted.parameters["subset_std"], rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
def test_covariances_are_the_same_through_torch(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (100 * rows_of(1500, 9, seed=3) + 1e3).astype(dtype)
    rows.flags.writeable = False  # as a mapped file

    def work() -> Any:
        return GaussianFit.of(rows, "reference").cov

    wanted, (found, asked) = work(), with_kernels_through_torch(monkeypatch, work)
    assert asked == 1
    assert found.flags.f_contiguous
    assert found == pytest.approx(wanted, rel=1e-13, abs=1e-13 * wanted.max())
    assert np.array_equal(found, np.tril(found))


@pytest.mark.parametrize("pictures", [(120, 100), (30, 100)])
def test_frechet_distances_are_the_same_through_torch(
    pictures: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rows_of(pictures[0], 40), rows_of(pictures[1], 40, seed=1) * 1.2

    def work() -> Any:
        return frechet_distance(reference=x, generated=y)

    wanted, (found, asked) = work(), with_kernels_through_torch(monkeypatch, work)
    assert asked >= 1
    assert found.value == pytest.approx(wanted.value, rel=1e-11)
    assert (found.standard_error is None) == (wanted.standard_error is None) == (pictures[0] < 40)
    assert (found.standard_error or 0) == pytest.approx(wanted.standard_error or 0, rel=1e-6)


def test_no_covariance_leaves_the_device() -> None:
    total = products_on("meta", rows_of(70, 6), np.zeros(6), [slice(0, 40), slice(40, 70)], 69)
    assert (total.device.type, total.dtype, tuple(total.shape)) == ("meta", torch.float64, (6, 6))


def test_subsets_go_one_by_one_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, kernel = rows_of(40, 5), rows_of(40, 5, seed=1), (3, 0.2, 1.0)
    random = np.random.default_rng(0)
    draws = [(random.permutation(40)[:12], random.permutation(40)[:12]) for _ in range(5)]
    wanted = device_subsets.subset_values("cpu", x, y, kernel, draws)
    values, most = device_subsets._values, 1

    def hungry(first: Any, second: Any, kernel: Any, draws: Any) -> torch.Tensor:
        if len(draws) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return values(first, second, kernel, draws)

    monkeypatch.setattr(device_subsets, "_values", hungry)
    assert np.array_equal(device_subsets.subset_values("cpu", x, y, kernel, draws), wanted)
    most = 0
    with pytest.raises(DeviceError, match="not enough memory for subsets of 12 rows"):
        device_subsets.subset_values("cpu", x, y, kernel, draws)


def test_the_device_is_that_of_the_block_around_and_of_this_thread() -> None:
    def device() -> str | None:
        return kernel_device.device_of_kernels(np.float32, 1e15)

    found: list[str | None] = []
    with kernels_on("auto"):
        with kernels_on("cpu"):
            assert device() is None
        thread = threading.Thread(target=lambda: found.append(device()))
        thread.start()
        thread.join()
        assert (device() is None) == (not torch.cuda.is_available())
        assert kernel_device.device_of_kernels(np.float32, 1e6) is None
    assert found == [None]
    assert device() is None


def test_each_process_names_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In other threads "cuda" would be the first one."""
    monkeypatch.setattr(kernel_device, "resolve_device", lambda device: device)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    for asked, found in (("cuda", "cuda:3"), ("cuda:1", "cuda:1"), ("mps", "mps")):
        with kernels_on(asked):
            assert kernel_device.device_of_kernels(np.float32, 1e12) == found


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_device_that_is_not_here_is_one_line() -> None:
    with pytest.raises(ValueError, match="device cuda: not usable here"), kernels_on("cuda"):
        pytest.fail("entered")


class Hungry:
    """Rows whose blocks fit below a size only, as where a device has little memory."""

    def __init__(self, rows: Any, most: int) -> None:
        self.rows, self.most, self.device, self.heights = rows, most, rows.device, set[int]()

    def __len__(self) -> int:
        return len(self.rows)

    def block(self, i: slice, other: "Hungry", j: slice) -> torch.Tensor:
        if (height := i.stop - i.start) > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory.\nTried to allocate {height}")
        self.heights.add(height)
        block: torch.Tensor = self.rows.block(i, other.rows, j)
        return block


def test_where_memory_runs_out_blocks_are_halved_and_the_sums_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_sums, "_LEAST_HEIGHT", 8)
    x, y = gaussian(150, 5), gaussian(75, 5, seed=1)
    first, second = (Hungry(on_device(one, "cpu"), 20) for one in (x, y))
    totals, row_sums = within(first, 64)
    assert max(first.heights) == 16
    assert np.allclose(row_sums, sums_within(x).row_sums, rtol=1e-12)
    assert float(totals[0]) == pytest.approx(sums_within(x).total, rel=1e-13)
    assert np.allclose(between(first, second, 64)[2], sums_between(x, y).column_sums, rtol=1e-12)
    first.most = 3
    with pytest.raises(
        DeviceError, match=r"^device cpu: not enough memory for blocks of 8 x 8 pairs \(CUDA out of mem"
    ):
        within(first, 64)


def test_rows_that_do_not_fit_travel_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = device_rows.Uploaded._sent

    def short(self: Any, start: int, stop: int) -> torch.Tensor:
        if stop - start > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sent(self, start, stop)

    monkeypatch.setattr(device_rows.Uploaded, "_sent", short)
    monkeypatch.setattr(device_sums, "_LEAST_HEIGHT", 8)
    agree(gaussian(150, 5), gaussian(75, 5, seed=1), "cpu", 64, 1e-12)


def test_an_autocast_of_the_program_changes_nothing() -> None:
    rows = gaussian(60, 8, np.float32)
    wanted = within(on_device(rows, "cpu"), 32)
    with torch.autocast("cpu", torch.bfloat16):
        found = within(on_device(rows, "cpu"), 32)
    assert all(torch.equal(one, two) for one, two in zip(wanted, found, strict=True))


def test_the_time_of_a_pair_is_measured_where_pairs_are_summed() -> None:
    few, many = (device_sums.seconds_of_pairs("cpu", dim, 64) for dim in (4, 4096))
    assert 0 < few < many < 1


def test_tiles_give_every_process_work_and_depend_on_the_sets_alone() -> None:
    assert device_sums.tile_of(10**6, 1) == device_sums.tile_of(10**6, 8) == device_sums.TILE
    assert device_sums.tile_of(10_000, 4) == 1250
    assert device_sums.tile_of(100, 64) == 1024


def test_the_parts_of_several_processes_are_the_whole() -> None:
    x, y = gaussian(2500, 3), gaussian(1200, 3, seed=1)
    wanted = sums_within(x), sums_between(x, y)
    found: list[list[Any]] = []
    for rank in range(3):
        with processes._as_current(processes.Processes(rank, 3)):
            found.append([*device_sums.within_on("cpu", x), *device_sums.between_on("cpu", x, y)])
    assert all(part[0][1] > 0 and part[2][1] > 0 for part in found)
    totals, row_sums, _, cross_rows, cross_columns = (sum(own) for own in zip(*found, strict=True))
    assert totals[1] == pytest.approx(wanted[0].squares, rel=1e-12)
    pairs = (
        (row_sums, wanted[0].row_sums),
        (cross_rows, wanted[1].row_sums),
        (cross_columns, wanted[1].column_sums),
    )
    assert all(np.allclose(one, two, rtol=1e-11) for one, two in pairs)


@needs_gpu
def test_a_gpu_finds_the_sums_of_numpy() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        agree(gaussian(3000, 64), gaussian(2500, 64, seed=1), "cuda", 1024, 1e-11)
        agree(gaussian(3000, 64, np.float32), gaussian(2500, 64, np.float32, seed=1), "cuda", 1024, 2e-6)
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"
    x, y = rows_of(3000, 64), rows_of(2500, 64, seed=1)
    wanted = squared_mmd(reference=x, generated=y).value
    assert squared_mmd(reference=torch.tensor(x, device="cuda"), generated=y).value == pytest.approx(wanted, abs=1e-12)
    with kernels_on("cuda"):
        found = kernel_distance(reference=x, generated=y).value
    assert found == pytest.approx(kernel_distance(reference=x, generated=y).value, rel=1e-9)
