"""docs/many-machines.md: its tables are what the committed rates give, and the budget obeys the formulas it states."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT

PAGE = (ROOT / "docs" / "many-machines.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^`(python benchmarks/many\.py .*)`:$", PAGE, re.MULTILINE)


def budget(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "benchmarks/many.py", *words], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def seconds(text: str, name: str) -> float:
    found = re.search(rf"^\| {name} \| ([\d.,]+) \|", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1].replace(",", ""))


def test_the_tables_of_the_page_are_what_the_rates_give() -> None:
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        assert budget(*shlex.split(command)[2:]).strip() in PAGE


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Round numbers: a second each for 10^6 pictures decoded, seen, listed, kept, sent."""
    path = tmp_path_factory.mktemp("rates") / "rates.json"
    names = ("decode", "prepare own", "network own", "list", "store keep", "record")
    found = {**dict.fromkeys(names, 1e6), "broadcast": 4e8, "kernel": 1e12, "waves": 1e12, "covariance": 1e10}
    machine = {"device": "cuda"}
    about = {"machine": machine, "dim": 100, "picture_bytes": 1e5, "rates": {**found, "frechet seconds": 0.5}}
    path.write_text(json.dumps(about))
    return path


def test_the_terms_are_their_formulas(rates: Path) -> None:
    text = budget("--rates", str(rates), "--pictures", "8e6", "--gpus", "4", "--cores", "2", "--storage", "1e10")
    assert seconds(text, "read") == 80
    assert seconds(text, "decode, prepare") == 2
    assert seconds(text, "networks") == 2
    assert seconds(text, "list the names") == 8
    assert seconds(text, "features to all") == 16
    assert seconds(text, "MMD, exact") == 2 * 4e6**2 * 100 / 4e12
    assert seconds(text, "with the exact MMD") == pytest.approx(80 + 8 + 8 + 16 + 8 + (2 + 1) + 800, abs=0.5)


def test_only_the_exact_mmd_grows_with_the_square(rates: Path) -> None:
    one, two = (budget("--rates", str(rates), "--pictures", size, "--gpus", "1") for size in ("1e8", "2e8"))
    for name in ("decode, prepare", "networks", "list the names", "records to all", "MMD, random features"):
        assert seconds(two, name) == pytest.approx(2 * seconds(one, name), rel=0.02)
    assert seconds(two, "MMD, exact") == pytest.approx(4 * seconds(one, "MMD, exact"), rel=0.02)


def test_the_exact_mmd_takes_as_long_as_embedding_where_it_is_said_to(rates: Path) -> None:
    words = ("--rates", str(rates), "--storage", "1e10", "--cores", "1", "--gpus-per-machine", "1")
    found = re.search(r"for any number of processes: ([\d,]+) pictures", budget(*words, "--gpus", "7"))
    assert found is not None
    size = 2 * float(found[1].replace(",", ""))
    text = budget(*words, "--gpus", "3", "--pictures", str(size))
    longest = max(seconds(text, name) for name in ("read", "decode, prepare", "networks"))
    assert seconds(text, "MMD, exact") == pytest.approx(longest, rel=0.01)


def test_what_is_not_known_is_not_measured_nor_in_a_total(rates: Path) -> None:
    text = budget("--rates", str(rates), "--backbone", "other", "--storage", "1e9")
    assert "| networks | not measured |" in text
    assert "| with random features | not measured | not measured |" in text
    assert seconds(budget("--rates", str(rates), "--backbone", "other", "--rate", "network other=5"), "networks") > 0
    on_cpu = budget("--rates", str(rates), "--device", "cpu")
    assert "| MMD, exact | not measured |" in on_cpu
