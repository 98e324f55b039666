"""Two methods over several training runs: the t-interval, what it needs, and how often it is wrong."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from dit_generators.study.methods import MethodDifference, compare_methods

METHODS = ("full", "swa")


def scores(full: Any, swa: Any, error: float | None = 0.01) -> list[dict[str, Any]]:
    fields = {"backbone": "mini", "mmd_error": error, "fd": 9.0, "fd_corrected": None, "fd_error": None}
    return [
        {**fields, "method": method, "run": run, "mmd": float(value)}
        for method, values in zip(METHODS, (full, swa), strict=True)
        for run, value in enumerate(values, start=1)
    ]


def of_mmd(found: list[MethodDifference]) -> MethodDifference:
    return next(each for each in found if each.metric == "mmd")


def test_it_is_the_paired_t_test() -> None:
    full, swa = np.random.default_rng(0).normal(size=(2, 7))
    found = of_mmd(compare_methods(scores(full, swa), METHODS))
    expected = stats.ttest_rel(swa, full)
    low, high = expected.confidence_interval(0.95)
    assert (found.p_value, found.difference) == pytest.approx((expected.pvalue, np.mean(swa - full)))
    assert found.interval == pytest.approx((low, high))


def test_runs_are_paired_by_their_number_in_whatever_order_they_stand() -> None:
    given = scores([1, 2, 3], [1.1, 2.2, 3.1])
    assert compare_methods(given, METHODS) == compare_methods(given[::-1], METHODS)


def test_equal_methods_are_told_apart_as_often_as_the_level_says() -> None:
    random = np.random.default_rng(1)
    runs = random.normal(size=(1000, 2, 5))
    rejected = np.mean([of_mmd(compare_methods(scores(*pair), METHODS)).p_value < 0.05 for pair in runs])
    assert 0.03 < rejected < 0.07


def test_the_variance_is_split_into_runs_and_samples() -> None:
    random = np.random.default_rng(2)
    networks, samples = random.normal(0, 3, size=(2, 4000)), random.normal(0, 1, size=(2, 4000))
    found = of_mmd(compare_methods(scores(*(networks + samples), error=1.0), METHODS))
    assert found.between_runs["full"] == pytest.approx(0.9, abs=0.02)
    alone = of_mmd(compare_methods(scores(*samples, error=1.0), METHODS))
    assert alone.between_runs["swa"] == pytest.approx(0, abs=0.05)
    assert of_mmd(compare_methods(scores([1, 2], [2, 3], error=None), METHODS)).between_runs["full"] is None


def test_the_sentence_says_what_is_known() -> None:
    close = str(of_mmd(compare_methods(scores([1, 2, 3, 4, 5], [1.1, 1.9, 3.1, 3.9, 5.1]), METHODS)))
    assert "the methods cannot be told apart" in close
    assert "over 5 training runs of each" in close
    assert "are few" not in close
    apart = str(of_mmd(compare_methods(scores([1, 2, 3], [2.0, 3.01, 4.02]), METHODS)))
    assert "full is the closer method" in apart
    assert "3 runs are few: the interval extends 4.3 standard errors to each side" in apart


def test_a_share_of_the_variance_is_told_where_the_runs_show_one() -> None:
    split = str(of_mmd(compare_methods(scores([1, 2, 3, 4, 5], [1.1, 1.9, 3.1, 3.9, 5.1], error=1.0), METHODS)))
    assert split.endswith("; at least 60 % of the variance of full and 60 % of the variance of swa is between runs.")
    one = str(of_mmd(compare_methods(scores([1, 2, 3, 4, 5], [3, 3.1, 3, 2.9, 3], error=1.0), METHODS)))
    assert one.endswith("; at least 60 % of the variance of full is between runs.")
    assert "variance" not in str(of_mmd(compare_methods(scores([1, 1.1], [1.1, 1.1], error=1.0), METHODS)))


def test_frechet_distances_with_and_without_bias_are_never_compared() -> None:
    known = [{**score, "fd_corrected": score["mmd"], "fd": 9.0 + score["mmd"]} for score in scores([1, 2], [4, 6])]
    found = {each.metric: each for each in compare_methods(known, METHODS)}
    assert (found["fd"].difference, found["fd"].unbiased) == (pytest.approx(3.5), True)
    known[0]["fd_corrected"], known[0]["fd"] = None, 11.0
    found = {each.metric: each for each in compare_methods(known, METHODS)}
    assert (found["fd"].difference, found["fd"].unbiased) == (pytest.approx(3.0), False)
    assert str(found["fd"]).startswith("mini, FD with its bias: swa minus full")


@pytest.mark.parametrize(("swa", "p_value"), [([1.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_differences_without_any_spread(swa: list[float], p_value: float) -> None:
    assert of_mmd(compare_methods(scores([1.0, 2.0], swa), METHODS)).p_value == p_value
