"""docs/which-test.md: its tables are what the committed results give."""

import json
import subprocess
import sys

from documents import ROOT


def test_every_table_of_the_results_is_on_the_page() -> None:
    page = (ROOT / "docs" / "which-test.md").read_text(encoding="utf-8")
    command = [sys.executable, "benchmarks/power.py", "table", "docs/power.json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    tables = [table for table in printed.split("\n\n") if table.strip()]
    assert len(tables) == 5
    assert [table for table in tables if table.strip() not in page] == []


def test_nulls_hold_their_level() -> None:
    """A share of that many draws may lie three of its standard errors above 5 %."""
    lines = json.loads((ROOT / "docs" / "power.json").read_text(encoding="utf-8"))
    levels = [line for line in lines if line["kind"] == "level"]
    assert len(levels) >= 4
    assert [line for line in levels if line["at 5%"] > 0.05 + 3 * (0.05 * 0.95 / line["draws"]) ** 0.5] == []
