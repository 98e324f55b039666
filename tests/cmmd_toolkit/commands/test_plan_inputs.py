"""`plan`, `rank` and `explain` take what `compare` takes, under the names it takes, or say why not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import gaussian, write_pictures

from cmmd_toolkit import ArgumentError, CmmdError, Features, InputError, compare, embed, explain, plan, rank
from cmmd_toolkit.inference.sample_size import Pilot, images_needed, reference_needed

X, Y, Z = (gaussian(60, 5, seed=seed, shift=0.3 * seed) for seed in range(3))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in "xyz"]
    for path, rows in zip(paths, (X, Y, Z), strict=True):
        Features(rows).save(path)
    return paths


def test_a_plan_is_the_same_whatever_holds_the_features(files: list[Path]) -> None:
    expected = plan(X, [Features(Y)]).needs[0].sizes
    one: list[Any] = [Y, torch.from_numpy(Y), Features(Y), {"y": Y}, [Y], (Y,), files[1], str(files[1])]
    for generated in one:
        reference = files[0] if isinstance(generated, (str, Path)) else X
        assert plan(reference, generated).needs[0].sizes == expected, type(generated)
    both = plan(X, [Y, Z]).needs[0].sizes
    assert plan(X, {"y": Y, "z": Z}).needs[0].sizes == both
    assert plan(str(files[0]), [str(path) for path in files[1:]]).needs[0].sizes == both


def test_a_plan_starts_from_a_report_or_its_file(tmp_path: Path) -> None:
    report = compare(X, Y)
    report.save(tmp_path / "r.json")
    assert plan(report) == plan(str(tmp_path / "r.json"))
    for pilot in (X, Features(X), {"x": X}, None):
        with pytest.raises(ArgumentError, match="pilot: expected a report of compare where no generated set is given"):
            plan(pilot)


def test_statistics_are_refused_with_the_reason() -> None:
    statistics = Features(Y).statistics()
    for call in (
        lambda: plan(X, statistics),
        lambda: plan(statistics, Y),
        lambda: rank(X, [statistics, Z]),
        lambda: explain(X, statistics),
    ):
        with pytest.raises(InputError, match="mean and covariance"):
            call()


def test_features_are_not_embedded_again(files: list[Path]) -> None:
    for given, words in (
        (files[0], "holds features or statistics"),
        (Features(X), "got Features"),
        (X, "for features"),
    ):
        with pytest.raises(CmmdError, match=words):
            embed(given, backbone="mini")


@pytest.mark.parametrize(("published", "metric"), [("fid", "fd"), ("cmmd", "mmd")])
def test_published_names_are_the_same_metrics_on_their_networks(
    published: str, metric: str, real: Path, fake: Path
) -> None:
    assert rank(X, [Y, Z], metric=published).orders == rank(X, [Y, Z], metric=metric).orders
    assert plan(X, Y, metric=published) == plan(X, Y, metric=metric)
    assert plan(compare(X, Y), metric=published) == plan(compare(X, Y), metric=metric)
    for call in (
        lambda: rank(real, [fake, real], metric=published, backbone="mini"),
        lambda: plan(real, fake, metric=published, backbone="mini"),
    ):
        with pytest.raises(ArgumentError, match=f"{published!r} is not defined on mini; use `metric='{metric}'`"):
            call()


@pytest.mark.parametrize("metric", ["kid", "p-value", "FID", "", 3, ["fd"]])
def test_other_metrics_are_refused_by_what_is_taken(metric: Any) -> None:
    for call in (lambda: rank(X, [Y, Z], metric=metric), lambda: plan(X, Y, metric=metric)):
        with pytest.raises(ArgumentError, match=r"expected mmd or fd \(on their networks also fid, cmmd\)"):
            call()


def test_no_difference_and_no_level_ends_in_an_overflow() -> None:
    for difference in (1e-300, 1e300, float("nan"), "x"):
        with pytest.raises(ArgumentError, match="difference"):
            plan(X, Y, differences=difference)
    assert plan(X, Y, differences="10%", alpha=1e-300).needs[0].sizes
    assert rank(X, [Y, Z], alpha=1e-300).orders
    for parts in np.ndindex(3, 3, 3, 3):
        pilot = Pilot(*(float([0, 1e-80, 1e80][part]) for part in parts), n_reference=10)
        for difference in (1e-40, 1.0, 1e40):
            images_needed(pilot, difference)
            assert reference_needed(pilot, difference) >= 1


@pytest.mark.parametrize("difference", [1e-40, 1e-29, 1e-11])
def test_a_tiny_difference_is_printed_and_drawn(difference: float, tmp_path: Path) -> None:
    found = plan(X, Y, differences=[difference, 1e-9])
    row = str(found).splitlines()[2]
    assert float(row.split()[0]) == difference
    assert "over 1,000,000,000" in row
    assert not re.search(r"\d,000,000,000,\d", str(found) + found.to_markdown())
    assert found.plot().axes
    found.save_html(tmp_path / "plan.html")
    assert found.rows()[0]["pictures_different_ways"] == found.needs[0].sizes[0].unlike  # every digit


def test_there_is_no_share_of_a_distance_that_is_not_above_zero(tmp_path: Path) -> None:
    report = compare(X, X, metric="mmd")
    assert report.results[0].value < 0
    for found in (plan(X, X), plan(X, X, differences=["10%", "5%"]), plan(report)):
        (need,) = found.needs
        assert need.sizes == ()
        assert "share" in need.remark
        assert "give `differences` as a number" in need.remark
        assert "none to plan for" in str(found)
        found.save_html(tmp_path / "plan.html")
        assert found.to_latex()
        assert found.to_csv().count("\n") == 1
        with pytest.raises(ArgumentError, match="no difference to plan for; give one as a number"):
            found.plot()
    assert [size.difference for size in plan(X, X, differences=["10%", 0.01]).needs[0].sizes] == [0.01]


@pytest.mark.parametrize(
    "change",
    [
        {"value": "nan", "corrected": None},
        {"corrected": [1]},
        {"value": None, "corrected": None},
        {"standard_error": 1e999},
        {"standard_error": -1},
        {"n_reference": 0},
        {"n_generated": 10**400},
        {"interval": [1]},
        {"interval": "ab"},
        {"metric": ["fd"]},
        {"metric": "other"},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_report_with_numbers_that_are_none_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    document = json.loads(compare(X, Y, metric="fd").to_json())
    document["results"][0] |= change
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"r\.json: no readable report"):
        plan(tmp_path / "r.json")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"results": {}}', '{"results": [3]}', "[" * 100_000, "\xff", '{"results": 1}']
)
def test_a_file_that_is_no_report_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"r\.json: no readable report"):
        plan(tmp_path / "r.json")


def test_what_is_meant_otherwise_is_said(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "real", 3)
    with pytest.raises(InputError, match=r"real: is a set, not a report; give a generated set, too"):
        plan(folder, backbone="mini")
    with pytest.raises(ArgumentError, match="a squared MMD is at most 2, got 10; for a share write 10%"):
        plan(folder, folder, backbone="mini", differences=10)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(InputError, match=r"report\.json: is not a set of pictures; a report goes to `cmmd plan` alone"):
        plan(tmp_path / "report.json", folder, backbone="mini")
