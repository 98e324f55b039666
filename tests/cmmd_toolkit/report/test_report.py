"""The report on a terminal and in JSON."""

import io
import json
from pathlib import Path

import pytest
from pictures import gaussian
from rich.console import Console

from cmmd_toolkit import ArgumentError, Features, Report, compare
from cmmd_toolkit.report.terminal import print_report


@pytest.fixture
def report() -> Report:
    sides = [Features(gaussian(30, 4, seed=seed), {"source": f"/data/{name}"}) for seed, name in enumerate("ab")]
    return compare(sides[0], sides[1])


def test_the_plain_table_is_stable(report: Report) -> None:
    text = str(report)
    assert text == str(report)
    assert text.splitlines()[0] == "Reference: /data/a"
    assert "fd = Frechet distance; mmd = squared MMD; lower is closer to the reference." in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_terminal_gets_a_rich_table_with_the_same_numbers(report: Report) -> None:
    stream = io.StringIO()
    print_report(report, Console(file=stream, force_terminal=True, width=120, highlight=False))
    shown = stream.getvalue()
    assert "\x1b[" in shown
    for result in report.results:
        assert all(text in shown for text in result.estimate_texts)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_narrow_terminal_breaks_no_number(width: int) -> None:
    """What is the same in every row is said once above a table that would not fit, and names fold."""
    sides = [
        Features(0.01 * gaussian(40, 4, seed=seed), {"source": f"/data/a-rather-long-name-{seed}"}) for seed in range(3)
    ]
    report = compare(sides[0], sides[1:], metric=["fd", "mmd", "kd", "sw", "copies", "fd-infinity", "p-value"])
    stream = io.StringIO()
    print_report(report, Console(file=stream, force_terminal=True, width=width, highlight=False, color_system=None))
    shown = stream.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for result in report.results:
        if result.metric != "p-value":
            cells = (result.metric, *result.estimate_texts)
            assert any(all(cell in line for cell in cells) for line in shown.splitlines())
    assert ("Backbone: features" in shown) == (width < 120)


def test_saved_json_comes_back(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text())
    assert document == json.loads(report.to_json())
    assert [result["value"] for result in document["results"]] == [result.value for result in report.results]


def test_asking_for_what_is_not_there_is_an_error(report: Report) -> None:
    assert report.value("fd") == report.results[0].value
    assert report.value("fd", generated="/data/b/") == report.results[0].value
    with pytest.raises(ArgumentError, match="no result for kid of any set; choose from fd on features of b, mmd"):
        report.value("kid")


def test_classes_are_a_table_of_their_own_on_a_terminal_too() -> None:
    names = tuple(f"{label}/{i}" for label in ("cat", "dog") for i in range(9))
    sides = [Features(gaussian(18, 4, seed=seed), {"source": f"/data/{seed}"}, names) for seed in (1, 2)]
    report = compare(*sides, metric=["fd", "authpct"], per_class=True)
    stream = io.StringIO()
    print_report(report, Console(file=stream, force_terminal=True, width=140, highlight=False, color_system=None))
    whole, classes = stream.getvalue().split("Class by class")
    assert "lower is closer to the reference." in whole
    for label, results in report.results_per_class.items():
        for result in results:
            assert any(label in line and result.estimate_texts[0] in line for line in classes.splitlines())


def test_a_share_of_all_or_none_has_an_interval() -> None:
    side = Features(gaussian(30, 4))
    report = compare(side, side, metric="copies")
    assert report.results[0].standard_error == 0
    assert report.results[0].interval is not None
    assert report.results[0].estimate_texts == (
        "1.000",
        "1.000",
        "0.000",
        f"{report.results[0].interval[0]:.3f} to 1.000",
    )
    assert f"{report.results[0].interval[0]:.3f} to 1.000" in str(report)
