"""FD-infinity: recorded values, the law of its slope, and what it refuses."""

import json

import numpy as np
import pytest
from pictures import gaussian, shared_path
from safetensors.numpy import load_file

from cmmd_toolkit import ArgumentError, GaussianStatistics, frechet_distance, frechet_distance_infinity


def test_reaches_every_recorded_value() -> None:
    features = load_file(shared_path("oracles/metrics/features.safetensors"))
    pairs = json.loads(shared_path("oracles/metrics/values.json").read_text())["pairs"]
    recorded = {
        name: pair["metrics"]["fd_infinity"] for name, pair in pairs.items() if "fd_infinity" in pair["metrics"]
    }
    assert len(recorded) >= 3
    for name, entries in recorded.items():
        found = frechet_distance_infinity(
            reference=features[f"{name}.x"], generated=features[f"{name}.y"], seed=20, recipe="dgm-eval"
        )
        values, atol = entries["reference"]["values"], entries["reference"]["atol"]
        assert found.value == pytest.approx(values["value"], rel=0, abs=atol["value"])
        assert found.parameters["slope"] == pytest.approx(values["slope"], rel=0, abs=atol["slope"])
        assert found.interval is None


def test_takes_the_bias_off_and_covers_the_distance_of_the_populations() -> None:
    found = [
        frechet_distance_infinity(
            reference=gaussian(150, 8, seed=k), generated=gaussian(150, 8, seed=500 + k) + 0.2, seed=k
        )
        for k in range(60)
    ]
    whole = np.mean([estimate.parameters["at_full_size"] for estimate in found])
    assert np.mean([estimate.value for estimate in found]) == pytest.approx(8 * 0.04, abs=0.05)
    assert whole > 8 * 0.04 + 0.2
    inside = [estimate.interval[0] <= 8 * 0.04 <= estimate.interval[1] for estimate in found if estimate.interval]
    assert np.mean(inside) >= 0.88


def test_is_seeded_and_ends_at_the_full_distance() -> None:
    x, y = gaussian(80, 5, seed=1), gaussian(60, 5, seed=2) + 0.5
    first, again, other = (frechet_distance_infinity(reference=x, generated=y, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.value != other.value
    assert first.parameters["at_full_size"] == float(frechet_distance(reference=x, generated=y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "other"}, "expected default or dgm-eval"),
        ({"generated": gaussian(10, 4)}, "generated: expected features of at least 20 pictures, got 10"),
        ({"reference": GaussianStatistics(np.zeros(4), np.eye(4), 50)}, "got mean and covariance only"),
    ],
)
def test_refuses(change: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        frechet_distance_infinity(**{"reference": gaussian(40, 4), "generated": gaussian(40, 4, seed=1), **change})
