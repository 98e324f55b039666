"""`cmmd cache`: what the feature store holds, whether it is whole, and how to make it smaller."""

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..common.arguments import parse_size
from ..common.completion import FILE
from ..common.examples import examples
from ..common.text import align, printable
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..store.table import TableState

_SHOWN = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_DAY = 86400.0


@click.group(
    short_help="List, check and trim stored features.",
    epilog=examples("cmmd cache list", "cmmd cache check", "cmmd cache --store features/ trim --to 2GB"),
)
@click.option(
    "--store", metavar="DIR", type=FILE, help="The feature store. [default: CMMD_STORE, else the user's cache folder]"
)
@click.pass_context
def cache(context: click.Context, store: str | None) -> None:
    """Features that `compare`, `rank`, `plan`, `explain` and `embed` keep, so that a picture is embedded once."""
    from ..store.store import OFF, store_folder

    folder = store_folder(store)
    if folder is None:
        raise ArgumentError(f"store: CMMD_STORE is {OFF!r}; name a folder")
    context.obj = folder


@cache.command(name="list", short_help="List what is stored.", epilog=examples("cmmd cache list"))
@click.pass_obj
def list_(folder: Path) -> int:
    """One line per network: pictures, size, and when it was last used."""
    from ..store.store import list_tables

    states, damaged = list_tables(folder)
    rows = [["network", "pictures", "size", "last used", "file"]] + [_row(state) for state in states]
    if states:
        click.echo("\n".join(align(rows, {0, 4})))
    click.echo(printable(f"{folder}: {_size_text(sum(state.size for state in states))} in {len(states)} tables"))
    for path, reason in damaged:
        click.echo(printable(f"{path}: damaged ({reason}); cmmd cache check removes it"), err=True)
    return 0


@cache.command(short_help="Check every stored feature.", epilog=examples("cmmd cache check"))
@click.pass_obj
def check(folder: Path) -> int:
    """Check every checksum; what is damaged is removed, and computed again when it is needed."""
    from ..store.store import list_tables, remove_table
    from ..store.table import remove_damaged

    states, damaged = list_tables(folder)
    for path, reason in damaged:
        click.echo(printable(f"{path}: damaged ({reason}); removed"))
        remove_table(path)
    for state in states:
        try:
            lost = remove_damaged(state)
        except sqlite3.Error as error:
            remove_table(state.path)
            click.echo(printable(f"{state.network}: the file is damaged ({error}); removed"))
            continue
        found = f"{lost:,} damaged features removed" if lost else "whole"
        click.echo(printable(f"{state.network}: {state.rows:,} pictures, {found}"))
    return 0


@cache.command(short_help="Remove the least recently used features.", epilog=examples("cmmd cache trim --to 2GB"))
@click.option("--to", "limit", required=True, metavar="SIZE", help="Size to trim to, e.g. 500MB, 2GB, 0.")
@click.pass_obj
def trim(folder: Path, limit: str) -> int:
    """Remove damaged tables, then those that were used longest ago, until the rest is at most SIZE."""
    from ..store.store import trim as trim_store, trim_damaged

    most = parse_size(limit, "--to")
    damaged, removed = trim_damaged(folder, most), trim_store(folder, most)
    freed = sum(damaged) + sum(state.size for state in removed)
    names = [f"{len(damaged)} damaged"] if damaged else []
    names += [state.network for state in removed]
    listed = ": " + "; ".join(names) if names else ""
    click.echo(printable(f"{folder}: {_size_text(freed)} removed in {len(damaged) + len(removed)} tables{listed}"))
    return 0


def _row(state: "TableState") -> list[str]:
    days = (time.time() - state.used) / _DAY
    used = "today" if days < 1 else f"{days:.0f} days ago"
    return [state.network, f"{state.rows:,}", _size_text(state.size), used, state.path.name]


def _size_text(size: int) -> str:
    unit, name = next(((scale, name) for name, scale in _SHOWN if size >= scale), (1, "B"))
    return f"{size / unit:.3g} {name}"
