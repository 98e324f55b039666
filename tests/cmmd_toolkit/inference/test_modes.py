"""Laws of modes: they are found where the sets differ, and counted on other pictures."""

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit.inference.modes import LEAST, FoundModes, find_modes
from cmmd_toolkit.inference.shares import share_difference

CENTRES = 6.0 * np.eye(5, 8)


def clusters(weights: tuple[float, ...], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters that lie well apart, and the cluster of each."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(weights), n, p=np.array(weights) / sum(weights))
    return CENTRES[chosen] + random.standard_normal((n, 8)), chosen


def found(x: np.ndarray, y: np.ndarray, count: int = 3, seed: int = 0) -> FoundModes:
    modes = find_modes(x, y, count, seed)
    assert isinstance(modes, FoundModes)
    return modes


def test_a_missing_kind_and_a_frequent_one_are_found_with_their_shares() -> None:
    (x, of_x), (y, of_y) = clusters((1, 1, 1, 1, 1), 400, 1), clusters((0, 3, 1, 1, 1), 400, 2)
    modes = found(x, y, count=2).modes
    missing = next(own for own in modes if own.share_generated < own.share_reference)
    more = next(own for own in modes if own.share_generated > own.share_reference)
    assert missing.interval[1] < 0
    assert missing.interval[0] < -0.2 < missing.interval[1]  # the truth
    assert missing.share_generated == 0.0
    assert (of_x[missing.typical_reference] == 0).all()
    assert more.interval[0] > 0
    assert more.interval[0] < 0.3 < more.interval[1]
    assert (of_y[more.typical_generated] == 1).all()


def test_no_picture_that_found_a_mode_is_counted_nor_a_copy_of_one() -> None:
    x, y = clusters((1, 1, 1, 1, 1), 300, 1)[0], clusters((0, 1, 1, 1, 1), 300, 2)[0]
    x[200:] = x[:100]
    y[:50] = x[:50]  # shared by both sets
    modes = found(x, y)
    rows = [{row.tobytes() for own, side in zip(part, (x, y), strict=True) for row in side[own]}
            for part in (modes.found, modes.counted)]  # fmt: skip
    assert rows[0].isdisjoint(rows[1])
    for own, side in zip(modes.counted, (x, y), strict=True):
        assert len(own) + 1 >= 0.3 * len(side)


def test_the_shares_are_those_of_the_counted_rows() -> None:
    x, y = clusters((1, 1, 1, 1, 1), 260, 1)[0], clusters((1, 2, 1, 1, 1), 300, 2)[0]
    modes = found(x, y)
    for side, own, name in zip((x, y), modes.counted, ("share_reference", "share_generated"), strict=True):
        np.testing.assert_allclose(modes.shares(side[own]), [getattr(mode, name) for mode in modes.modes], atol=1e-12)


def test_sets_that_are_alike_hardly_ever_show_a_mode_and_on_the_same_pictures_they_would() -> None:
    """The intervals hold together: any mode shown, of three, happens once in twenty."""
    shown = naive = 0
    for k in range(40):
        x, y = gaussian(200, 6, seed=k), gaussian(200, 6, seed=1000 + k)
        modes = found(x, y, seed=k)
        shown += any(own.interval[0] > 0 or own.interval[1] < 0 for own in modes.modes)
        sides = [modes.shares(rows[own]) for rows, own in zip((x, y), modes.found, strict=True)]
        sizes = [len(own) for own in modes.found]
        for p, q in zip(*sides, strict=True):
            counts = [(round(share * size), size) for share, size in zip((p, q), sizes, strict=True)]
            low, high = share_difference(counts[0], counts[1], 1 - 0.05 / 3)
            if low > 0 or high < 0:
                naive += 1
                break
    assert shown <= 6
    assert naive >= 20


def test_the_same_seed_gives_the_same_modes_and_the_order_of_rows_does_not_change_what_they_are() -> None:
    x, y = clusters((1, 1, 1, 1, 1), 240, 1)[0], clusters((0, 1, 1, 1, 1), 240, 2)[0]
    one, again = found(x, y, seed=3), found(x, y, seed=3)
    assert [own.interval for own in one.modes] == [own.interval for own in again.modes]
    other = found(x[::-1], y[::-1], seed=4)
    for modes in (one, other):
        missing = min(modes.modes, key=lambda own: own.share_generated - own.share_reference)
        assert missing.interval[0] < -0.2 < missing.interval[1]
        assert missing.share_generated == 0.0


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_modes_have_no_unit_and_no_origin(factor: float) -> None:
    x, y = clusters((1, 1, 1, 1, 1), 240, 1)[0], clusters((0, 1, 1, 1, 1), 240, 2)[0]
    here, there = found(x, y), found(factor * (x + 7), factor * (y + 7))
    assert [own.share_reference for own in here.modes] == [own.share_reference for own in there.modes]


def test_what_leaves_nothing_to_find_is_said() -> None:
    x = gaussian(150, 4)
    assert "99 pictures are too few" in str(find_modes(x, x[:99], 2, 0))
    assert LEAST == 100
    assert "alike" in str(find_modes(np.concatenate([np.zeros((400, 4)), x]), x, 2, 0))
    assert "too few different pictures" in str(find_modes(np.repeat(x[:3], 50, axis=0), x, 2, 0))
    same = find_modes(x, x, 2, 0)
    assert isinstance(same, str) or all(own.interval[0] <= 0 <= own.interval[1] for own in same.modes)


def test_newcombes_interval_is_that_of_his_examples() -> None:
    """Table II of the source, examples (a) and (g): 56/70 and 48/80, 10/10 and 0/10; method 10."""
    low, high = share_difference((48, 80), (56, 70), 0.95)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    low, high = share_difference((0, 10), (10, 10), 0.95)
    assert (round(low, 4), high) == (0.6075, 1.0)
    assert share_difference((5, 9), (5, 9), 0.95)[0] == -share_difference((5, 9), (5, 9), 0.95)[1]
