"""Records print in one short line, and stay equal and pickled as they were; "neither" is a verdict."""

import pickle

from pictures import gaussian

from cmmd_toolkit import Features, relative_test, squared_mmd, two_sample_test

X, Y, FAR = (gaussian(60, 3, seed=seed, shift=shift) for seed, shift in ((0, 0.0), (1, 0.0), (2, 2.0)))
TEST = relative_test(reference=X, first=Y, second=FAR)


def test_records_print_in_one_short_line() -> None:
    features = Features(X, {"backbone": "mini", "source": "real"}, tuple(f"{i}.png" for i in range(60)))
    assert repr(features) == "Features(60 x 3, mini, 'real')"
    assert repr(Features(X)) == "Features(60 x 3)"
    estimate = squared_mmd(reference=X, generated=FAR)
    assert repr(estimate).startswith("Estimate(0.")
    assert " ± " in repr(estimate)
    assert ", 95 % " in repr(estimate)
    tests = TEST, two_sample_test(reference=X, generated=FAR, permutations=99)
    assert all(", p " in repr(one) for one in tests)
    assert all(len(repr(one)) < 100 and "\n" not in repr(one) for one in (*tests, estimate, features))


def test_equality_and_pickling_stay() -> None:
    assert pickle.loads(pickle.dumps(TEST)) == TEST
    estimate = squared_mmd(reference=X, generated=Y)
    assert pickle.loads(pickle.dumps(estimate)) == estimate
    assert estimate != squared_mmd(reference=X, generated=FAR)


def test_a_difference_that_may_be_chance_has_no_closer_set() -> None:
    assert TEST.verdict() == TEST.closer == "first"
    other = relative_test(reference=X, first=Y, second=gaussian(60, 3, seed=3))
    assert other.p_value > 0.05
    assert other.verdict() == "neither"
    assert other.verdict(alpha=1.0) == other.closer
