"""Copies found from features: planted ones, near ones, none by chance; counts as a search over all pairs."""

from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, write_pictures

from cmmd_toolkit import Features, GaussianStatistics, compare, explain, plan, rank
from cmmd_toolkit.estimation import shared_rows
from cmmd_toolkit.estimation.shared_rows import SharedRows
from cmmd_toolkit.features.record import SetSummary
from cmmd_toolkit.sets.warnings import feature_copies


def single(n: int, dim: int, seed: int) -> np.ndarray:
    return gaussian(n, dim, seed=seed).astype(np.float32)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x[:, None].astype(np.float64) - y[None]).sum(axis=2))


def brute(reference: np.ndarray, rows: np.ndarray) -> tuple[int, int]:
    """Both counts over all pairs, by the same rulers."""
    search = SharedRows(reference)
    between, within = distances(rows, reference), distances(rows, rows)
    np.fill_diagonal(within, np.inf)
    equal = (between == 0).any(axis=1)
    shared = equal | (between <= search.radius((~equal).sum())).any(axis=1)
    density = max(1.0, len(rows) / len(search.distinct))
    return int(shared.sum()), int((within <= search.radius(len(rows) * density)).any(axis=1).sum())


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 64, 256])
def test_independent_sets_have_no_copies(dim: int) -> None:
    search = SharedRows(single(2000, dim, 1))
    assert search.shared(single(3000, dim, 2)) == 0
    assert search.repeated(single(3000, dim, 2)) == 0


@pytest.mark.parametrize("dim", [2, 16, 300])
def test_planted_copies_are_counted(dim: int) -> None:
    x, y = single(500, dim, 1), single(400, dim, 2)
    y[:30], y[100:110] = x[:30], y[200:210]
    assert SharedRows(x).shared(y) == 30
    assert SharedRows(x).repeated(y) == 20


@pytest.mark.parametrize("dim", [8, 64, 300])
def test_near_copies_are_counted(dim: int) -> None:
    x, y = single(500, dim, 1), single(400, dim, 2)
    y[:30] = x[:30] + 1e-4 * single(30, dim, 3)
    y[100:110] = y[200:210] + 1e-4 * single(10, dim, 4)
    assert SharedRows(x).shared(y) == 30
    assert SharedRows(x).repeated(y) == 20


@pytest.mark.parametrize("kind", ["clusters", "line", "grid", "copies", "scales"])
def test_counts_equal_a_search_over_all_pairs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    monkeypatch.setattr(shared_rows, "_BLOCK", 4000)
    x, y = single(300, 24, 1), single(250, 24, 2)
    if kind == "clusters":  # dense ones, where the projection settles little
        x, y = (0.003 * rows + 10 * single(4, 24, 3)[random.integers(0, 4, len(rows))] for rows in (x, y))
    elif kind == "line":
        x, y = (np.outer(rows[:, 0], np.ones(24, np.float32)) for rows in (x, y))
    elif kind == "grid":
        x, y = (np.round(rows[:, :3]).astype(np.float32) for rows in (x, y))
    elif kind == "copies":
        y = np.repeat(x[:5], 50, axis=0) + np.float32(1e-5) * y
    else:
        x[:, :4] *= 1e4
        y[:, :4] *= 1e4
        y[:60] = x[:60] * np.float32(1 + 1e-4)
    found = SharedRows(x).shared(y), SharedRows(x).repeated(y)
    assert found == brute(x, y)


def test_sets_of_copies_alone_need_no_ruler() -> None:
    same = np.ones((50, 4), np.float32)
    assert SharedRows(same).shared(same) == 50
    assert SharedRows(same).repeated(same) == 50
    assert SharedRows(same).shared(single(10, 4, 1)) == 0
    assert SharedRows(single(2, 4, 1)).repeated(single(2, 4, 1)) == 0


def test_the_search_stays_small_where_all_rows_are_near_copies() -> None:
    x = single(3000, 64, 1)
    y = x[:1] + 1e-5 * single(20_000, 64, 2)
    assert SharedRows(x).shared(y) == 20_000
    assert SharedRows(x).repeated(y) == 20_000


def test_every_command_names_shared_and_repeated_pictures() -> None:
    x, y, z = (Features(single(120, 6, k), {"source": name}) for k, name in ((1, "real"), (2, "good"), (3, "bad")))
    rows = z.values.copy()
    rows[:7], rows[20:24] = x.values[:7] * np.float32(1 + 1e-6), rows[30:34]
    bad = Features(rows, z.provenance)
    for warnings in (
        compare(x, [y, bad], metric="mmd").warnings,
        rank(x, [y, bad]).warnings,
        explain(x, bad).warnings,
        plan(x, [y, bad]).warnings,
    ):
        copies = [text for text in warnings if text.split(":")[0] in ("equal features", "repeated features")]
        assert len(copies) == 2
        assert "7 of 120 pictures of bad have (nearly) the features of a picture of real" in copies[0]
        assert "8 of 120 pictures of bad are (near) copies of another picture in it" in copies[1]
    assert "warning: repeated features" in str(plan(x, [y, bad]))


def test_what_the_pixels_say_is_not_said_again(tmp_path: Path) -> None:
    real, fake = write_pictures(tmp_path / "real", 12), write_pictures(tmp_path / "fake", 11, first_seed=50)
    (fake / "000.png").write_bytes((real / "003.png").read_bytes())
    said = [text for text in compare(real, fake, backbone="mini", metric="fd").warnings if "remove them" in text]
    assert len(said) == 1
    assert said[0].startswith("exact duplicates: 1 of 11 pictures")


def test_only_one_count_of_pixels_is_left_out() -> None:
    x = single(40, 6, 1)
    summaries = [SetSummary(name, list(digests), digests=[d.encode() for d in digests]) for name, digests in
                 (("real", "abcdefgh"), ("fake", "axyzuvwt"))]  # fmt: skip
    sets = [("real", Features(x), summaries[0]), ("fake", Features(x[:8]), summaries[1])]
    assert "8 of 8 pictures of fake have" in feature_copies(sets)[0]


def test_a_reference_of_mean_and_covariance_leaves_the_copies_within() -> None:
    y = single(60, 3, 1)
    y[0] = y[1]
    sets = [("real", GaussianStatistics(np.zeros(3), np.eye(3)), None), ("fake", Features(y), None)]
    (warning,) = feature_copies(sets)
    assert "2 of 60 pictures of fake are (near) copies" in warning
