"""A changed interface shows in a diff: docs/commands.md holds the help of every command."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_stored_help_is_what_the_commands_print() -> None:
    stored = (ROOT / "docs" / "commands.md").read_text()
    click = ".".join(version("click").split(".")[:2])
    if f"click {click};" not in stored:
        pytest.skip(f"the page is by another click than {click}, which may lay it out in another way")
    script = str(ROOT / "tests" / "helpers" / "help_texts.py")
    printed = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert stored == printed, "run python tests/helpers/help_texts.py > docs/commands.md"
