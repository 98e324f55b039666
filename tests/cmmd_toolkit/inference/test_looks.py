"""Laws of the looks at a run: bets that are fair, a level over all looks, intervals, and what must not matter."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from pictures import gaussian

from cmmd_toolkit import ArgumentError
from cmmd_toolkit.inference.betting import Errors, log_evidence
from cmmd_toolkit.inference.checkpoints import CheckpointTest, checkpoint_test, mean_evidence
from cmmd_toolkit.inference.looks import Looks, share_of_pair
from cmmd_toolkit.metrics.mmd import MmdReference, MmdScore

X = gaussian(150, 5, seed=1)
RULER = MmdReference(X, 3.0, "unbiased", 0)


def scored(rows: np.ndarray) -> MmdScore:
    return RULER.score(rows)


def test_fair_bets_gain_nothing_on_average() -> None:
    """Over every outcome of six fair payoffs the mean capital is exactly 1, and below it where they lose on average."""
    bounds = np.array([1.0, 1.0, 2.0, 2.0, 0.5, 0.5])
    outcomes = [np.array(signs) * bounds for signs in itertools.product((-1.0, 1.0), repeat=6)]
    assert np.mean([math.exp(log_evidence(own, bounds)) for own in outcomes]) == pytest.approx(1.0, rel=1e-12)
    assert np.mean([math.exp(log_evidence(own, bounds, 0.1)) for own in outcomes]) < 1.0


def test_a_common_error_of_the_means_is_paid_for() -> None:
    """Payoffs that are all off by one normal error: the mean capital stays at or below 1, and is above it unpaid."""
    random = np.random.default_rng(0)
    bounds = np.full(40, 1.0)
    errors = Errors(np.array([1.0]), np.array([0.1**2]), np.array([0.0]))
    paid, unpaid = [], []
    for _ in range(3000):
        payoffs = np.clip(random.choice((-0.5, 0.5), 40) + 0.1 * random.standard_normal(), -1, 1)
        paid.append(math.exp(log_evidence(payoffs, bounds, errors=errors)))
        unpaid.append(math.exp(log_evidence(payoffs, bounds)))
    assert np.mean(paid) <= 1.0 < np.mean(unpaid)


@pytest.mark.parametrize("stake", [10.0, 50.0, 90.0, 99.0])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.1, 0.5])
def test_rare_rows_are_paid_for_where_they_are_not_seen(share: float, stake: float) -> None:
    """100 rows of which a share falls by 1: over all outcomes the mean of what the error gains is 1, but for the
    variance that is estimated. Paid for as if it were normal it is more, up to 16 here."""
    rare = np.arange(101)
    chance = scipy.stats.binom.pmf(rare, 100, share)
    gained = stake * (share - rare / 100)
    squares = rare * (1 - rare / 100)
    spent = [Errors(*np.array([[0.01], [squares[k]], [1 - k / 100]])).costs(np.array([stake]))[0] for k in rare]
    assert chance @ np.exp(gained - spent) <= 1.005
    if stake >= 90:
        assert chance @ np.exp(gained - np.square(stake * 0.01) * squares / 2) > 1.01


def test_a_stake_that_one_rare_row_could_make_earns_nothing() -> None:
    errors = Errors(np.array([0.01]), np.array([0.0]), np.array([1.0]))
    assert errors.costs(np.array([99.0, 100.0, 200.0])).tolist() == [0.0, math.inf, math.inf]


def test_a_rare_kind_that_the_reference_lacks_makes_no_alarm() -> None:
    """Checkpoints that are equally far: one collapsed onto a kind that one picture in 100 is of, one onto none. In 13 %
    of references of 200 that kind is missing, and then the first looks a little worse in each of 3,000 rows."""
    good_at_it, none_of_it = np.eye(8)[0] * 14, np.eye(8)[1] * 14
    ruler = MmdReference(gaussian(200, 8, seed=30), 4.0, "unbiased", 0)
    y, z = 0.3 * gaussian(3000, 8, seed=31) + good_at_it, 0.3618 * gaussian(3000, 8, seed=32) + none_of_it
    test = checkpoint_test(earlier=ruler.score(z), later=ruler.score(y))
    assert test.difference > 0.015
    assert test.log_evidence(1) < math.log(2)


def test_evidence_falls_with_what_is_to_be_beaten() -> None:
    payoffs, bounds = np.random.default_rng(1).uniform(-1, 1, 50), np.full(50, 1.0)
    found = [log_evidence(payoffs, bounds, above) for above in np.linspace(-0.9, 0.9, 19)]
    assert all(high >= low for high, low in itertools.pairwise(found))
    assert log_evidence(payoffs, bounds, -1.0) == math.inf


def test_the_difference_is_that_of_the_distances() -> None:
    z, y = scored(gaussian(90, 5, seed=2)), scored(gaussian(90, 5, seed=3) + 0.4)
    test = checkpoint_test(earlier=z, later=y)
    assert test.difference == pytest.approx(y.estimate.value - z.estimate.value)
    assert bool((np.abs(test.payoffs) <= test.bounds).all())
    deviation = math.sqrt(np.square(test.too_high.weights) @ test.too_high.squares)
    assert np.mean(test.payoffs) == pytest.approx(test.difference, abs=4 * np.std(test.payoffs) / 9 + 2 * deviation)


def test_payoffs_equal_those_of_a_slow_witness() -> None:
    """The witness of each batch, row by row from its definition."""
    n, edges = 40, list(range(0, 41, 4))
    z, y = gaussian(n, 5, seed=4), gaussian(n, 5, seed=5) + 0.3
    test = checkpoint_test(earlier=scored(z), later=scored(y))
    order = np.random.default_rng(0).permutation(n)
    z, y = z[order], y[order]

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-np.square(a[:, None] - b[None]).sum(axis=2) / (2 * 3.0**2))

    own = kernel(X, X)
    x_to_x = (own.sum(axis=1) - 1) / (len(X) - 1) - 1  # kernels less 1, as everywhere
    found = []
    for first, last in itertools.pairwise(edges[1:]):
        seen = np.concatenate([y[:first], z[:first]])
        at = {name: (kernel(rows, seen) - 1).mean(axis=1) for name, rows in (("x", X), ("y", y), ("z", z))}
        at["x"] -= x_to_x
        for name, rows in (("y", y), ("z", z)):
            at[name] -= (kernel(rows, X) - 1).mean(axis=1)
        # a learned row counts itself, with 1 for its own kernel
        learned = np.concatenate([at["x"], at["y"][:first], at["z"][:first]])
        low, high = learned.min(), learned.max()
        found.append(2 * (np.clip(at["y"], low, high) - np.clip(at["z"], low, high))[first:last])
    assert test.payoffs == pytest.approx(np.concatenate(found), abs=1e-9)


def test_samples_that_are_sorted_by_class_are_dealt_evenly() -> None:
    """Two classes far apart, one after the other: a look that lost the second class is worse, and a flat one is not."""
    far = np.repeat([[0.0], [6.0]], 60, axis=0)
    both, again = (gaussian(120, 5, seed=k) + far for k in (20, 21))
    ruler = MmdReference(gaussian(200, 5, seed=22) + np.repeat([[0.0], [6.0]], 100, axis=0), "median", "unbiased", 0)
    best, flat, lost = (ruler.score(rows) for rows in (both, again, gaussian(120, 5, seed=23)))
    assert checkpoint_test(earlier=best, later=flat).log_evidence(1) < math.log(5)
    assert checkpoint_test(earlier=best, later=lost).log_evidence(1) > math.log(1000)


def test_a_copy_of_the_best_is_neither_worse_nor_better() -> None:
    rows = gaussian(60, 5, seed=6)
    test = checkpoint_test(earlier=scored(rows), later=scored(rows.copy()))
    assert test.difference == 0.0
    assert not test.payoffs.any()
    assert mean_evidence([test], 1) <= 0 >= mean_evidence([test], -1)


def test_worse_and_better_change_places_with_the_looks() -> None:
    near, far = scored(gaussian(100, 5, seed=7)), scored(gaussian(100, 5, seed=8) + 1.0)
    there, back = checkpoint_test(earlier=near, later=far), checkpoint_test(earlier=far, later=near)
    assert there.log_evidence(1) == pytest.approx(back.log_evidence(-1))
    assert there.interval(0.05) == pytest.approx([-end for end in back.interval(0.05)[::-1]])
    assert there.interval(0.05)[0] > 0


def test_intervals_hold_the_true_difference_and_widen_with_the_level() -> None:
    """The true difference is that of 4,000 rows a side."""
    many = (
        RULER.score(gaussian(4000, 5, seed=9) + 0.7).estimate.value
        - RULER.score(gaussian(4000, 5, seed=10)).estimate.value
    )
    held = 0
    for k in range(60):
        z, y = scored(gaussian(80, 5, seed=100 + k)), scored(gaussian(80, 5, seed=200 + k) + 0.7)
        test = checkpoint_test(earlier=z, later=y)
        low, high = test.interval(0.2)
        assert test.interval(0.01)[0] <= low <= high <= test.interval(0.01)[1]
        held += low <= many <= high
    assert held >= 0.8 * 60


def test_the_level_of_all_pairs_of_looks_is_spent_once() -> None:
    total = sum(share_of_pair(look) * (look - 1) for look in range(2, 20_000))
    assert total == pytest.approx(1.0, abs=1e-4)
    assert total < 1


def test_flat_runs_raise_no_alarm_and_falling_runs_do() -> None:
    """25 short runs of each; what holds over 100 looks is simulated in benchmarks/watching.py."""
    random = np.random.default_rng(0)
    flat = falling = 0
    for _ in range(25):
        looks = Looks(0.05)
        for look in range(10):
            compared = looks.add([scored(random.standard_normal((60, 5)) + 0.3)])
            flat += compared is not None and compared.verdict != "undecided"
            assert (compared is None) == (look == 0)
        last = looks.add([scored(3 + random.standard_normal((60, 5)))])
        assert last is not None
        falling += last.verdict == "worse"
    assert flat <= 2
    assert falling >= 23


def test_the_best_is_the_lowest_so_far_on_the_first_backbone() -> None:
    looks, scores = Looks(0.05), [scored(gaussian(40, 5, seed=k) + shift) for k, shift in enumerate((1.0, 0.0, 0.5))]
    for own in scores:
        looks.add([own, scores[0]])
    assert looks.best == (scores[1], scores[0])


def test_backbones_are_averaged_so_that_one_alone_can_raise_the_alarm() -> None:
    z, same, far = (scored(gaussian(200, 5, seed=k) + shift) for k, shift in enumerate((0.0, 0.0, 2.0)))
    calm, loud = (checkpoint_test(earlier=z, later=own) for own in (same, far))
    logs = sorted(test.log_evidence(1) for test in (calm, loud))
    assert mean_evidence([calm, loud]) == pytest.approx(np.logaddexp(*logs) - math.log(2))
    assert mean_evidence([calm, loud]) > math.log(20) + 5


def test_of_unequal_looks_as_many_rows_are_drawn() -> None:
    """Sorted by class, too: the first rows of the larger would be of the first class alone."""
    far = np.repeat([[0.0], [4.0]], 60, axis=0)
    z, y = gaussian(120, 5, seed=11) + far, gaussian(70, 5, seed=12) + np.repeat([[0.0], [4.0]], 35, axis=0)
    for earlier, later in ((z, y), (y, z)):
        test = checkpoint_test(earlier=scored(earlier), later=scored(later))
        assert len(test.payoffs) == 63
        assert abs(np.mean(test.payoffs)) < 4 * np.std(test.payoffs) / math.sqrt(63)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_a_level_is_a_chance(alpha: float) -> None:
    with pytest.raises(ArgumentError, match="^alpha: expected a number between 0 and 1"):
        Looks(alpha)


def test_too_few_rows_are_refused() -> None:
    few = scored(gaussian(19, 5, seed=13))
    with pytest.raises(ArgumentError, match="at least 20 pictures"):
        checkpoint_test(earlier=few, later=few)
    assert isinstance(checkpoint_test(earlier=scored(X[:20]), later=scored(X[20:40])), CheckpointTest)
