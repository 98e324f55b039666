"""Laws of the verdict in words: everything the tests show, and nothing else."""

import json
from itertools import combinations

import pytest
from pictures import gaussian

from cmmd_toolkit import Features, compare, rank
from cmmd_toolkit.inference.ordering import PairTest
from cmmd_toolkit.report.verdict import ordered_text

NAMES = ("a", "b", "c", "d", "e")


def pair(better: int, worse: int, p: float, needed: int | None, difference: float = -0.1) -> PairTest:
    return PairTest(NAMES[better], NAMES[worse], difference, 0.1, (-0.3, 0.1), p, p, worse == better + 1, needed, 60)


def said(count: int, p_values: dict[str, float], needed: dict[str, int | None] | None = None, **more: float) -> str:
    """The verdict on sets a, b, ...; p-values by pair as in {"ab": 0.6}, all others tiny."""
    counts = needed or {}
    pairs = []
    for i, j in combinations(range(count), 2):
        key = NAMES[i] + NAMES[j]
        pairs.append(pair(i, j, p_values.get(key, 2e-18), counts.get(key, 19_234), **more))
    return ordered_text(NAMES[:count], pairs, 0.05)


def test_two_sets_differ_or_cannot_be_told_apart() -> None:
    assert said(2, {}) == "a is closer than b (p < 1e-17)."
    assert said(2, {"ab": 0.003}) == "a is closer than b (p = 0.003)."
    assert said(2, {"ab": 0.69}) == (
        "a and b cannot be told apart (p = 0.69); if the difference is what was observed, which may be chance, about "
        "19,200 pictures per generated set would be needed to tell them apart."
    )
    assert said(2, {"ab": 0.05}).startswith("a and b cannot be told apart (p = 0.05)")


def test_how_many_pictures_is_said_as_far_as_it_is_known() -> None:
    assert "; the reference is too small to tell." in said(2, {"ab": 0.6}, {"ab": None})
    assert ", more than 1,000,000 pictures per generated set" in said(2, {"ab": 0.6}, {"ab": 1_000_001})
    assert ", about 84 pictures per generated set" in said(2, {"ab": 0.06}, {"ab": 84})
    assert said(2, {"ab": 0.06}, {"ab": 60}) == "a and b cannot be told apart (p = 0.06)."  # they have as many
    assert said(2, {"ab": 1.0}, {"ab": None}, difference=0.0) == "a and b score exactly the same."


def test_three_sets_of_which_two_are_alike() -> None:
    alike = (
        "cannot be told apart (p = 0.69); if the difference is what was observed, which may be chance, about 19,200 "
        "pictures per generated set would be needed to tell them apart."
    )
    assert said(3, {"ab": 0.69}) == f"a and b {alike} Both are closer than c (p < 1e-17)."
    assert said(3, {"bc": 0.69}) == f"a is closer than b and c (p < 1e-17). b and c {alike}"
    assert said(3, {"bc": 0.69, "ac": 0.004}).startswith("a is closer than b and c (p at most 0.004).")


def test_three_sets_all_apart_or_all_alike() -> None:
    assert said(3, {}) == "a is closer than b (p < 1e-17). b is closer than c (p < 1e-17)."
    text = said(3, {"ab": 0.8, "bc": 0.5, "ac": 0.31}, {"ac": 5000})
    assert text == (
        "a, b and c cannot be told apart (p at least 0.31); if the difference is what was observed, which may be "
        "chance, about 5,000 pictures per generated set would be needed to tell a from c."
    )
    assert said(3, {"ab": 1.0, "bc": 1.0, "ac": 1.0}).startswith("a, b and c cannot be told apart (p = 1);")


def test_groups_that_overlap_claim_no_more_than_the_tests() -> None:
    text = said(3, {"ab": 0.2, "bc": 0.3})
    assert text.count("cannot be told apart") == 2
    assert "a and b cannot be told apart (p = 0.2)" in text
    assert "b and c cannot be told apart (p = 0.3)" in text
    assert text.endswith("a is closer than c (p < 1e-17).")
    assert text.count("closer") == 1


def test_a_noisy_set_between_two_that_differ() -> None:
    """The tests are not transitive the other way either: a and c alike, and b, between them, another."""
    text = said(3, {"ac": 0.2})
    assert "a and c cannot be told apart (p = 0.2)" in text
    assert "a is closer than b (p < 1e-17)." in text
    assert "b is closer than c (p < 1e-17)." in text
    assert "Both" not in text


def test_four_sets_in_two_groups() -> None:
    text = said(4, {"ab": 0.7, "cd": 0.4})
    first, second = "a and b cannot be told apart (p = 0.7)", "c and d cannot be told apart (p = 0.4)"
    assert text.index(first) < text.index("Both are closer than c and d (p < 1e-17).") < text.index(second)
    chain = said(4, {"bc": 0.7})
    assert chain.startswith("a is closer than b and c (p < 1e-17). b and c cannot")
    assert chain.endswith("Both are closer than d (p < 1e-17).")
    assert "All three are closer than d" in said(4, {"ab": 0.7, "bc": 0.7, "ac": 0.6})


def named(text: str) -> list[str]:
    return [name for name in NAMES if name in text.replace(",", "").split()]


@pytest.mark.parametrize("shape", range(64))
def test_every_shape_of_four_sets_says_of_every_pair_what_its_test_says(shape: int) -> None:
    pairs = list(combinations(NAMES[:4], 2))
    same = {one for k, one in enumerate(pairs) if shape >> k & 1}
    together, apart, last = set(), set(), []
    for sentence in said(4, {a + b: 0.5 for a, b in same}).split(". "):
        subject, _, rest = sentence.partition(" cannot " if " cannot " in sentence else " closer than ")
        subject = subject.removesuffix(" is").removesuffix(" are")
        some = last if subject in ("Both", "All three") else named(subject)
        if " cannot " in sentence:
            together |= set(combinations(some, 2))
        else:
            apart |= {(a, b) for a in some for b in named(rest.partition(" (")[0])}
        last = some
    assert together == same
    assert not apart & same
    for _ in range(2):  # a closer than b, and b than c, leaves "a closer than c" unsaid, unless they are alike
        apart |= {(a, c) for a, b in apart for other, c in apart if b == other} - same
    assert apart == set(pairs) - same


# ---- from features ---------------------------------------------------------------------------------


def features(name: str, seed: int, shift: float = 0.0, n: int = 120) -> Features:
    return Features(gaussian(n, 8, seed=seed, shift=2.0 + shift), {"source": f"/data/{name}"})


REAL, NEAR, TWIN = features("real", 1), features("near", 3), features("twin", 4)
FAR = Features(features("far", 2).values * [1, 1, 1, 1, 2, 2, 3, 3], {"source": "/data/far"})


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_compare_and_rank_end_with_the_same_verdict(metric: str) -> None:
    report, ranking = compare(REAL, [FAR, NEAR, TWIN], metric=metric), rank(REAL, [FAR, NEAR, TWIN], metric=metric)
    (verdict,), (same,) = report.verdicts, ranking.verdicts
    assert verdict == same
    assert (verdict.backbone, verdict.metric, verdict.alpha, len(verdict.pairs)) == ("features", metric, 0.05, 3)
    assert "near and twin cannot be told apart" in verdict.text or "twin and near cannot be told" in verdict.text
    assert "Both are closer than far (p" in verdict.text
    for text in (str(report), str(ranking)):
        assert text.rstrip().endswith(verdict.text)
    for document in (json.loads(report.to_json()), json.loads(ranking.to_json())):
        (stored,) = document["verdicts"]
        assert stored["text"] == verdict.text
        assert stored["pairs"][-1]["worse"] == "far"
        assert stored["pairs"][0]["images_needed"] == verdict.pairs[0].images_needed


def test_mmd_decides_where_both_are_computed_and_nothing_else_does() -> None:
    assert [v.metric for v in compare(REAL, [FAR, NEAR]).verdicts] == ["mmd"]
    assert [v.metric for v in compare(REAL, [FAR, NEAR], metric=["fid", "recall"]).verdicts] == ["fid"]
    assert compare(REAL, [FAR, NEAR], metric=["p-value", "kd", "recall"]).verdicts == ()


def test_one_set_differs_or_no_difference_is_shown() -> None:
    (far,), (near,) = compare(REAL, FAR, metric="mmd").verdicts, compare(REAL, NEAR, metric="mmd").verdicts
    assert far.text == "far differs from real: the 95 % interval excludes zero."
    assert near.text == "No difference between near and real is shown: the 95 % interval includes zero."
    assert (far.pairs, near.pairs) == ((), ())


def test_where_no_test_can_be_made_the_verdict_says_so() -> None:
    few = Features(FAR.values[:9], {"source": "/data/few"})
    (some,) = compare(REAL, [FAR, NEAR, few], metric="mmd").verdicts
    assert some.text.startswith("near is closer than far")
    assert "No test of few: 9 pictures are too few" in some.text
    (none,) = compare(REAL, [few, few], metric="mmd").verdicts
    assert none.text.startswith("No test of")
    assert none.pairs == ()
    (stored,) = compare(REAL, [FAR.statistics(), NEAR.statistics()], metric="fd").verdicts
    assert "mean and covariance only" in stored.text
    (pooled,) = compare(REAL, [FAR, NEAR], metric="mmd", bandwidth="median-pooled").verdicts
    assert "a different bandwidth" in pooled.text
    assert compare(REAL, few, metric="mmd").verdicts == ()


def test_equal_sets_score_the_same_and_are_not_called_equal() -> None:
    copy = Features(NEAR.values, {"source": "/data/copy"})
    (verdict,) = compare(REAL, [NEAR, copy], metric="mmd").verdicts
    assert verdict.text == "near and copy score exactly the same."
    assert verdict.pairs[0].images_needed is None


def test_differences_are_in_the_units_of_the_recipe() -> None:
    plain, released = (
        compare(REAL, [FAR, NEAR], metric="mmd", bandwidth=10.0, recipe=recipe) for recipe in (None, "google-cmmd")
    )
    there, here = plain.verdicts[0].pairs[0], released.verdicts[0].pairs[0]
    assert here.difference == pytest.approx(1000 * there.difference)
    assert here.p_value == there.p_value
    known = {result.generated: result.corrected for result in released.results}
    assert here.difference == pytest.approx(known["/data/near"] - known["/data/far"])
