"""Laws of the number of pictures that a difference needs."""

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, relative_test
from cmmd_toolkit.inference.sample_size import (
    Pilot,
    as_many_needed,
    images_needed,
    pilot_of_mmd,
    pilot_of_test,
    reference_needed,
)
from cmmd_toolkit.metrics.mmd import MmdReference


def variance(pilot: Pilot, n: int, alike: bool) -> float:
    linear, quadratic, constant = pilot.coefficients(0.01, alike)
    return linear / n + quadratic / n**2 + constant


def test_the_planned_number_of_pictures_has_the_planned_power() -> None:
    x = gaussian(400, 5, seed=1)
    ruler = MmdReference(x, 3.0, "unbiased", 0)
    pilot = pilot_of_mmd(ruler.score(gaussian(400, 5, seed=2) + 0.5))
    target = (
        ruler.distance(gaussian(4000, 5, seed=3) + 0.62).value - ruler.distance(gaussian(4000, 5, seed=3) + 0.5).value
    )
    n = images_needed(pilot, target, alike=True)
    found = [
        relative_test(
            reference=gaussian(n, 5, seed=k),
            first=gaussian(n, 5, seed=3000 + k) + 0.5,
            second=gaussian(n, 5, seed=6000 + k) + 0.62,
            bandwidth=3.0,
        ).p_value
        < 0.05
        for k in range(80)
    ]
    assert 0.65 <= np.mean(found) <= 0.93


def test_more_power_and_smaller_differences_need_more_pictures() -> None:
    pilot = Pilot(generated=0.05, reference=1e-5, quadratic=1.0, distance=0.1)
    needed = [images_needed(pilot, d, power=power, alike=True) for d, power in ((0.01, 0.8), (0.01, 0.9), (0.005, 0.8))]
    assert needed == sorted(needed)
    assert len(set(needed)) == 3
    assert (
        images_needed(Pilot(0.05, 0.1, 1.0, 0.1), 0.2, alike=True) is None
    )  # the reference alone is noisier than that
    for alike in (True, False):
        pilot = Pilot(generated=0.05, reference=1e-6, quadratic=1.0, distance=0.1)
        n = images_needed(pilot, 0.01, alike=alike)
        assert variance(pilot, n, alike) <= (0.01 / (1.959964 + 0.841621)) ** 2 < variance(pilot, n - 1, alike)
    with pytest.raises(ArgumentError, match="difference: expected a finite number > 0"):
        images_needed(pilot, 0.0)
    with pytest.raises(ArgumentError, match=r"power: expected a number between alpha \(0.05\) and 1"):
        images_needed(pilot, 0.1, power=1.0)


@pytest.mark.slow
def test_unlike_faults_need_more_and_the_number_has_the_promised_power() -> None:
    def model(n: int, seed: int, along: int, shift: float) -> np.ndarray:
        rows = gaussian(n, 6, seed=seed)
        rows[:, along] += shift
        return rows

    pilot = pilot_of_mmd(MmdReference(gaussian(300, 6, seed=1), 3.0, "unbiased", 0).score(model(300, 2, 0, 0.6)))
    large = MmdReference(gaussian(4000, 6, seed=3), 3.0, "unbiased", 0)
    difference = large.distance(model(4000, 4, 1, 1.1)).value - large.distance(model(4000, 4, 0, 0.6)).value
    alike, unlike = (images_needed(pilot, difference, alike=alike) for alike in (True, False))
    assert alike < unlike

    def power(n: int) -> float:
        found = [
            relative_test(
                reference=gaussian(300, 6, seed=10_000 + k),
                first=model(n, 20_000 + k, 0, 0.6),
                second=model(n, 30_000 + k, 1, 1.1),
                bandwidth=3.0,
            ).p_value
            for k in range(100)
        ]
        return float(np.mean(np.array(found) < 0.05))

    assert power(unlike) >= 0.7
    assert power(alike) < power(unlike)


def test_a_reference_that_is_too_small_has_a_size_that_is_not() -> None:
    small = Pilot(generated=0.05, reference=1e-3, quadratic=1.0, distance=0.1, n_reference=100)
    assert images_needed(small, 0.01) is None
    enough = reference_needed(small, 0.01)
    grown = Pilot(0.05, 1e-3 * 100 / (enough + 1), 1.0, 0.1, n_reference=enough + 1)
    almost = Pilot(0.05, 1e-3 * 100 / (enough - 1), 1.0, 0.1, n_reference=enough - 1)
    assert images_needed(grown, 0.01) is not None
    assert images_needed(almost, 0.01) is None


@pytest.mark.parametrize("both", [False, True])
def test_as_many_real_pictures_as_generated_are_the_least_such_pair(both: bool) -> None:
    small = Pilot(generated=0.05, reference=1e-3, quadratic=1.0, distance=0.1, both=both, n_reference=100)

    def suffices(n: int) -> bool:
        grown = Pilot(0.05, 1e-3 * 100 / n, 1.0, 0.1, both=both, n_reference=n)
        needed = images_needed(grown, 0.01)
        return needed is not None and needed <= n

    n = as_many_needed(small, 0.01)
    assert n > reference_needed(small, 0.01) > 100
    assert suffices(n)
    assert not suffices(n - 1)


def test_a_pilot_of_two_models_assumes_nothing() -> None:
    x, y, z = (gaussian(200, 4, seed=k, shift=shift) for k, shift in ((1, 0.0), (2, 0.3), (3, 0.6)))
    pilot = pilot_of_test(relative_test(reference=x, first=y, second=z, bandwidth=2.5))
    assert images_needed(pilot, 0.05, alike=True) == images_needed(pilot, 0.05, alike=False)
