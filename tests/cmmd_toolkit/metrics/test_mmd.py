"""Squared MMD: a slow reference, closed forms, precision, blocks, and the recorded oracles."""

import json

import numpy as np
import pytest
import torch
from pictures import gaussian, shared_path
from safetensors.numpy import load_file

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics, median_distance, squared_mmd
from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.metrics import median, mmd


def slow_mmd(x: np.ndarray, y: np.ndarray, bandwidth: float, estimator: str) -> float:
    """Gretton et al. 2012, eq. 3 and 5, pair by pair."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        distances = np.square(a[:, None, :] - b[None, :, :]).sum(axis=2)
        return np.exp(-distances / (2 * bandwidth**2))

    within = [kernel(rows, rows) for rows in (x, y)]
    if estimator == "unbiased":
        means = [(block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in within]
    else:
        means = [block.mean() for block in within]
    return float(sum(means) - 2 * kernel(x, y).mean())


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 41), (7, 60)])
@pytest.mark.parametrize("bandwidth", [0.3, 2.0, 50.0])
def test_agrees_with_the_definition(n: int, m: int, bandwidth: float, estimator: str) -> None:
    x, y = gaussian(n, 5, seed=1), gaussian(m, 5, seed=2, shift=0.4)
    value = float(squared_mmd(reference=x, generated=y, bandwidth=bandwidth, estimator=estimator))
    assert value == pytest.approx(slow_mmd(x, y, bandwidth, estimator), abs=1e-13)


def test_biased_value_of_two_copied_pictures_is_the_closed_form() -> None:
    x, y = np.tile([[0.0, 0.0]], (5, 1)), np.tile([[3.0, 4.0]], (7, 1))
    value = float(squared_mmd(reference=x, generated=y, bandwidth=10, estimator="biased"))
    assert 1000 * value == pytest.approx(2000 * (1 - np.exp(-25 / 200)), rel=1e-12)


def test_biased_value_of_a_set_to_itself_is_zero_and_unbiased_is_negative() -> None:
    x = gaussian(50, 4)
    assert float(squared_mmd(reference=x, generated=x, estimator="biased")) == pytest.approx(0, abs=1e-14)
    assert float(squared_mmd(reference=x, generated=x)) < 0


def test_unbiased_value_averages_to_zero_over_draws_of_one_distribution() -> None:
    draws = np.array(
        [
            float(squared_mmd(reference=gaussian(40, 6, seed=i), generated=gaussian(25, 6, seed=1000 + i)))
            for i in range(200)
        ]
    )
    assert abs(draws.mean()) < 4 * draws.std() / np.sqrt(len(draws))


def test_is_symmetric_under_a_given_bandwidth() -> None:
    x, y = gaussian(40, 6, seed=1), gaussian(30, 6, seed=2, shift=1)
    forward = float(squared_mmd(reference=x, generated=y, bandwidth=2))
    assert forward == pytest.approx(float(squared_mmd(reference=y, generated=x, bandwidth=2)), abs=1e-15)


def test_is_invariant_under_a_common_shift_however_large() -> None:
    x, y = gaussian(60, 8, seed=1), gaussian(50, 8, seed=2, shift=0.5)
    here = float(squared_mmd(reference=x, generated=y))
    assert float(squared_mmd(reference=x + 1e4, generated=y + 1e4)) == pytest.approx(here, abs=1e-9)


def test_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(150, 8, seed=1), gaussian(130, 8, seed=2)
    whole = float(squared_mmd(reference=x, generated=y, bandwidth=2))
    monkeypatch.setattr(blocks, "BLOCK", 32)
    assert float(squared_mmd(reference=x, generated=y, bandwidth=2)) == pytest.approx(whole, abs=1e-15)


def test_single_precision_products_change_the_value_by_less_than_1e_8(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (gaussian(1500, 96, seed=seed, shift=0.02 * seed).astype(np.float32) for seed in (1, 2))
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    exact = squared_mmd(reference=x, generated=y)
    monkeypatch.setattr(mmd, "_EXACT_MULTIPLICATIONS", 0.0)
    single = squared_mmd(reference=x, generated=y)
    assert exact.parameters["precision"] == "float64"
    assert single.parameters["precision"] == "float32 products, float64 sums"
    assert float(single) == pytest.approx(float(exact), abs=1e-8)


def test_large_exponents_stay_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmd, "_EXACT_MULTIPLICATIONS", 0.0)
    x = gaussian(40, 6)
    x[0] = 1e6
    assert squared_mmd(reference=x, generated=gaussian(30, 6, seed=1)).parameters["precision"] == "float64"


def test_median_is_that_of_all_pairs() -> None:
    for n in (2, 7, 24, 300):
        x = gaussian(n, 5, seed=n)
        i, j = np.triu_indices(n, 1)
        assert median_distance(x) == pytest.approx(np.median(np.linalg.norm(x[i] - x[j], axis=1)), rel=1e-12)


def test_median_bandwidth_comes_from_the_reference_alone() -> None:
    x = gaussian(40, 5, seed=1)
    values = [
        squared_mmd(reference=x, generated=gaussian(30, 5, seed=2, scale=scale)).parameters["bandwidth"]
        for scale in (1, 9)
    ]
    assert values[0] == values[1] == median_distance(x)


def test_pooled_median_bandwidth_uses_both_sides() -> None:
    x, y = gaussian(40, 5, seed=1), gaussian(30, 5, seed=2, scale=9)
    estimate = squared_mmd(reference=x, generated=y, bandwidth="median-pooled")
    assert estimate.parameters["bandwidth"] == pytest.approx(median_distance(np.concatenate([x, y])), rel=1e-12)


def test_median_of_a_large_set_is_seeded_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gaussian(500, 5)
    exact = median_distance(x)
    monkeypatch.setattr(median, "MEDIAN_ROWS", 200)
    assert median_distance(x, seed=3) == median_distance(x, seed=3)
    assert median_distance(x, seed=3) != median_distance(x, seed=4)
    assert median_distance(x, seed=3) == pytest.approx(exact, rel=0.05)


def test_takes_features_and_tensors() -> None:
    x, y = gaussian(20, 4, seed=1).astype(np.float32), gaussian(20, 4, seed=2).astype(np.float32)
    expected = float(squared_mmd(reference=x, generated=y))
    assert float(squared_mmd(reference=Features(x), generated=torch.from_numpy(y))) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth": 0}, "bandwidth: expected a finite number > 0, got 0.0"),
        ({"bandwidth": float("nan")}, "bandwidth: expected a finite number"),
        ({"bandwidth": "mean"}, "bandwidth: expected a number > 0, median or median-pooled, got 'mean'"),
        ({"estimator": "both"}, "estimator: expected unbiased or biased, got 'both'"),
        ({"generated": np.zeros((5, 3))}, "different width: reference has 4, generated has 3"),
        ({"generated": np.zeros((1, 4))}, "generated: MMD needs at least two rows, got 1"),
        ({"generated": GaussianStatistics(np.zeros(4), np.eye(4))}, "holds mean and covariance only, and MMD needs"),
        ({"reference": np.ones((5, 4))}, "the median distance within the reference is zero"),
        (
            {"reference": np.ones((5, 4)), "generated": np.ones((5, 4)), "bandwidth": "median-pooled"},
            "the median distance over both sets is zero",
        ),
    ],
)
def test_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    arguments = {"reference": gaussian(6, 4), "generated": gaussian(6, 4, seed=1), **options}
    with pytest.raises(ArgumentError, match=message):
        squared_mmd(**arguments)


def oracles() -> tuple[dict[str, np.ndarray], dict[str, dict]]:
    folder = shared_path("oracles", "metrics")
    pairs = json.loads((folder / "values.json").read_text())["pairs"]
    return load_file(folder / "features.safetensors"), pairs


def test_reaches_every_recorded_cmmd() -> None:
    features, pairs = oracles()
    checked = 0
    for name, pair in pairs.items():
        for label, entry in pair["metrics"].get("cmmd", {}).items():
            x, y = features[f"{name}.x"], features[f"{name}.y"]
            for key, estimator in (("value", "biased"), ("unbiased_same_scale", "unbiased")):
                if key in entry["values"] and key not in entry.get("unreliable", []):
                    value = 1000 * float(squared_mmd(reference=x, generated=y, bandwidth=10, estimator=estimator))
                    assert value == pytest.approx(entry["values"][key], rel=0, abs=entry["atol"][key]), (name, label)
                    checked += 1
    assert checked > 40


def test_reaches_every_recorded_median_mmd() -> None:
    features, pairs = oracles()
    checked = 0
    for name, pair in pairs.items():
        for rule, entry in pair["metrics"].get("mmd_rbf_median", {}).items():
            if "undefined" in entry:
                continue
            sigma = entry["values"]["sigma"]
            given = {"reference_distance": "median", "pooled_distance": "median-pooled"}.get(rule, sigma)
            for estimator in ("unbiased", "biased"):
                x, y = features[f"{name}.x"], features[f"{name}.y"]
                estimate = squared_mmd(reference=x, generated=y, bandwidth=given, estimator=estimator)
                key = f"mmd2_{estimator}"
                assert float(estimate) == pytest.approx(entry["values"][key], rel=0, abs=entry["atol"][key])
                assert estimate.parameters["bandwidth"] == pytest.approx(sigma, rel=0, abs=entry["atol"]["sigma"])
                checked += 1
    assert checked > 60
