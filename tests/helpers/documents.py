"""The pages of the documentation, and the fenced blocks in them.

Every block is run by the tests; one that takes long, or starts what reaches beyond this process, by the slow ones,
as the comment above it says:

    <!-- run with -m slow: 20 s -->

There its numbers are smaller ones (tests/helpers/smaller.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

RUN_LANGUAGES = ("bash", "python")
SHOWN_LANGUAGES = ("text", "math", "json", "yaml", "toml", "latex")  # what is printed, files, formulas

_FENCE = re.compile(r"^( *)(```+)\s*(\S*)")
_MARK = re.compile(r"<!-- run with -m slow: .+ -->")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and line, and whether the slow tests run it."""

    page: str
    line: int
    language: str
    text: str
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
        text = "\n".join(line.removeprefix(opened[1]) for line in lines[number + 1 : end])
        yield Block(page, number + 1, opened[3], text, bool(_MARK.fullmatch(_line_above(lines, number))))
        number = end + 1


def _line_above(lines: list[str], number: int) -> str:
    """The last line above that is not blank."""
    return next((lines[i].strip() for i in range(number - 1, -1, -1) if lines[i].strip()), "")
