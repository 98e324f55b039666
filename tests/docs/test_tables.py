"""Tables of the documentation are what the committed results give."""

import json
import subprocess
import sys

import pytest
from documents import ROOT


@pytest.mark.parametrize(
    ("page", "count", "command"),
    [
        ("which-test", 5, ["benchmarks/power.py", "table", "docs/power.json"]),
        ("attention", 2, ["benchmarks/attention_table.py", "docs/attention_levels.json"]),  # the machine, and the table
        ("calibration", 14, ["benchmarks/calibration.py", "--table", "docs/calibration.json"]),
        ("calibration", 6, ["benchmarks/joint_ranking.py", "--table", "docs/joint_ranking.json"]),
        ("calibration", 1, ["benchmarks/modes.py", "--table", "docs/modes.json"]),
        ("watching", 3, ["benchmarks/watching.py", "--table", "docs/watching.json"]),
    ],
)
def test_every_table_of_the_results_is_on_the_page(page: str, count: int, command: list[str]) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    printed = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    tables = [table for table in printed.split("\n\n") if table.strip()]
    assert len(tables) == count
    assert [table for table in tables if table.strip() not in text] == []


def test_nulls_hold_their_level() -> None:
    """A share of that many draws may lie three of its standard errors above 5 %."""
    lines = json.loads((ROOT / "docs" / "power.json").read_text(encoding="utf-8"))
    levels = [line for line in lines if line["kind"] == "level"]
    assert len(levels) >= 4
    assert [line for line in levels if line["at 5%"] > 0.05 + 3 * (0.05 * 0.95 / line["draws"]) ** 0.5] == []


@pytest.mark.parametrize(
    ("results", "columns"),
    [
        ("study_runs", [("mini", "full"), ("mini", "swa")]),
        ("study_runs_landscapes", [(name, kind) for name in ("mini", "inception") for kind in ("full", "swa")]),
    ],
)
def test_the_runs_of_the_study_are_on_the_page(results: str, columns: list[tuple[str, str]]) -> None:
    scores = json.loads((ROOT / "docs" / f"{results}.json").read_text(encoding="utf-8"))["scores"]
    found = {(score["backbone"], score["method"], score["run"]): score["mmd"] for score in scores}
    assert len(found) == 5 * len(columns)
    rows = [f"| {run} | {' | '.join(f'{found[(*column, run)]:.4f}' for column in columns)} |" for run in range(1, 6)]
    assert "\n".join(rows) in (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
