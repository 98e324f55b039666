"""Laws of the joint test: moments over all deals, exactness, who sees what, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np
import pytest
import torch

from cmmd_toolkit import ArgumentError, CostWarning, Features, joint_test, two_sample_test
from cmmd_toolkit.estimation import deal_forms, device_forms
from cmmd_toolkit.estimation.deal_forms import ScaledRows, forms_of
from cmmd_toolkit.estimation.device_forms import forms_on
from cmmd_toolkit.inference.dealt_kernels import DealtKernels, step_down
from cmmd_toolkit.inference.joint import kernels_for
from cmmd_toolkit.metrics import mmd_cost

Rows = np.ndarray
KERNELS = kernels_for(nearest=0.2)


def draws(n: int, dim: int, seed: int) -> Rows:
    return np.random.default_rng(seed).standard_normal((n, dim))


def every_deal(total: int, n: int) -> Rows:
    return np.array([[1 if i in own else -1 for i in range(total)] for own in combinations(range(total), n)], "f4").T


def slow_statistics(rows: Rows, median: float, labels: Rows) -> list[tuple[Rows, Rows]]:
    """Squared MMD and the contrast of each deal, kernel by kernel, from their definitions."""
    distances = np.sqrt(np.square(rows[:, None] - rows[None]).sum(axis=2)) / median
    is_reference, found = labels > 0, []
    for kernel in KERNELS:
        gaussian = kernel.family == "gaussian"
        k = np.exp(-(distances**2) / (2 * kernel.width**2)) if gaussian else np.exp(-distances / kernel.width)
        mmds, contrasts = [], []
        for a in is_reference.T:
            x, y = (k[np.ix_(own, own)][~np.eye(own.sum(), dtype=bool)].mean() for own in (a, ~a))
            mmds.append(x + y - 2 * k[np.ix_(a, ~a)].mean())
            contrasts.append(y - x)
        found.append((np.array(mmds), np.array(contrasts)))
    return found


@pytest.mark.parametrize(("n", "m"), [(3, 4), (4, 4), (2, 6), (5, 2), (2, 2)])
def test_statistics_are_the_definitions_over_their_spread_over_all_deals(n: int, m: int) -> None:
    rows, labels = draws(n + m, 3, seed=n), every_deal(n + m, n)
    scaled = ScaledRows(rows, rows.mean(axis=0), 1.7, 0.2)
    dealt = DealtKernels.of(forms_of(scaled, KERNELS, labels), labels)
    for k, (mmds, contrasts) in enumerate(slow_statistics(rows, 1.7, labels)):
        assert mmds.mean() == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(dealt.differences[k], mmds / mmds.std(), atol=3e-5)
        np.testing.assert_allclose(dealt.contrasts[k], contrasts / contrasts.std(), atol=3e-5)


def test_several_blocks_and_another_engine_find_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = (
        ScaledRows(draws(70, 5, seed=1), np.zeros(5), 3.0, 0.2),
        np.sign(draws(70, 9, seed=2)).astype(np.float32),
    )
    whole = forms_of(rows, KERNELS, labels)
    placed = forms_on("cpu", rows, KERNELS, labels, height=32)
    monkeypatch.setattr("cmmd_toolkit.estimation.blocks.BLOCK", 16)
    parts = forms_of(rows, KERNELS, labels)
    for own, torchs, cut in zip(
        (whole.forms, whole.row_sums, whole.squares), placed, (parts.forms, parts.row_sums, parts.squares), strict=True
    ):
        np.testing.assert_allclose(torchs, own, atol=3e-6 * np.abs(own).max())
        np.testing.assert_allclose(cut, own, atol=3e-6 * np.abs(own).max())


def test_the_step_down_maximum_is_the_closed_test() -> None:
    """The adjusted p-value of a score is the largest p-value of the maxima of all families that hold it."""
    scores = np.random.default_rng(3).standard_normal((5, 60))
    scores[:, 0] += [0.0, 2.5, 1.0, 3.0, -1.0]
    families = [list(own) for size in range(1, 6) for own in combinations(range(5), size)]
    tests = {tuple(own): np.mean(scores[own].max(axis=0) >= scores[own, 0].max()) for own in families}
    p_value, adjusted = step_down(scores)
    assert adjusted.tolist() == [max(p for own, p in tests.items() if i in own) for i in range(5)]
    assert p_value == adjusted.min() == tests[0, 1, 2, 3, 4]


@pytest.mark.parametrize(("n", "m", "copies"), [(7, 12, False), (15, 15, False), (12, 9, True)])
def test_equal_sets_are_declared_different_as_often_as_the_level_says(n: int, m: int, copies: bool) -> None:
    """Heavy tails, unequal sizes, two backbones; p <= 0.05 in 5 % of draws, in fewer where sets hold copies."""
    p_values = []
    for k in range(400):
        rows = np.random.default_rng(k).standard_t(2, (n + m, 3))
        if copies:
            rows = rows[np.random.default_rng(k).integers(0, 15, n + m)]
        sides = [{"one": own, "two": np.tanh(own[:, :2])} for own in (rows[:n], rows[n:])]
        p_values.append(joint_test(reference=sides[0], generated=sides[1], permutations=19, seed=k).p_value)
    rejected = np.mean(np.array(p_values) <= 0.05)
    assert rejected <= 0.085  # 5 % and three standard errors
    assert copies or rejected >= 0.02
    assert copies or min(p_values) == pytest.approx(1 / 20)


def test_neither_order_nor_sides_nor_an_offset_decide() -> None:
    x, y = draws(60, 5, seed=1), 0.8 * draws(60, 5, seed=2)
    found = joint_test(reference=x, generated=y, permutations=99)
    assert joint_test(reference=x[::-1], generated=y[::-1], permutations=99) == found
    swapped = joint_test(reference=y, generated=x, permutations=99)
    shifted = joint_test(reference=x + 8.0, generated=y + 8.0, permutations=99)  # hashed in another order
    for own, turned, moved in zip(found.findings, swapped.findings, shifted.findings, strict=True):
        assert turned.difference == pytest.approx(own.difference, rel=1e-4)
        assert turned.contrast == pytest.approx(-own.contrast, rel=1e-4)
        assert moved.score == pytest.approx(own.score, rel=1e-3)


def mixture(n: int, spread: float, seed: int) -> Rows:
    means = 3 * draws(6, 8, seed=99)
    return means[np.random.default_rng(seed).integers(0, 6, n)] + spread * draws(n, 8, seed=seed + 1)


def test_less_spread_within_classes_is_seen_where_the_median_width_sees_nothing() -> None:
    x, y = mixture(250, 1.0, seed=1), mixture(250, 0.85, seed=2)
    assert two_sample_test(reference=x, generated=y, permutations=399).p_value > 0.05
    found = joint_test(reference=x, generated=y, permutations=399)
    strongest = found.strongest("features")
    assert found.p_value == strongest.p_value == 1 / 400
    assert strongest.width < 1
    assert strongest.contrast > 4  # generated pictures lie closer together


def test_kernels_reach_down_to_nearest_neighbours() -> None:
    """Classes so tight that a quarter of the median distance is wide for them."""
    centres = 300 * draws(6, 4, seed=99)
    x, y = (centres[np.arange(150) % 6] + spread * draws(150, 4, seed=k) for k, spread in enumerate((1.0, 0.8)))
    found = joint_test(reference=x, generated=y, permutations=199)
    assert found.p_value == 1 / 200
    assert found.strongest("features").width < 0.01
    assert found.strongest("features").contrast > 4
    assert min(own.p_value for own in found.findings if own.width >= 0.25) > 0.05
    widths = [kernel.width for kernel in kernels_for(nearest=0.05)]
    assert widths == pytest.approx(2 * [2, 1, 0.5, 0.25, 0.25 / 5**0.5, 0.05])
    assert len(kernels_for(nearest=0.3)) == 8
    assert min(kernel.width for kernel in kernels_for(nearest=1e-9)) == pytest.approx(1e-9)


def test_the_backbone_that_sees_it_is_named_and_the_other_is_not() -> None:
    x, y = draws(80, 4, seed=1), draws(80, 4, seed=2)
    y[:, 0] += 1
    sides = [{"sees": own, "blind": own[:, 2:]} for own in (x, y)]
    found = joint_test(reference=sides[0], generated=sides[1], permutations=199)
    assert found.p_value == found.p_by_backbone["sees"] == 1 / 200
    assert found.p_by_backbone["blind"] > 0.05
    assert {own.backbone for own in found.findings if own.p_value < 0.05} == {"sees"}


def test_copies_count_by_the_reading_that_shows_less() -> None:
    x, y = draws(60, 4, seed=1), draws(20, 4, seed=2)
    repeated = joint_test(reference=x, generated=np.concatenate([y, y, y]), permutations=199)
    single = joint_test(reference=x, generated=y, permutations=199)
    assert (repeated.n_generated, repeated.p_value) == (20, single.p_value)
    assert "60 reference and 20 generated pictures are distinct; p = 0.005 of all pictures" in repeated.caveats[0]
    collapsed = joint_test(reference=x, generated=y[:1].repeat(9, axis=0), permutations=199)
    assert collapsed.caveats == ("all pictures of a set are copies of one",)
    assert collapsed.p_value == 1 / 200


def test_rows_far_away_and_backbones_without_a_distance_leave_it_finite() -> None:
    x, y = draws(40, 3, seed=1), draws(30, 3, seed=2)
    y[0] *= 1e15
    sides = [{"far": own, "flat": np.ones((len(own), 2))} for own in (x, y)]
    found = joint_test(reference=sides[0], generated=sides[1], permutations=99)
    assert list(found.p_by_backbone) == ["far"]
    assert found.caveats == ("all pictures have the same features on flat, which is left out",)
    assert all(np.isfinite([own.difference, own.contrast]).all() for own in found.findings)
    with pytest.raises(ArgumentError, match="same features on features; there is nothing to compare"):
        joint_test(reference=np.ones((5, 2)), generated=np.ones((6, 2)))


def test_a_subset_is_drawn_of_many_and_said() -> None:
    found = joint_test(reference=draws(300, 2, seed=1), generated=draws(50, 2, seed=2), permutations=19, max_rows=200)
    assert (found.n_reference, found.n_generated) == (150, 50)
    assert found.caveats == ("a seeded subset of 150 of 300 reference pictures; raise max_rows for all",)


@pytest.mark.parametrize(
    ("reference", "generated", "message"),
    [
        ({"a": draws(5, 2, 1)}, {"a": draws(5, 3, 1)}, "features of different width: reference has 2"),
        ({"a": draws(5, 2, 1), "b": draws(5, 2, 1)}, {"a": draws(5, 2, 1)}, "expected features of a, b"),
        ({"a": draws(5, 2, 1), "b": draws(4, 2, 1)}, {"a": draws(5, 2, 1), "b": draws(5, 2, 1)}, "5 on a, 4 on b"),
        ({"a": draws(5, 2, 1)}, {"b": draws(5, 2, 1)}, "expected features of a, as the reference has, got b"),
        (Features(draws(5, 2, 1), {"backbone": "a"}), Features(draws(5, 2, 1), {"backbone": "b"}), "features of a"),
        (draws(1, 2, 1), draws(5, 2, 1), "at least two rows"),
        (draws(5, 2, 1), Features(draws(5, 2, 1)).statistics(), "mean and covariance only"),
        (draws(5, 2, 1), np.full((5, 2), np.nan), "NaN or infinity in row 0"),
        ({}, {}, "got none"),
    ],
)
def test_what_cannot_be_tested_is_refused(reference: object, generated: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        joint_test(reference=reference, generated=generated)


def test_an_array_may_stand_beside_features_of_a_name() -> None:
    x, y = draws(9, 2, 1), draws(8, 2, 2)
    named = joint_test(reference=Features(x.astype(np.float32), {"backbone": "a"}), generated=y, permutations=19)
    assert list(named.p_by_backbone) == ["a"]
    with pytest.raises(ArgumentError, match="^backbone: expected one of a, got b$"):
        named.strongest("b")


@pytest.mark.parametrize(
    ("n", "m", "is_said"), [(2, 2, True), (2, 4, True), (3, 3, True), (2, 5, False), (4, 4, False)]
)
def test_too_few_pictures_for_a_small_p_are_said(n: int, m: int, is_said: bool) -> None:
    found = joint_test(reference=draws(n, 2, 1), generated=draws(m, 2, 2) + 1000, permutations=999)
    assert bool(found.caveats) == is_said
    assert found.p_value > 0.045 or not is_said  # however far apart


def test_options_are_checked() -> None:
    x = draws(5, 2, 1)
    for options in ({"permutations": 5}, {"max_rows": 7}, {"seed": -1}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            joint_test(reference=x, generated=x, **options)  # type: ignore[arg-type]


def test_products_of_float32_leave_what_float64_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = draws(300, 64, seed=1), np.sign(draws(300, 40, seed=2)).astype(np.float32)
    labels[:, :] = np.where(np.argsort(np.argsort(draws(300, 40, seed=3), axis=0), axis=0) < 150, 1, -1)
    single = DealtKernels.of(forms_of(ScaledRows(rows, np.zeros(64), 11.3, 0.2), KERNELS, labels), labels)
    monkeypatch.setattr(deal_forms, "_MOST_EXPONENT", 0.0)
    double = DealtKernels.of(forms_of(ScaledRows(rows, np.zeros(64), 11.3, 0.2), KERNELS, labels), labels)
    assert np.abs(single.differences - double.differences).max() < 1e-3
    assert np.abs(single.contrasts - double.contrasts).max() < 1e-3


# ---- what it takes --------------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [0, 9])
def test_progress_goes_from_nothing_to_all_pictures(copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmmd_toolkit.estimation.blocks.BLOCK", 64)
    x, y = draws(150, 3, seed=1), draws(120, 3, seed=2)
    x[:copies] = x[0]
    shown: list[float] = []

    @contextmanager
    def progress(name: str, total: int | None) -> Iterator[object]:
        assert (name, total) == ("joint test", 270)
        yield shown.append

    sides = [{"one": rows, "two": rows[:, :2], "blind": np.ones((len(rows), 2))} for rows in (x, y)]
    joint_test(reference=sides[0], generated=sides[1], permutations=19, progress=progress)
    assert len(shown) > 20
    assert min(shown) > 0
    assert sum(shown) == pytest.approx(270)


def test_progress_goes_back_where_a_device_begins_again_with_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = ScaledRows(draws(600, 3, seed=1), np.zeros(3), 3.0, 0.2), np.sign(draws(600, 9, seed=2))
    whole, made, shown = device_forms._Forms._block, [], []

    def block(self: object, kernel: object, halves: torch.Tensor, *, is_diagonal: bool) -> torch.Tensor:
        made.append(kernel)
        if len(halves) == 256 and len(made) > 2 * len(KERNELS):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, kernel, halves, is_diagonal=is_diagonal)

    monkeypatch.setattr(device_forms._Forms, "_block", block)
    forms_on("cpu", rows, KERNELS, labels.astype(np.float32), shown.append, height=256)
    assert min(shown) < 0
    assert sum(shown) == pytest.approx(1)


def test_a_last_bit_changes_the_deals_and_nothing_else() -> None:
    x, y = draws(40, 5, seed=1), draws(40, 5, seed=2) + 0.15
    found = [joint_test(reference=np.nextafter(x, end), generated=y, permutations=999) for end in (-np.inf, np.inf)]
    (first, second), p = found, found[0].p_value
    assert 0.01 < p < 0.9
    assert second.p_value == pytest.approx(p, abs=4 * np.sqrt(2 * p * (1 - p) / 999))
    for one, other in zip(first.findings, second.findings, strict=True):
        assert (one.difference, one.contrast) == pytest.approx((other.difference, other.contrast), abs=1e-4)


def test_a_long_test_is_said_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmd_cost, "LARGE", 1e6)
    x, y = draws(60, 5, seed=1), draws(40, 5, seed=2)
    text = (
        r"the joint test of 60 and 40 pictures under 1 backbone takes 8\.2e\+05 multiplications, "
        r"about \d+ seconds? here; half as many pictures take a quarter of it"
    )
    joint_test(reference=x, generated=y, permutations=19)  # warns of nothing
    monkeypatch.setattr(mmd_cost, "LARGE", 8e5)
    with pytest.warns(CostWarning, match=text):
        joint_test(reference=x, generated=y, permutations=19)
    with pytest.warns(CostWarning, match="under 1 backbone takes"):  # with copies, and without
        joint_test(reference=np.concatenate([x, x[:1]]), generated=y, permutations=19)
