"""The feature store: a folder with a table per network, by default in the user's cache folder.

A store is never a reason to fail: where it cannot be read or written, features are computed, and a remark says why.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..backbones.base import Backbone
from ..common.arguments import parse_size
from ..common.files import path_of
from ..errors import ArgumentError
from ..pictures.decode import DecodePolicy
from .key import DESCRIPTION, key_digest, network_key, table_name
from .table import SUFFIXES, FeatureTable, Row, TableState, read_state, size_of

OFF = "off"
ENVIRONMENT = "CMMD_STORE"
LIMIT = 20 * 10**9  # bytes, unless CMMD_STORE_LIMIT says another size
_SUFFIX = ".sqlite"
_ROWS_PER_COMMIT = 512
_UNFINISHED, _SECONDS_TO_FINISH = ("no such table", "has no ", "locked"), 60.0


def store_folder(store: object = None) -> Path | None:
    """Where the store is: `store`, else CMMD_STORE, else the user's cache folder; None for False and "off".

    Raises ArgumentError for what is no folder's name.
    """
    if store is None:
        store = os.environ.get(ENVIRONMENT) or None
    if store is False or store == OFF:
        return None
    if store is None:
        from platformdirs import user_cache_path

        return user_cache_path("cmmd-toolkit", appauthor=False) / "features"
    if not isinstance(store, (str, os.PathLike)):
        raise ArgumentError(f"store: expected a folder, or False for none, got {type(store).__name__}")
    path = path_of(store).expanduser()
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"store: {path} is a file; name a folder")
    return path


class FeatureStore:
    """The tables of some networks, open for one set of pictures; a context manager that writes what waits.

    Attributes:
        folder: where they are, None for nowhere and where they cannot be used.
        remarks: why features could not be looked up or kept.
    """

    def __init__(
        self, folder: Path | None, backbones: Sequence[Backbone], policy: DecodePolicy, max_pixels: int
    ) -> None:
        self.folder, self._count, self.remarks = folder, len(backbones), list[str]()
        self._tables: list[FeatureTable | None] = []
        self._opened: list[FeatureTable] = []
        self._waiting = 0
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tables = [self._table(folder, backbone, policy, max_pixels) for backbone in backbones]
            self._tables = tables if self._opened else []
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _table(self, folder: Path, backbone: Backbone, policy: DecodePolicy, max_pixels: int) -> FeatureTable | None:
        """None for a network whose features cannot be found again for sure."""
        if backbone.unknown is not None:
            self.remarks.append(f"{backbone.name}: its features are not kept in the store, since {backbone.unknown}")
            return None
        key = network_key(backbone, policy, max_pixels)
        path = folder / f"{table_name(backbone.name)}-{key_digest(key)}{_SUFFIX}"
        self._opened.append(FeatureTable(path, key, backbone.dim))
        return self._opened[-1]

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._commit()
        for table in self._opened:
            table.close()

    @property
    def is_open(self) -> bool:
        """Whether anything can be found or kept."""
        return bool(self._tables)

    def find(self, content: bytes) -> list[Row | None]:
        """What is stored of a picture for every network; may be called by several threads."""
        try:
            tables = self._tables  # which another thread may give up
            return [None if table is None else table.find(content) for table in tables] or [None] * self._count
        except sqlite3.Error as error:
            self._give_up(error)
            return [None] * self._count

    def put(self, network: int, content: bytes, row: Row) -> None:
        """Keep what was computed for a network."""
        table = self._tables[network] if self._tables else None
        if table is not None:
            table.put(content, row)
            self._waiting += 1
            if self._waiting >= _ROWS_PER_COMMIT * len(self._opened):
                self._commit()

    def _commit(self) -> None:
        try:
            for table in self._opened if self._tables else ():
                table.commit()
            self._waiting = 0
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._tables, folder = [], self.folder
        if folder is not None:  # else another thread has said so
            self.folder = None  # large sets go to the temporary folder instead
            advice = "try `cmmd cache check`, or another folder as `store`"
            self.remarks = [f"feature store {folder}: not used ({error}); {advice}"]


def list_tables(folder: Path) -> tuple[list[TableState], list[tuple[Path, str]]]:
    """The tables, the one that was used last first, and files that cannot be read with the reason."""
    states, damaged = [], []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            states.append(read_state(path))
        except (sqlite3.Error, ValueError, TypeError, OSError) as error:
            damaged.append((path, str(error)))
    return sorted(states, key=lambda state: -state.used), damaged


def store_limit() -> int:
    """Bytes that a store may take. Raises ArgumentError for a CMMD_STORE_LIMIT that is no size."""
    text = os.environ.get(f"{ENVIRONMENT}_LIMIT")
    return LIMIT if not text else parse_size(text, f"{ENVIRONMENT}_LIMIT")


def keep_to_limit(folder: Path | None, keep: int) -> None:
    """Trim the store to its limit, without the last `keep` used tables."""
    with suppress(OSError):  # another process trims, too
        if folder is not None and sum(size_of(path) for path in folder.glob(f"*{_SUFFIX}")) > store_limit():
            trim(folder, store_limit(), keep)


def remove_table(path: Path) -> int:
    """Remove a table and what SQLite keeps beside it; returns its bytes."""
    size = size_of(path)
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return size


def trim(folder: Path, limit: int, keep: int = 0) -> list[TableState]:
    """Remove damaged tables, then those that were used longest ago, until the rest is at most `limit` bytes.

    The last `keep` used ones stay. Returns the removed that were not damaged.
    """
    trim_damaged(folder, limit)
    states, damaged = list_tables(folder)
    left, removed = sum(state.size for state in states) + sum(size_of(path) for path, _ in damaged), []
    while len(states) > keep and left > limit:
        removed.append(states.pop())
        left -= removed[-1].size
        with suppress(OSError):
            remove_table(removed[-1].path)
    _remove_descriptions(folder)
    return removed


def trim_damaged(folder: Path, limit: int) -> list[int]:
    """Remove tables that cannot be read until the store is at most `limit` bytes; returns the bytes of each."""
    states, damaged = list_tables(folder)
    waiting = [path for path, reason in damaged if not _is_in_the_making(path, reason)]
    left, removed = sum(state.size for state in states) + sum(size_of(path) for path, _ in damaged), list[int]()
    while waiting and left > limit:
        with suppress(OSError):
            removed.append(remove_table(waiting.pop()))
            left -= removed[-1]
    return removed


def _is_in_the_making(path: Path, reason: str) -> bool:
    """Whether another process may just be about to fill or to write that table."""
    if not any(words in reason for words in _UNFINISHED):
        return False
    try:
        return time.time() - path.stat().st_mtime < _SECONDS_TO_FINISH
    except OSError:
        return True


def _remove_descriptions(folder: Path) -> None:
    """Of networks that have no table any more."""
    tables = {path.name.rpartition("-")[0] for path in folder.glob(f"*{_SUFFIX}")}
    for path in folder.glob(f"*{DESCRIPTION}"):
        if path.name.rpartition("-")[0] not in tables:
            with suppress(OSError):
                path.unlink()
