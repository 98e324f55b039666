"""Realism and C_T against slow references, and what they are for: outliers, copies, models that stay away."""

import numpy as np
import pytest
from pictures import gaussian
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans

from cmmd_toolkit import ArgumentError, copying_score, realism


def slow_realism(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Equation 3, pair by pair."""
    own = np.linalg.norm(x[:, None] - x[None], axis=2)
    radii = np.sort(own, axis=1)[:, k]
    kept = radii <= np.median(radii)
    distances = np.linalg.norm(y[:, None] - x[None, kept], axis=2)
    return np.asarray((radii[kept] / distances).max(axis=1))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_realism_is_equation_3(k: int, shift: float) -> None:
    x, y = gaussian(41, 5, seed=0) + shift, gaussian(30, 5, seed=1, scale=1.5) + shift
    found = realism(reference=x, generated=y, k=k)
    np.testing.assert_allclose(found.scores, slow_realism(x, y, k), rtol=1e-9)
    radii = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, k]
    ratios = radii[found.reference_rows] / np.linalg.norm(y - x[found.reference_rows], axis=1)
    np.testing.assert_allclose(found.scores, ratios, rtol=1e-9)


def test_realism_of_copies_near_copies_and_outliers() -> None:
    x = gaussian(60, 4, seed=0)
    radii = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 3]
    kept = int(np.argmin(radii))
    y = np.stack([x[kept], x[kept] + 1e-9, np.full(4, 100.0)])
    scores = realism(reference=x, generated=y).scores
    assert scores[0] == np.inf
    assert 1e6 < scores[1] < np.inf
    assert scores[2] < 0.1
    assert realism(reference=x, generated=x).scores.min() > 0


def test_blocks_do_not_change_realism(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(41, 5, seed=0), gaussian(30, 5, seed=1)
    whole = realism(reference=x, generated=y)
    monkeypatch.setattr("cmmd_toolkit.metrics.realism._BLOCK", 50)
    parts = realism(reference=x, generated=y)
    assert np.array_equal(whole.scores, parts.scores)
    assert np.array_equal(whole.reference_rows, parts.reference_rows)


def test_what_has_no_realism_is_refused() -> None:
    x = gaussian(8, 3, seed=0)
    with pytest.raises(ArgumentError, match="expected more than k = 8 rows, got 8"):
        realism(reference=x, generated=x, k=8)
    with pytest.raises(ArgumentError, match="k: expected a whole number of at least 1"):
        realism(reference=x, generated=x, k=0)
    with pytest.raises(ArgumentError, match="exact copies, so their balls hold nothing"):
        realism(reference=np.repeat(x, 4, axis=0), generated=x)
    with pytest.raises(ArgumentError, match="features of different width"):
        realism(reference=x, generated=x[:, :2])


def slow_ct(x: np.ndarray, p: np.ndarray, q: np.ndarray, cells: int, least: int) -> float:
    """The published sum, by scipy's U."""
    means = KMeans(cells, n_init=1, random_state=0).fit(x)
    top = bottom = 0.0
    for cell in range(cells):
        own, test, generated = (rows[means.predict(rows) == cell] for rows in (x, p, q))
        n, m = len(test), len(generated)
        if not n or m < least:
            continue
        near = [np.linalg.norm(rows[:, None] - own[None], axis=2).min(axis=1) for rows in (generated, test)]
        u = mannwhitneyu(*near, alternative="less").statistic
        top += n * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
        bottom += n
    return float(top / bottom)


@pytest.mark.parametrize(("cells", "least"), [(1, 1), (3, 5)])
def test_ct_is_the_published_sum(cells: int, least: int) -> None:
    x, p, q = (gaussian(count, 4, seed=seed) for seed, count in enumerate((90, 60, 50)))
    found = copying_score(training=x, test=p, generated=q, cells=cells, least=least)
    assert float(found) == pytest.approx(slow_ct(x, p, q, cells, least), rel=1e-9)
    assert abs(float(found)) < 4 * found.parameters["null_deviation"]
    assert (found.n_reference, found.n_generated) == (60, 50)


def test_ct_tells_copies_from_fair_samples_and_from_a_model_that_stays_away() -> None:
    x, p, fair = (gaussian(count, 4, seed=seed) for seed, count in enumerate((200, 100, 100)))
    copies = x[:100] + 0.01 * gaussian(100, 4, seed=7)
    values = {
        name: copying_score(training=x, test=p, generated=q, cells=3, least=5)
        for name, q in (("copies", copies), ("fair", fair), ("away", 3 * fair))
    }
    assert float(values["copies"]) < -3 < float(values["fair"]) < 3 < float(values["away"])
    assert values["copies"].parameters["p_value"] < 1e-3 < values["fair"].parameters["p_value"]


def test_ct_counts_ties_as_half_and_is_zero_on_itself() -> None:
    x, p = np.repeat(np.eye(3), 5, axis=0), np.repeat(np.eye(3), 4, axis=0)
    assert float(copying_score(training=x, test=p, generated=p, cells=3, least=1)) == pytest.approx(0, abs=1e-12)


def test_what_has_no_ct_is_refused() -> None:
    x = gaussian(30, 3, seed=0)
    with pytest.raises(ArgumentError, match="no cell holds 20 generated rows"):
        copying_score(training=x, test=x, generated=x[:5])
    with pytest.raises(ArgumentError, match="cells: expected at most 30"):
        copying_score(training=x, test=x, generated=x, cells=31)
    with pytest.raises(ArgumentError, match="training has 3, test has 2"):
        copying_score(training=x, test=x[:, :2], generated=x)
    with pytest.raises(ArgumentError, match="training has 3, generated has 2"):
        copying_score(training=x, test=x, generated=x[:, :2])
