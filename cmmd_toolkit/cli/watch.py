"""`cmmd watch`."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..common.completion import FILE
from ..common.examples import examples
from ..common.options import choice, flag, number, text
from ..common.streams import kept_for_results
from ..common.text import in_lines
from ..errors import ArgumentError
from .options import (
    bandwidth_option,
    command_line,
    network_options,
    parse_shared,
    picture_options,
    say,
    with_flags,
)
from .page import check_page, in_typed_words

if TYPE_CHECKING:
    from ..commands.watch_folder import FolderWatch
    from ..report.board import Board
    from ..report.watching import Watching

WORSE, WORSE_CODE = "worse", 1


class _Seconds(click.FloatRange):
    """A number of seconds; click lets NaN and infinity through, and a watch that sleeps for ever says nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not seconds <= _LONGEST:
            self.fail(f"{value} is not a number of seconds from 0 to {_LONGEST:.0e}.", param, ctx)
        return seconds


_LONGEST = 1e9
_SECONDS = _Seconds(min=0)


@click.command(
    short_help="Score a run's samples as they appear, with alarms.",
    epilog=examples(
        "cmmd watch real/ looks/ --backbone mini",
        "cmmd watch real/ looks/ --backbone clip --stop-when worse  # code 1",
        "cmmd watch real/ looks/ --backbone mini --once --html watch.html",
    ),
)
@click.argument("reference", type=FILE)
@click.argument("folder", metavar="RUN_FOLDER", type=FILE)
@flag("--once", help="Score what is there, treated as finished, then exit.")
@text("--every", type=_SECONDS, default=30.0, metavar="SECONDS", help="Time between two checks of the folder.")
@text(
    "--settle",
    type=_SECONDS,
    default=20.0,
    metavar="SECONDS",
    help="Samples are finished when nothing in them has changed for this long.",
)
@text("--idle", type=_SECONDS, metavar="SECONDS", help="Exit when nothing new has come for this long.")
@choice("--stop-when", [WORSE], help="Exit at an alarm, with exit code 1.")
@number("--alpha", default=0.05, help="The chance of any false alarm, over all looks.")
@text(
    "--json",
    "json_file",
    metavar="FILE",
    type=FILE,
    help="The record, from which a later watch resumes. [default: RUN_FOLDER/cmmd-watch.json]",
)
@text("--html", "html_file", metavar="FILE.html", type=FILE, help="Update a page after each look.")
@text("--tensorboard", metavar="DIR", type=FILE, help="Write curves for TensorBoard.")
@bandwidth_option()
@network_options
@picture_options
def watch(reference: str, folder: str, **given: Any) -> int:
    """Score the sets of samples in RUN_FOLDER against REFERENCE as they appear, and say when they get worse.

    A look is one set of samples: a folder of pictures, or a .zip, .tar, .npz, .npy or .parquet; the last number in its
    name is its step. Each look is compared with the one with the lowest squared MMD before it, by a test that may be
    repeated: the chance that any look of the run is falsely called worse than an earlier one is at most --alpha
    (docs/watching.md). A look needs at least 20 pictures, and 100 or more for useful power. RUN_FOLDER may also be a
    run of dit-gen train --keep-evaluations. Exit codes: 0 the watch is over (--once, --idle), 1 worse (--stop-when),
    2 bad input, 130 interrupted; the record is complete at any time, and the same command resumes from it.
    """
    parse_shared(given)
    ways = {name: given.pop(name) for name in ("once", "every", "idle")}
    stops, board_folder = given.pop("stop_when") is not None, given.pop("tensorboard")
    if (html := given.pop("html_file")) is not None:
        check_page(html)
    with kept_for_results():
        watched = _opened(reference, folder, 0.0 if ways["once"] else given.pop("settle"), given)

    from rich.console import Console

    from ..report.screen.live import shown_looks

    console = Console(file=sys.stdout, highlight=False)
    alarmed = stops and watched.record is not None and watched.record.alarm is not None
    page, warned = _Page(html), set[str]()
    with watched.held():
        board = _board(board_folder, watched.record)
        with shown_looks(console, watched.record) as shown, kept_for_results():
            page.save(watched.record)
            for new in () if alarmed else watched.looks(**ways):
                shown.update(watched.record, with_flags(new) if isinstance(new, str) else new)
                page.save(watched.record)
                if isinstance(new, str):
                    warned.add(new)
                    continue
                if board is not None:
                    board.add(new)
                if alarmed := stops and new.verdict == WORSE:
                    break
    return _told(watched, console.is_terminal, alarmed, warned)


def _opened(reference: str, folder: str, settle: float, given: dict[str, Any]) -> "FolderWatch":
    """Everything that can be refused before the first look."""
    from ..commands.watch_folder import FolderWatch
    from ..commands.watched_folder import RECORD, WatchedFolder
    from ..common.files import path_of
    from ..common.outputs import check_places
    from ..sets.run import Run

    given.pop("settle", None)
    json_file, alpha, bandwidth = given.pop("json_file"), given.pop("alpha"), given.pop("bandwidth")
    watched = WatchedFolder(path_of(folder), settle)
    file = path_of(json_file) if json_file else path_of(folder) / RECORD
    check_places({"--json": str(file)}, [reference])
    if file.suffix != ".json":
        raise ArgumentError(f"--json {file}: expected a name that ends in .json; the record is read again")
    given["backbone"] = list(given["backbone"]) or None
    run = Run(command=command_line(), **given)
    return FolderWatch(reference, watched, run, file, alpha, bandwidth)


def _board(folder: str | None, record: "Watching | None") -> "Board | None":
    """Curves, with what an earlier process saw where they do not have it yet."""
    if folder is None:
        return None
    from ..common.files import path_of
    from ..report.board import Board

    looks = () if record is None else record.looks
    board = Board(path_of(folder), looks[-1].step + 1 if looks else None)
    board.add_known(looks)
    return board


@dataclass
class _Page:
    """The page of a run, written anew where its record has changed."""

    file: str | None
    saved: "Watching | None" = None

    def save(self, record: "Watching | None") -> None:
        if self.file is not None and record is not None and record != self.saved:
            in_typed_words(record).save_html(self.file)
            self.saved = record


def _told(watched: "FolderWatch", live: bool, alarmed: bool, warned: set[str]) -> int:
    """What the run shows, at its end; a terminal has the table already, and what it was `warned` of."""
    record, waiting = watched.record, watched.folder.unfinished()
    if record is None:
        click.echo("No samples were found yet.")
    elif not live:
        click.echo(in_lines(record.verdicts()), nl=False)
    if record is not None and live:
        left = [with_flags(warning) for warning in record.warnings if warning not in warned]
        click.echo(in_lines(f"warning: {warning}" for warning in left), nl=False, err=True)
    if waiting:
        sets, them = ("1 set of samples was", "it") if waiting == 1 else (f"{waiting} sets of samples were", "them")
        say([f"{sets} not finished; the same command resumes with {them}"])
    if alarmed and record is not None and record.alarm is not None:
        say([f"{record.alarm.name} is worse than {record.alarm.best}"])
    return WORSE_CODE if alarmed else 0
