"""Nearest rows, precision and recall through torch are those of NumPy to the last pair, ties and copies included."""

from typing import Any

import numpy as np
import pytest
import torch

from cmmd_toolkit import kernels_on, memorisation
from cmmd_toolkit.estimation.device_bounds import DeviceBounds
from cmmd_toolkit.estimation.nearest_rows import kth_neighbours
from cmmd_toolkit.estimation.pair_distances import Pairs, Points
from cmmd_toolkit.metrics.neighbours import neighbour_metrics

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def sets_of(kind: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x, y = random.standard_normal((1300, 6)), random.standard_normal((1100, 6)) + 0.1
    if kind == "lattice":  # many equal distances
        return random.integers(0, 3, (1300, 4)).astype(np.float64), random.integers(0, 3, (1100, 4)).astype(np.float64)
    if kind == "copies":
        y[:400], x[700:] = x[:400], x[:600]
    if kind == "far off":
        x, y = x + 1e6, y + 1e6
    if kind == "float32":
        return x.astype(np.float32), y.astype(np.float32)
    if kind == "whole numbers":
        return (10 * x).astype(np.int64), (10 * y).astype(np.int64)
    if kind == "one feature":
        return x[:, :1], y[:, :1]
    return x, y


KINDS = ["plain", "lattice", "copies", "far off", "float32", "whole numbers", "one feature"]


def results(x: Any, y: Any) -> list[Any]:
    found: list[Any] = [estimate.value for estimate in neighbour_metrics(reference=x, generated=y, k=3)]
    found += [estimate.value for estimate in neighbour_metrics(reference=y, generated=x, k=5, inclusive=True)]
    copied = memorisation(reference=x, generated=y)
    return [*found, copied.auth_pct.value, copied.copies.value]


def through_torch(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """From here on torch's CPU makes the blocks; the list says for which types of products it was asked."""
    asked: list[Any] = []

    def device(dtype: Any, _multiplications: float) -> str:
        asked.append(dtype)
        return "cpu"

    monkeypatch.setattr("cmmd_toolkit.estimation.pair_distances.device_of_kernels", device)
    return asked


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_numpy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets_of(kind)
    index, squared = kth_neighbours(Points(x), 4, Points(y))
    wanted = results(x, y)
    made: list[str] = []
    block = DeviceBounds.block
    monkeypatch.setattr(DeviceBounds, "block", lambda self, part: made.append(str(self.dtype)) or block(self, part))
    assert through_torch(monkeypatch) == []
    assert results(x, y) == wanted
    found_index, found_squared = kth_neighbours(Points(x), 4, Points(y))
    assert np.array_equal(found_index, index)
    assert np.array_equal(found_squared, squared)
    assert made


def test_a_block_is_made_on_the_device() -> None:
    """Tensors on `meta` hold nothing that could have come back."""
    x, y = (Points(rows.astype(np.float32)) for rows in sets_of("plain"))
    block = DeviceBounds(Pairs(x, y), np.float32, "meta").block((slice(0, 300), slice(100, 250)))
    assert (block.device.type, tuple(block.shape), block.dtype) == ("meta", (300, 150), torch.float32)


@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_counts_as_numpy(kind: str) -> None:
    x, y = sets_of(kind)
    wanted = results(x, y)
    with kernels_on("cuda"):
        assert results(x, y) == wanted
