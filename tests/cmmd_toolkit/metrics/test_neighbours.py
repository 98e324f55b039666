"""Precision, recall, density, coverage and memorisation: slow references, ties, copies, offsets, and errors."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features
from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.metrics.memorisation import memorisation
from cmmd_toolkit.metrics.neighbours import RECIPES, density_coverage, neighbour_metrics, precision_recall

Values = tuple[float, float, float, float]


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a.astype(np.float64)[:, None] - b[None]).sum(axis=2)


def slow_metrics(x: np.ndarray, y: np.ndarray, k: int, inclusive: bool) -> Values:
    """From full matrices of differences."""
    radii = [np.sort(squared_distances(rows, rows) + np.diag(np.full(len(rows), np.inf)))[:, k - 1] for rows in (x, y)]
    inside = np.less_equal if inclusive else np.less
    cross = squared_distances(x, y)
    in_reference, in_generated = inside(cross, radii[0][:, None]), inside(cross, radii[1])
    return (
        float(in_reference.any(axis=0).mean()),
        float(in_generated.any(axis=1).mean()),
        float(in_reference.sum() / (k * len(y))),
        float(in_reference.any(axis=1).mean()),
    )


def values(x: np.ndarray, y: np.ndarray, k: int = 5, inclusive: bool = False) -> Values:
    return tuple(float(v) for v in neighbour_metrics(reference=x, generated=y, k=k, inclusive=inclusive))


def pairs_of_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    x, y = gaussian(60, 7, seed=1), gaussian(45, 7, seed=2, scale=0.8)
    grid = np.array(list(product(range(4), repeat=3)))
    copies = np.concatenate([x[:12]] * 5)
    outlier = np.concatenate([y, np.full((1, 7), 1e9)])
    return {
        "gaussian": (x, y),
        "few rows, many columns": (gaussian(9, 200, seed=3), gaussian(7, 200, seed=4)),
        "every distance of a grid repeats": (grid, grid[::2] + np.array([1, 0, 0])),
        "a grid far away": (grid + 2**24, grid[::2] + 2**24),
        "copies within and across": (copies, np.concatenate([y[:10], y[:10], x[:12], x[:12]])),
        "copies the other way round": (np.concatenate([y[:10], y[:10], x[:12], x[:12]]), copies),
        "nearly copies, far from zero": (copies + 1e6 + 1e-9 * gaussian(60, 7), copies[:30] + 1e6),
        "an outlier": (x, outlier),
        "float32 around 1000": ((x + 1000).astype(np.float32), (y + 1000).astype(np.float32)),
        "one picture": (np.full((20, 5), 0.1), np.full((15, 5), 0.1)),
        "two pictures": (np.full((20, 5), 0.1), np.full((15, 5), 0.7)),
        "one column": (gaussian(30, 1), gaussian(20, 1, seed=9)),
    }


@pytest.mark.parametrize("name", list(pairs_of_sets()))
@pytest.mark.parametrize(("k", "inclusive"), [(1, False), (3, True), (5, False), (5, True)])
def test_agrees_with_the_definition(name: str, k: int, inclusive: bool) -> None:
    x, y = pairs_of_sets()[name]
    assert values(x, y, k, inclusive) == pytest.approx(slow_metrics(x, y, k, inclusive), rel=1e-14)


@pytest.mark.parametrize("name", list(pairs_of_sets()))
@pytest.mark.parametrize("block", [3, 37])
def test_does_not_depend_on_the_block_size(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pairs_of_sets()[name]
    whole = values(x, y, 3, True)
    monkeypatch.setattr(blocks, "BLOCK", block)
    assert values(x, y, 3, True) == whole


def test_of_a_set_to_itself_all_four_are_one() -> None:
    x = gaussian(80, 6)
    assert values(x, x) == (1.0, 1.0, 1.0, 1.0)


def test_precision_of_one_side_is_recall_of_the_other() -> None:
    x, y = gaussian(70, 6, seed=1), gaussian(50, 6, seed=2, shift=0.7)
    there, back = values(x, y, 3), values(y, x, 3)
    assert (there[0], there[1]) == (back[1], back[0])


def test_two_sets_of_one_picture_are_outside_under_less_and_inside_under_less_or_equal() -> None:
    x, y = np.full((20, 33), 0.1), np.full((15, 33), 0.1)
    assert values(x, y, 5, False) == (0.0, 0.0, 0.0, 0.0)
    assert values(x, y, 5, True) == (1.0, 1.0, 4.0, 1.0)


def test_the_order_of_the_rows_does_not_matter() -> None:
    x, y = pairs_of_sets()["copies within and across"]
    turned = np.random.default_rng(0).permutation(len(x)), np.random.default_rng(1).permutation(len(y))
    assert values(x[turned[0]], y[turned[1]], 3, True) == values(x, y, 3, True)


def test_many_copies_cost_no_more_than_one() -> None:
    x = np.repeat(gaussian(2, 512), 1000, axis=0)  # two million ties: minutes when each is measured by itself
    assert values(x, x[::-1], 5, True) == (1.0, 1.0, 200.0, 1.0)


def test_a_common_scale_and_a_common_shift_do_not_matter() -> None:
    x, y = gaussian(70, 6, seed=1), gaussian(50, 6, seed=2, scale=0.9)
    assert values(3e5 * x, 3e5 * y) == values(x, y) == values(x + 1e5, y + 1e5)


def test_coverage_and_density_of_equal_distributions_are_the_closed_forms() -> None:
    n, m, k = 60, 40, 3
    draws = np.array([values(gaussian(n, 3, seed=i), gaussian(m, 3, seed=500 + i), k) for i in range(150)])
    missed = np.prod([(n - j) / (n + m - j) for j in range(1, k + 1)])
    errors = draws.std(axis=0) / np.sqrt(len(draws))
    assert abs(draws[:, 2].mean() - 1) < 4 * errors[2]
    assert abs(draws[:, 3].mean() - (1 - missed)) < 4 * errors[3]


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_a_recipe_sets_k_and_the_comparison(recipe: str) -> None:
    x, y = pairs_of_sets()["copies within and across"]
    pr, dc = (f(reference=x, generated=y, recipe=recipe) for f in (precision_recall, density_coverage))
    expected = slow_metrics(x, y, *RECIPES[recipe])
    assert [float(v) for v in (*pr, *dc)] == pytest.approx(expected, rel=1e-14)
    assert pr.precision.parameters["k"] == RECIPES[recipe][0]
    assert pr.precision.parameters["comparison"] == ("<=" if RECIPES[recipe][1] else "<")
    assert pr.recall.standard_error is None


def test_takes_features_and_tensors() -> None:
    x, y = gaussian(20, 4, seed=1).astype(np.float32), gaussian(20, 4, seed=2).astype(np.float32)
    every = neighbour_metrics(reference=Features(x), generated=torch.from_numpy(y))
    assert tuple(float(v) for v in every) == values(x, y)
    assert json.loads(json.dumps(every.density.parameters)) == every.density.parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": np.zeros((5, 4))}, "reference: expected at least 6 rows for k = 5, got 5; add pictures"),
        ({"generated": np.zeros((3, 4)), "k": 3}, "generated: expected at least 4 rows for k = 3, got 3"),
        ({"k": 0}, "k: expected a whole number of at least 1, got 0"),
        ({"k": 2.5}, "k: expected a whole number of at least 1, got 2.5"),
        ({"recipe": "piq"}, "recipe: expected one of default, prdc, .*got 'piq'"),
        ({"generated": np.zeros((9, 3))}, "different width: reference has 4, generated has 3"),
        ({"reference": np.full((9, 4), np.inf)}, "reference: NaN or infinity in row 0"),
    ],
)
def test_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    arguments = {"reference": gaussian(8, 4), "generated": gaussian(6, 4, seed=1), **options}
    with pytest.raises(ArgumentError, match=message):
        neighbour_metrics(**arguments)


def slow_memorisation(x: np.ndarray, y: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
    distances = np.sqrt(squared_distances(y, x))
    nearest = distances.argmin(axis=1)
    own = np.sqrt(squared_distances(x, x)) + np.diag(np.full(len(x), np.inf))
    distance = distances[np.arange(len(y)), nearest]
    return 100 * float((distance > own.min(axis=1)[nearest]).mean()), float((distance == 0).mean()), nearest, distance


@pytest.mark.parametrize("name", list(pairs_of_sets()))
@pytest.mark.parametrize("block", [7, 1024])
def test_memorisation_agrees_with_the_definition(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    x, y = pairs_of_sets()[name]
    found = memorisation(reference=x, generated=y)
    auth_pct, copies, nearest, distance = slow_memorisation(x, y)
    assert (float(found.auth_pct), float(found.copies)) == pytest.approx((auth_pct, copies), rel=1e-14)
    assert np.array_equal(found.nearest, nearest)
    assert found.nearest.dtype == np.int64
    assert found.distance == pytest.approx(distance, rel=1e-14)


def test_repeating_the_training_set_with_noise_is_not_authentic_and_exact_copies_are_counted() -> None:
    x = gaussian(50, 8) + 1e5
    noisy = memorisation(reference=x, generated=x + 1e-3 * gaussian(50, 8, seed=1))
    assert (float(noisy.auth_pct), float(noisy.copies)) == (0.0, 0.0)
    exact = memorisation(reference=x, generated=np.concatenate([x[:10], x[:30] + 1e3]))
    assert float(exact.copies) == 0.25
    assert float(exact.auth_pct) == 75.0
    assert np.array_equal(exact.nearest[:10], np.arange(10))


def test_memorisation_interval_is_wilsons() -> None:
    x = gaussian(20, 4)
    copies = memorisation(reference=x, generated=gaussian(40, 4, seed=1)).copies
    assert copies.interval == pytest.approx((0.0, 0.0876217), abs=1e-6)  # 3.8415 / (40 + 3.8415)
    assert copies.standard_error == 0.0


def test_memorisation_needs_two_training_rows_but_one_generated_row() -> None:
    found = memorisation(reference=np.array([[0.0], [3.0]]), generated=np.array([[1.0]]))
    assert (float(found.auth_pct), found.nearest[0], found.distance[0]) == (0.0, 0, 1.0)
    with pytest.raises(ArgumentError, match="reference: expected at least 2 rows for the distance between training"):
        memorisation(reference=np.zeros((1, 4)), generated=np.zeros((3, 4)))
