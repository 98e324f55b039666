"""Laws of sets that are not independent draws: copies within a set, and sets that share or reconstruct pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import Estimate, compare, frechet_distance, rank, squared_mmd
from cmmd_toolkit.metrics.kid import kernel_distance

METRICS: list[Callable[..., Estimate]] = [squared_mmd, frechet_distance, kernel_distance]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_set_against_itself_or_a_reconstruction_has_a_sentence_in_place_of_an_interval(
    metric: Callable[..., Any], noise: float
) -> None:
    x = gaussian(200, 8, seed=1)
    estimate = metric(reference=x, generated=x + noise * gaussian(200, 8, seed=2))
    assert estimate.interval is None
    assert "not independent draws" in estimate.no_error_reason
    assert abs(estimate.value) < 0.1


@pytest.mark.parametrize("metric", METRICS)
def test_no_interval_lies_wholly_below_zero(metric: Callable[..., Any]) -> None:
    for k in range(150):
        estimate = metric(reference=gaussian(60, 24, seed=k), generated=gaussian(60, 24, seed=500 + k))
        assert (estimate.interval is None) == (estimate.no_error_reason is not None)
        assert estimate.interval is None or estimate.interval[1] >= 0
        assert estimate.standard_error is not None


@pytest.mark.parametrize("metric", METRICS)
def test_with_copies_the_interval_holds_that_of_the_distinct_rows_and_that_of_all(metric: Callable[..., Any]) -> None:
    x, y = gaussian(150, 5, seed=1), gaussian(120, 5, seed=2) + 0.3
    repeated = np.concatenate([y, y[:30]])
    found, distinct = metric(reference=x, generated=repeated), metric(reference=x, generated=y)
    assert any("exact copies" in caveat for caveat in found.caveats)
    assert not any("exact copies" in caveat for caveat in distinct.caveats)
    assert found.interval[0] <= distinct.interval[0] < distinct.interval[1] <= found.interval[1]
    assert found.interval[0] <= found.corrected <= found.interval[1]
    assert found.standard_error >= distinct.standard_error


@pytest.mark.parametrize("metric", [squared_mmd, frechet_distance])
def test_a_fifth_of_copies_leaves_the_coverage(metric: Callable[..., Any]) -> None:
    inside = 0
    for k in range(200):
        x, y = gaussian(100, 8, seed=k), gaussian(100, 8, seed=900 + k)
        y[:20] = y[20:40]
        interval = metric(reference=x, generated=y).interval
        inside += interval is not None and interval[0] <= 0 <= interval[1]
    assert 0.9 <= inside / 200 <= 0.995


def test_a_set_of_one_picture_or_of_few_has_a_reason() -> None:
    x = gaussian(60, 4, seed=1)
    one = squared_mmd(reference=x, generated=np.repeat(x[:1] + 5, 40, axis=0))
    few = squared_mmd(reference=x, generated=np.tile(x[:10] + 5, (4, 1)))
    assert "copies of one" in one.no_error_reason
    assert "10 pictures are too few" in few.no_error_reason
    assert (one.interval, few.standard_error) == (None, None)


def test_rank_and_compare_go_on_where_an_interval_would_lie_below_zero() -> None:
    x = gaussian(80, 6, seed=1)
    sets = {"copy": x + 0.001, "other": gaussian(80, 6, seed=2)}
    (order,) = rank(x, sets).orders
    assert {place.generated: place.interval is None for place in order.places} == {"copy": True, "other": False}
    reasons = [result.no_error_reason for result in compare(x, sets, metric="mmd").results]
    assert "not independent draws" in reasons[0]
    assert reasons[1] is None
