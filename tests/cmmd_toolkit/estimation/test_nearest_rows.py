"""Bounds of squared distances hold, and the k nearest are those of exact distances, whatever precision and blocks."""

from itertools import product

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.estimation.nearest_rows import kth_neighbours
from cmmd_toolkit.estimation.pair_distances import Bounds, Pairs, Points


def hostile_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    x, y = gaussian(90, 12, seed=1), gaussian(70, 12, seed=2)
    tight = np.repeat(gaussian(6, 12, seed=3), 15, axis=0)
    far = np.concatenate([x, 1e19 * gaussian(2, 12, seed=4)])
    return {
        "gaussian": (x, y),
        "float32 at 1e6": ((x + 1e6).astype(np.float32), (y + 1e6).astype(np.float32)),
        "tight clusters, float64": (tight + 1e-7 * x, tight + 1e-7 * gaussian(90, 12, seed=5)),
        "clusters below float64 rounding": (tight + 1e-15 * x, tight),
        "one far row": (far, y),
        "tiny": (1e-19 * x, 1e-19 * y),
        "huge": (1e19 * x, 1e19 * y),
        "wide": (gaussian(20, 5000, seed=6).astype(np.float32), gaussian(15, 5000, seed=7).astype(np.float32)),
        "bytes": (np.arange(400, dtype=np.uint8).reshape(50, 8), np.arange(320, dtype=np.uint8).reshape(40, 8)),
        "half precision": (x.astype(np.float16), y.astype(np.float16)),
        "one row repeated": (np.ones((30, 3)), np.ones((20, 3))),
    }


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a.astype(np.float64)[:, None] - b[None]).sum(axis=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(hostile_sets()))
def test_exact_distances_lie_between_the_bounds(name: str, dtype: type) -> None:
    x, y = hostile_sets()[name]
    pairs, part = Pairs(Points(x), Points(y)), (slice(0, len(x)), slice(0, len(y)))
    bounds = Bounds(pairs, dtype)
    every = bounds.within(bounds.block(part), part, np.full(len(y), np.inf))
    assert len(every.first) == len(x) * len(y)
    exact = squared_distances(x, y)[every.first, every.second]
    assert np.array_equal(pairs.exact(every.first, every.second), exact)
    assert (every.lower <= exact).all()
    assert (exact <= every.upper).all()


def test_bounds_are_as_near_as_the_digits_of_their_products() -> None:
    x, y = (gaussian(50, 768, seed=seed).astype(np.float32) for seed in (0, 1))
    part = slice(0, 50), slice(0, 50)
    for dtype, width in ((np.float32, 1e-3), (np.float64, 1e-11)):
        bounds = Bounds(Pairs(Points(x), Points(y)), dtype)
        every = bounds.within(bounds.block(part), part, np.full(50, np.inf))
        assert (every.upper - every.lower).max() < width * every.upper.min()


@pytest.mark.parametrize("block", [4, 1024])
@pytest.mark.parametrize("name", list(hostile_sets()))
def test_the_kth_nearest_is_that_of_exact_distances(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    x, y = hostile_sets()[name]
    own = squared_distances(x, x)
    np.fill_diagonal(own, np.inf)
    for exact, others in ((own, None), (squared_distances(x, y), Points(y))):
        found = kth_neighbours(Points(x), 7, others)
        index = np.argsort(exact, axis=1, kind="stable")[:, 6]  # the lower index first among equals
        assert np.array_equal(found[0], index)
        assert np.array_equal(found[1], exact[np.arange(len(x)), index])


def test_pairs_are_measured_again_and_again_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmmd_toolkit.estimation.nearest_rows._WAITING", 50)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    grid = np.array(list(product(range(4), repeat=3)))
    exact = squared_distances(grid, grid)
    np.fill_diagonal(exact, np.inf)
    index = np.argsort(exact, axis=1, kind="stable")[:, 19]
    found = kth_neighbours(Points(grid), 20)
    assert np.array_equal(found[0], index)


def test_a_row_named_as_its_own_does_not_count() -> None:
    x = gaussian(40, 3)
    chosen = np.array([5, 30, 11])
    exact = squared_distances(x[chosen], x)
    exact[np.arange(3), chosen] = np.inf
    index, squared = kth_neighbours(Points(x[chosen]), 2, Points(x), own=chosen)
    assert np.array_equal(index, np.argsort(exact, axis=1)[:, 1])
    assert np.array_equal(squared, exact[np.arange(3), index])


def test_float64_products_take_over_where_float32_leaves_many_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[type] = []
    original = Bounds.block
    monkeypatch.setattr(Bounds, "block", lambda bounds, part: made.append(bounds.dtype) or original(bounds, part))
    tight, _ = hostile_sets()["tight clusters, float64"]
    for rows, wanted in ((gaussian(90, 12), [np.float32]), (tight, [np.float32, np.float64])):
        made.clear()
        kth_neighbours(Points(rows), 3)
        assert made == wanted
