"""Where the forms of a result go: --json, --csv, --markdown, --latex and --figure, checked before the work."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click

from ..errors import ArgumentError
from .completion import FILE
from .files import atomic_path, check_writable, path_of

FIGURE_KINDS = ("png", "svg", "pdf")
STDOUT = "-"
_PICTURES = (".png", ".jpg", ".jpeg")  # what would be scored with a set's own the next time
_FORMS = ("json", "csv", "markdown", "latex", "figure")
_ABOUT = {
    "json": "Write everything as JSON; - is stdout.",
    "csv": "Write a row for each number, with every digit, as CSV; - is stdout.",
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
        typed = click.get_current_context().params
        pages = {"--html": typed.get("html_file"), "--sheet": typed.get("sheet_file")}
        files = {**{f"--{form}": name for form, name in own.files.items()}, **pages}
        check_places({flag: name for flag, name in files.items() if name}, _sets(typed))
        return own

    @property
    def on_stdout(self) -> str | None:
        """The form that is printed in place of the text."""
        return next((form for form, name in self.files.items() if name == STDOUT), None)

    def check(self) -> None:
        """Raise CmmdError for a file that cannot be written, and for two forms on stdout."""
        printed = [form for form, name in self.files.items() if name == STDOUT]
        if len(printed) > 1:
            both = f"--{printed[0]} and --{printed[1]}"
            raise ArgumentError(f"{both}: both would be written to stdout; name another file")
        for form, name in self.files.items():
            if name != STDOUT:
                if form == "figure":
                    figure_kind(path_of(name))
                check_writable(path_of(name))

    def writers(self, record: Printable) -> list[Callable[[], None]]:
        """A function for each file, which writes it whole or raises CmmdError."""
        return [_writer(record, form, name) for form, name in self.files.items() if name != STDOUT]

    def text(self, record: Printable) -> str | None:
        """What is printed in place of the record's own text, None for nothing else."""
        return None if self.on_stdout is None else _text(record, self.on_stdout)


def check_places(files: Mapping[str, str], sets: Sequence[str]) -> None:
    """Raise ArgumentError for two options that name one file, and for a file that would harm a set that is read.

    `files` are the names that options were given, `sets` those of what is read. Names that lead to one place are one.
    """
    taken: dict[Path, str] = {}
    for flag, name in files.items():
        place = Path(os.path.realpath(path_of(name)))
        if name == STDOUT or (place.exists() and not place.is_file()):
            continue
        if (other := taken.setdefault(place, flag)) != flag:
            raise ArgumentError(f"{other} and {flag}: both would be written to {name}; name another file")
        for own in sets:
            _check_apart(f"{flag} {name}", place, own)


def _check_apart(named: str, place: Path, own: str) -> None:
    read = Path(os.path.realpath(own if Path(own).exists() else own.partition(":")[0]))
    if place == read:
        raise ArgumentError(f"{named}: would be written over the set {own}; name another file")
    lies_in = read.is_dir() and place.is_relative_to(read)
    if lies_in and (place.exists() or place.suffix.lower() in _PICTURES):
        raise ArgumentError(f"{named}: lies in the set {own}, whose files are read; name a file elsewhere")


def _sets(typed: Mapping[str, Any]) -> list[str]:
    """The sets that were typed, by the names that commands have for them."""
    found = [typed.get(name) for name in ("reference", "pilot", "pictures", "generated")]
    return [name for own in found if own for name in ([own] if isinstance(own, str) else own)]


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
