"""The pages of the documentation, and the fenced blocks in them.

A block is run by the tests unless the line above it says why not, in a comment that every reader of the source sees:

    <!-- not run: network -->          one of REASONS; its options are checked all the same
    <!-- run with -m slow: 20 s -->    run with the slow tests
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

REASONS = {
    "install": "changes the reader's environment; .ci/run installs in a fresh one",
    "network": "fetches from the internet",
    "gpu": "needs a GPU",
    "processes": "starts several processes or machines; test_processes.py does",
    "hours": "takes hours, or data that are no part of the repository",
}
RUN_LANGUAGES = ("bash", "python")
SHOWN_LANGUAGES = ("text", "math", "json", "yaml", "toml", "latex")  # what is printed, files, formulas

_FENCE = re.compile(r"^( *)(```+)\s*(\S*)")
_MARK = re.compile(r"<!-- (not run|run with -m slow): (.*?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, line, and what the comment above it says."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None
    slow: bool

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that is written by hand, as a path from the root."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found if path.name != "commands.md")


def blocks_of(page: str) -> list[Block]:
    return list(_blocks(page, (ROOT / page).read_text(encoding="utf-8").splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        if not opened:
            number += 1
            continue
        end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == opened[2])
        mark = _MARK.fullmatch(_line_above(lines, number))
        said, reason = mark.groups() if mark else ("", None)
        text = "\n".join(line.removeprefix(opened[1]) for line in lines[number + 1 : end])
        not_run = reason if said == "not run" else None
        yield Block(page, number + 1, opened[3], text, not_run, said.startswith("run with"))
        number = end + 1


def _line_above(lines: list[str], number: int) -> str:
    """The last line above that is not blank."""
    return next((lines[i].strip() for i in range(number - 1, -1, -1) if lines[i].strip()), "")
