"""Squared MMD by random Fourier features: unbiased, with an error that is stated; never chosen unasked."""

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, CostWarning, Features, compare, explain, rank, squared_mmd
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.common.cost import duration_text
from cmmd_toolkit.features import unit_rows
from cmmd_toolkit.metrics import mmd, mmd_cost

SEEDS = 200
X, NEAR, FAR, WIDE = (
    gaussian(120, 6, seed=1),
    gaussian(90, 6, seed=2),
    gaussian(90, 6, seed=3) + 0.8,
    3 * gaussian(90, 6, seed=4),
)
PAIRS = [("near", NEAR), ("far", FAR), ("wide", WIDE)]
UNLIKE = pytest.mark.parametrize("generated", [rows for _, rows in PAIRS], ids=[name for name, _ in PAIRS])


def estimates(generated: np.ndarray, frequencies: int, seeds: int = SEEDS, **options: Any) -> list[Any]:
    options = {"bandwidth": 3.0, "method": "random-features", "num_frequencies": frequencies, **options}
    return [squared_mmd(reference=X, generated=generated, seed=seed, **options) for seed in range(seeds)]


@UNLIKE
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_it_is_unbiased_over_the_frequencies_and_knows_its_error(generated: np.ndarray, estimator: str) -> None:
    exact = float(squared_mmd(reference=X, generated=generated, bandwidth=3.0, estimator=estimator))
    found = estimates(generated, 300, estimator=estimator)
    z = np.array([(own.value - exact) / own.parameters["frequency_error"] for own in found])
    assert abs(np.mean([own.value for own in found]) - exact) < 4 * np.std([own.value for own in found]) / SEEDS**0.5
    assert 0.85 < z.std() < 1.2
    assert np.mean(np.abs(z) < 1.96) > 0.9  # 95 %, less 3 standard errors of 200 draws
    bound = found[0].parameters["frequency_bound"]
    assert bound == pytest.approx(np.sqrt(8 * np.log(40) / 300))
    assert max(abs(own.value - exact) for own in found) < bound


@UNLIKE
@pytest.mark.slow
def test_the_error_falls_as_the_root_of_the_frequencies(generated: np.ndarray) -> None:
    exact = float(squared_mmd(reference=X, generated=generated, bandwidth=3.0))

    def spread(count: int) -> float:
        return float(np.sqrt(np.mean([(float(own) - exact) ** 2 for own in estimates(generated, count, 500)])))

    assert spread(150) / spread(1350) == pytest.approx(3, rel=0.2)  # 4.5 % a standard error


@pytest.mark.parametrize("shift", [0.0, 0.15, 1.0])
def test_the_interval_holds_the_distance_between_the_populations(shift: float) -> None:
    """In closed form for Gaussians; few frequencies, so that their error counts."""
    dim, bandwidth, covered = 5, 2.0, 0
    scale = bandwidth**2 + 2
    truth = 2 * (bandwidth**2 / scale) ** (dim / 2) * (1 - np.exp(-dim * shift**2 / (2 * scale)))
    for seed in range(SEEDS):
        x, y = gaussian(150, dim, seed=2 * seed), gaussian(120, dim, seed=2 * seed + 1) + shift
        options = {"bandwidth": bandwidth, "method": "random-features", "num_frequencies": 200, "seed": seed}
        low, high = squared_mmd(reference=x, generated=y, **options).interval or (1.0, -1.0)
        covered += low <= truth <= high
    assert covered / SEEDS > 0.91


def test_with_many_frequencies_standard_error_and_interval_are_the_exact_ones() -> None:
    for _, rows in PAIRS:
        exact = squared_mmd(reference=X, generated=rows, bandwidth=3.0)
        (found,) = estimates(rows, 60_000, 1)
        assert found.standard_error == pytest.approx(exact.standard_error, rel=0.05)
        assert found.interval == pytest.approx(exact.interval, rel=0.1, abs=0.1 * exact.standard_error)


def test_blocks_order_shift_and_precision_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(3000, 7, seed=1), gaussian(1100, 7, seed=2) + 0.1
    options: dict[str, Any] = {"bandwidth": 3.0, "method": "random-features", "num_frequencies": 200}
    first = squared_mmd(reference=x, generated=y, **options)
    again = squared_mmd(reference=x[::-1], generated=y[::-1], **options)
    moved = squared_mmd(reference=x + 1000, generated=y + 1000, **options)
    single = squared_mmd(reference=x.astype(np.float32), generated=y.astype(np.float32), **options)
    assert first.parameters["precision"] == "float32 products, float64 sums"
    for other in (again, moved, single):
        assert other.value == pytest.approx(first.value, rel=1e-3, abs=1e-6)
    monkeypatch.setattr(mmd, "_SINGLE_EXPONENT", 0.0)
    double = squared_mmd(reference=x, generated=y, **options)
    assert double.parameters["precision"] == "float64"
    assert double.value == pytest.approx(first.value, abs=1e-6)


def test_it_takes_one_more_set_for_little_and_scores_it_alike() -> None:
    report = compare(X, {"a": FAR, "b": NEAR}, metric="mmd", mmd_method="random-features", mmd_frequencies=500)
    largest = max(own.parameters["frequency_error"] for own in report.results)
    (said,) = (warning for warning in report.warnings if "random frequencies" in warning)
    assert said.startswith("mmd on features: estimated with 500 random frequencies")
    assert f"a standard error of up to {largest:.2g}" in said
    for name, rows in (("a", FAR), ("b", NEAR)):
        alone = compare(X, rows, metric="mmd", mmd_method="random-features", mmd_frequencies=500)
        assert report.value("mmd", generated=name) == alone.value("mmd")
    assert report.results[0].parameters["num_frequencies"] == 500
    assert "the test of a difference needs the kernel of all pairs" in report.verdicts[0].text
    (alone,) = compare(X, FAR, metric="mmd", mmd_method="random-features").verdicts
    assert "differs from" in alone.text


def test_copies_widen_the_interval_as_in_the_exact_method() -> None:
    y = np.concatenate([FAR, FAR[:40]])
    options: dict[str, Any] = {"bandwidth": 3.0, "method": "random-features", "num_frequencies": 20_000}
    exact, found = (
        squared_mmd(reference=X, generated=y, bandwidth=3.0),
        squared_mmd(reference=X, generated=y, **options),
    )
    assert set(exact.caveats) < set(found.caveats)
    assert found.interval == pytest.approx(exact.interval, abs=0.2 * exact.standard_error)
    same = squared_mmd(reference=X, generated=np.repeat(FAR[:1], 30, axis=0), **options)
    assert same.no_error_reason == "all pictures of a set are copies of one"


@pytest.mark.parametrize("rows", [2, 3, 19])
def test_few_rows_have_a_value_and_no_error(rows: int) -> None:
    found = squared_mmd(reference=X[:rows], generated=NEAR[:rows], bandwidth=3.0, method="random-features")
    assert found.standard_error is None
    assert found.no_error_reason == f"{rows} pictures are too few for a standard error, which needs 20"


def test_memory_does_not_grow_with_the_pairs() -> None:
    def peak(count: int) -> int:
        x, y = (np.random.default_rng(seed).random((count, 8), np.float32) for seed in range(2))
        gc.collect()
        tracemalloc.start()
        squared_mmd(reference=x, generated=y, bandwidth=1.0, method="random-features", num_frequencies=256)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2000)
    assert peak(80_000) - peak(40_000) < 40_000 * 500  # bytes for a row of both: digests of copies


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nystroem"}, "method: expected exact or random-features, got 'nystroem'"),
        ({"method": None}, "method: expected exact or random-features"),
        (
            {"num_frequencies": 500},
            "num_frequencies: the exact method has none; leave it out, or use `method=",
        ),
        ({"method": "random-features", "num_frequencies": 99}, "num_frequencies: expected a whole number of at least"),
        ({"method": "random-features", "num_frequencies": 10**6}, "expected a whole number of at most 100000"),
        ({"method": "random-features", "bandwidth": -1.0}, "bandwidth: expected a finite number > 0"),
    ],
)
def test_odd_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        squared_mmd(reference=X, generated=NEAR, **options)


def test_what_needs_every_pair_is_refused(real: Path) -> None:
    for options, message in (
        ({"recipe": "google-cmmd", "backbone": "clip"}, "recipe google-cmmd is defined over all pairs"),
        ({"metric": "fd"}, "mmd_method: expected mmd among the metrics, got fd"),
        ({"mmd_method": "fast"}, "mmd_method: expected exact or random-features, got 'fast'"),
    ):
        with pytest.raises(ArgumentError, match=message):
            compare(X, NEAR, **{"mmd_method": "random-features", **options})
    with pytest.raises(ArgumentError, match=r"mmd_frequencies: the exact method has none"):
        compare(X, NEAR, mmd_frequencies=500)


def test_large_sets_that_are_normalised_block_by_block_have_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare(X, FAR, metric="mmd", mmd_method="random-features")
    monkeypatch.setattr(unit_rows, "IN_MEMORY", 100)
    assert compare(X, FAR, metric="mmd", mmd_method="random-features").value("mmd") == whole.value("mmd")


# ---- what the exact method takes ------------------------------------------------------------------


def test_a_long_exact_computation_is_said_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mmd_cost.multiplications(10, 20, 3) == (50 + 200 + 200) * 3
    monkeypatch.setattr(mmd_cost, "LARGE", 1000)
    text = r"squared MMD of 120 and 90 pictures in 6 dimensions takes 1\.3e\+05 multiplications, about 1 second here; "
    for work, advice in (
        (lambda: squared_mmd(reference=X, generated=NEAR), "`method='random-features'`"),
        (lambda: compare(X, NEAR, metric="mmd"), "`mmd_method='random-features'`"),
        (lambda: rank(X, {"a": NEAR, "b": FAR}), "`max_images` takes a random subset"),
        (lambda: explain(X, NEAR, top=1), "`max_images` takes a random subset"),
    ):
        with pytest.warns(CostWarning, match=text + advice):
            work()
    compare(X, NEAR, metric="mmd", mmd_method="random-features")  # warns of nothing


def test_the_forecast_of_a_block_is_about_what_it_takes() -> None:
    seconds = mmd_cost.seconds_of_block(64)
    assert 1e-4 < seconds < 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "1 second"), (42, "42 seconds"), (119, "2 minutes"), (7000, "2 hours"), (1e6, "12 days")],
)
def test_durations_are_told_in_a_unit_that_fits(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_command_line_warns_once_and_takes_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "xy"]
    for path, rows in zip(paths, (X, FAR), strict=True):
        Features(rows).save(path)
    monkeypatch.setattr(mmd_cost, "LARGE", 1000)
    for options, lines in (((), 1), (("--mmd-method", "random-features", "--mmd-frequencies", "300"), 0)):
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, paths), "--metric", "mmd", *options])
        out, err = capsys.readouterr()
        assert not stopped.value.code
        assert err.count("\n") == lines
        assert ("--mmd-method random-features estimates it" in err) == bool(lines)
        assert "squared MMD" in out
