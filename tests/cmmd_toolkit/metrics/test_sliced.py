"""Sliced distances: closed forms, quantile functions of unequal sizes, Monte Carlo errors, and refusals."""

import json

import numpy as np
import pytest
import torch
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features
from cmmd_toolkit.metrics import sliced
from cmmd_toolkit.metrics.sliced import mind, sliced_wasserstein


def slow_w2(a: np.ndarray, b: np.ndarray) -> float:
    """Squared 2-Wasserstein distance in one dimension: both repeated to the least common size, and sorted."""
    size = int(np.lcm(len(a), len(b)))
    return float(np.square(np.sort(np.repeat(a, size // len(a))) - np.sort(np.repeat(b, size // len(b)))).mean())


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (12, 18), (13, 20), (40, 40)])
def test_one_dimension_is_sorting(n: int, m: int) -> None:
    a, b = gaussian(n, 1, seed=1), gaussian(m, 1, seed=2, shift=0.5)
    estimate = sliced_wasserstein(reference=a, generated=b, num_projections=3)
    assert float(estimate) == pytest.approx(slow_w2(a[:, 0], b[:, 0]), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 45), (17, 40)])
def test_agrees_with_the_definition(n: int, m: int) -> None:
    x, y = gaussian(n, 5, seed=1), gaussian(m, 5, seed=2, shift=0.3)
    directions = np.random.default_rng(4).standard_normal((50, 5))
    values = [slow_w2(x @ u, y @ u) / (u @ u) for u in directions]
    estimate = sliced_wasserstein(reference=x, generated=y, num_projections=50, seed=4)
    assert float(estimate) == pytest.approx(np.mean(values), rel=1e-12)
    error = np.std(values, ddof=1) / np.sqrt(50)
    assert estimate.parameters["projection_standard_error"] == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("distance", [sliced_wasserstein, mind])
def test_of_a_set_to_itself_is_zero_in_any_order(distance) -> None:
    x = gaussian(60, 9) + 100
    assert float(distance(reference=x, generated=x)) == 0
    assert float(distance(reference=x, generated=x[::-1])) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("distance", [sliced_wasserstein, mind])
def test_is_symmetric(distance) -> None:
    x, y = gaussian(40, 6, seed=1), gaussian(55, 6, seed=2, shift=0.4)
    there, back = (float(distance(reference=a, generated=b)) for a, b in ((x, y), (y, x)))
    assert there == pytest.approx(back, rel=1e-12)


@pytest.mark.parametrize("sizes", [(23, 23), (23, 40)])
def test_mind_is_symmetric_to_the_bit(sizes: tuple[int, int]) -> None:
    x, y = (gaussian(count, 7, seed=seed, shift=3.0 * seed) for seed, count in enumerate(sizes))
    for first, second in ((x, y), (x.astype(np.float32), y.astype(np.float32))):
        forth, back = mind(reference=first, generated=second), mind(reference=second, generated=first)
        assert float(forth) == float(back) > 0
        assert forth.parameters == back.parameters


@pytest.mark.parametrize(("dim", "mu"), [(1, 0.7), (16, 1.0), (128, -2.0)])
def test_mind_of_a_shift_by_mu_is_3_d_mu_squared(dim: int, mu: float) -> None:
    x = gaussian(50, dim)
    estimate = mind(reference=x, generated=x + mu)
    slack = 4 * estimate.parameters["projection_standard_error"] + 1e-6
    assert abs(float(estimate) - 3 * dim * mu**2) < slack
    assert estimate.parameters["scale"] == 3 * dim


def test_mind_draws_the_cut_and_then_the_directions_from_torchs_generator() -> None:
    x, y = gaussian(20, 6, seed=1), gaussian(33, 6, seed=2)
    generator = torch.Generator().manual_seed(5)
    cut = y[torch.randperm(33, generator=generator)[:20].numpy()]
    directions = torch.randn(8, 6, generator=generator).double().numpy()
    expected = np.mean([slow_w2(x @ u, cut @ u) / (u @ u) for u in directions])
    estimate = mind(reference=x, generated=y, num_projections=8, seed=5)
    assert float(estimate) == pytest.approx(3 * 6 * expected, rel=1e-6)
    assert (estimate.n_reference, estimate.n_generated) == (20, 20)
    assert estimate.caveats[-1] == "the longer set was cut at random from 33 to 20 rows"


def test_repeating_every_row_changes_nothing() -> None:
    x, y = gaussian(20, 6, seed=1), gaussian(15, 6, seed=2)
    once = float(sliced_wasserstein(reference=x, generated=y))
    assert float(sliced_wasserstein(reference=np.repeat(x, 3, 0), generated=np.tile(y, (2, 1)))) == pytest.approx(once)


def test_projection_standard_error_is_the_spread_over_seeds() -> None:
    x, y = gaussian(20, 6, seed=1), gaussian(15, 6, seed=2, shift=1)
    estimates = [sliced_wasserstein(reference=x, generated=y, num_projections=40, seed=i) for i in range(200)]
    errors = np.array([estimate.parameters["projection_standard_error"] for estimate in estimates])
    assert np.std([float(estimate) for estimate in estimates], ddof=1) == pytest.approx(errors.mean(), rel=0.2)


@pytest.mark.parametrize("distance", [sliced_wasserstein, mind])
def test_does_not_depend_on_the_block_size(distance, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(40, 6, seed=1), gaussian(55, 6, seed=2, shift=0.4)
    whole = float(distance(reference=x, generated=y))
    monkeypatch.setattr(sliced, "BLOCK", 1000)
    assert float(distance(reference=x, generated=y)) == pytest.approx(whole, rel=1e-13)


def test_a_common_shift_does_not_matter_however_large() -> None:
    x, y = gaussian(40, 6, seed=1), gaussian(55, 6, seed=2, shift=0.4)
    here = float(sliced_wasserstein(reference=x, generated=y))
    assert float(sliced_wasserstein(reference=x + 1e6, generated=y + 1e6)) == pytest.approx(here, rel=1e-8)


def test_the_closed_form_sees_shift_and_scale() -> None:
    x = gaussian(50, 8)
    options = {"reference": x, "recipe": "dgm-eval"}
    assert float(sliced_wasserstein(**options, generated=x + 0.5)) == pytest.approx(0.5, rel=1e-12)
    spread = np.sqrt(np.square(x - x.mean(axis=0)).mean())
    scaled = x.mean(axis=0) + 3 * (x - x.mean(axis=0))
    assert float(sliced_wasserstein(**options, generated=scaled)) == pytest.approx(2 * spread, rel=1e-12)


def test_the_closed_form_approaches_the_distance_in_many_dimensions() -> None:
    x, y = gaussian(2000, 200, seed=1), gaussian(1500, 200, seed=2, shift=0.5, scale=1.5)
    approximate = float(sliced_wasserstein(reference=x, generated=y, recipe="dgm-eval"))
    sampled = float(sliced_wasserstein(reference=x, generated=y, num_projections=300))
    assert approximate == pytest.approx(np.sqrt(sampled), rel=0.05)


def test_takes_features_and_tensors() -> None:
    x, y = gaussian(20, 4, seed=1).astype(np.float32), gaussian(20, 4, seed=2).astype(np.float32)
    expected = float(mind(reference=x, generated=y))
    estimate = mind(reference=Features(x), generated=torch.from_numpy(y))
    assert float(estimate) == expected
    assert json.loads(json.dumps(estimate.parameters)) == estimate.parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "pot"}, "recipe: expected one of default, dgm-eval, got 'pot'"),
        ({"num_projections": 0}, "num_projections: expected a whole number of at least 1, got 0"),
        ({"num_projections": 5, "recipe": "dgm-eval"}, "num_projections: expected none, since dgm-eval has no"),
        ({"generated": np.zeros((9, 3))}, "different width: reference has 4, generated has 3"),
        ({"generated": np.full((9, 4), np.nan)}, "generated: NaN or infinity in row 0"),
    ],
)
def test_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    arguments = {"reference": gaussian(8, 4), "generated": gaussian(6, 4, seed=1), **options}
    with pytest.raises(ArgumentError, match=message):
        sliced_wasserstein(**arguments)


def test_mind_refuses_no_directions() -> None:
    with pytest.raises(ArgumentError, match="num_projections: expected a whole number of at least 1, got 0"):
        mind(reference=gaussian(8, 4), generated=gaussian(6, 4), num_projections=0)
