"""Where the forms of a result go: --json, --csv, --markdown, --latex and --figure, checked before the work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click

from ..errors import ArgumentError
from .completion import FILE
from .files import atomic_path, check_writable, path_of

FIGURE_KINDS = ("png", "svg", "pdf")
STDOUT = "-"
_FORMS = ("json", "csv", "markdown", "latex", "figure")
_ABOUT = {
    "json": "Write everything as JSON; - is stdout.",
    "csv": "Write a row for each number, every digit kept, as CSV; - is stdout.",
    "markdown": "Write tables in Markdown; - is stdout.",
    "latex": "Write tables in LaTeX (booktabs); - is stdout.",
    "figure": "Draw it at column width: FILE.png, .svg or .pdf; - is stdout, as SVG.",
}


class Printable(Protocol):
    """A record with all forms; see `report.paper.record.PaperRecord`."""

    def to_json(self) -> str: ...
    def to_csv(self) -> str: ...
    def to_markdown(self) -> str: ...
    def to_latex(self) -> str: ...
    def to_svg(self) -> str: ...
    def plot(self, path: str) -> Any: ...


@dataclass(frozen=True)
class Outputs:
    """The file of each form that is wanted."""

    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> "Outputs":
        """The options of `output_options` out of what click gives, checked.

        Raises CmmdError before hours of work for what could not be written after them.
        """
        found = {form: given.pop(f"{form}_file") for form in _FORMS}
        own = cls({form: name for form, name in found.items() if name is not None})
        own.check()
        return own

    @property
    def on_stdout(self) -> str | None:
        """The form that is printed in place of the text."""
        return next((form for form, name in self.files.items() if name == STDOUT), None)

    def check(self) -> None:
        """Raise CmmdError for a file that cannot be written, and for two forms in one place."""
        taken: dict[Path, str] = {}
        for form, name in self.files.items():
            target = Path(STDOUT) if name == STDOUT else path_of(name)
            other = taken.setdefault(target, form)
            if other != form and (name == STDOUT or not target.exists() or target.is_file()):
                where = "stdout" if name == STDOUT else name
                raise ArgumentError(f"--{other} and --{form}: both would be written to {where}; name another file")
            if name != STDOUT:
                if form == "figure":
                    figure_kind(target)
                check_writable(target)

    def writers(self, record: Printable) -> list[Callable[[], None]]:
        """A function for each file, which writes it whole or raises CmmdError."""
        return [_writer(record, form, name) for form, name in self.files.items() if name != STDOUT]

    def text(self, record: Printable) -> str | None:
        """What is printed in place of the record's own text, None for nothing else."""
        return None if self.on_stdout is None else _text(record, self.on_stdout)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json, --csv, --markdown, --latex and --figure."""
    for form in reversed(_FORMS):
        metavar = "FILE.png" if form == "figure" else "FILE"
        command = click.option(f"--{form}", f"{form}_file", metavar=metavar, type=FILE, help=_ABOUT[form])(command)
    return command


def figure_kind(target: Path) -> str:
    """png, svg or pdf, by the name of the file. Raises ArgumentError for another."""
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FIGURE_KINDS:
        raise ArgumentError(
            f"{target}: expected a figure's name, which ends in .png, .svg or .pdf; give it one of these"
        )
    return kind


def _writer(record: Printable, form: str, name: str) -> Callable[[], None]:
    def write() -> None:
        with atomic_path(path_of(name)) as temporary:
            temporary.write_text(_text(record, form), encoding="utf-8", errors="backslashreplace")

    def draw() -> None:
        record.plot(name)

    return draw if form == "figure" else write


def _text(record: Printable, form: str) -> str:
    forms = {"csv": record.to_csv, "markdown": record.to_markdown, "latex": record.to_latex, "figure": record.to_svg}
    return forms.get(form, record.to_json)()
