"""The features of one network: one SQLite file, a row per picture, found by the picture's content.

SQLite brings what a cache of many processes needs, and is in Python: transactions (a killed process loses the rows
that it had not committed, never the file), readers beside a writer, and an index. Each row has a checksum.
"""

import hashlib
import json
import sqlite3
import struct
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features.record import Kind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (content BLOB NOT NULL UNIQUE, row BLOB NOT NULL);
"""
_HEAD = struct.Struct("<II16sH")  # width, height, digest of the pixels, bytes of the kind
_CHECK_SIZE = 8
SUFFIXES = ("", "-wal", "-shm")  # the table, and what SQLite keeps beside it while it is open
_PATIENCE = 60.0  # seconds that one waits for the commit of another


@dataclass(frozen=True)
class Row:
    """What is stored of one picture."""

    features: NDArray[np.float32]
    kind: Kind
    size: tuple[int, int]
    digest: bytes


class FeatureTable:
    """An open table; `find` may be called by several threads, `put` by one. Raises sqlite3.Error."""

    def __init__(self, path: Path, key: dict[str, Any], dim: int) -> None:
        self.path, self._dim = path, dim
        self._local, self._opened, self._guard = threading.local(), list[sqlite3.Connection](), threading.Lock()
        self._waiting: list[tuple[bytes, bytes]] = []
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
            _write_about(connection, "key", json.dumps(key, sort_keys=True))
            _write_about(connection, "used", repr(time.time()))

    def find(self, content: bytes) -> Row | None:
        """The row of that content; None where there is none, or only a damaged one."""
        connection = self._connection()
        packed = connection.execute("SELECT row FROM pictures WHERE content = ?", (content,)).fetchone()
        return None if packed is None else unpack(packed[0], content, self._dim)

    def put(self, content: bytes, row: Row) -> None:
        """Keep a row until the next `commit`."""
        self._waiting.append((content, pack(row, content)))

    def commit(self) -> None:
        """Write what waits, all or nothing."""
        if self._waiting:
            with self._connection() as connection:
                connection.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?)", self._waiting)
            self._waiting = []

    def close(self) -> None:
        """No thread uses it any more."""
        for connection in self._opened:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        """This thread's own."""
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)  # closed by another
            with self._guard:
                self._opened.append(connection)
            self._local.connection = connection
        own: sqlite3.Connection = self._local.connection
        return own


def _write_about(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))


def pack(row: Row, content: bytes) -> bytes:
    """A row as bytes that begin with a checksum of the rest and of the content."""
    kind = json.dumps([row.kind.format, *row.kind.notes]).encode()
    rest = _HEAD.pack(*row.size, row.digest, len(kind)) + kind + row.features.astype("<f4").tobytes()
    return _checksum(content, rest) + rest


def unpack(packed: bytes, content: bytes, dim: int) -> Row | None:
    """The row, or None where it is damaged."""
    check, rest = packed[:_CHECK_SIZE], packed[_CHECK_SIZE:]
    if check != _checksum(content, rest):
        return None
    width, height, digest, length = _HEAD.unpack_from(rest)
    at = _HEAD.size + length
    first, *notes = json.loads(rest[_HEAD.size : at])
    features = np.frombuffer(rest, "<f4", offset=at)
    return Row(features, Kind(first, tuple(notes)), (width, height), digest) if len(features) == dim else None


def _checksum(content: bytes, rest: bytes) -> bytes:
    return hashlib.blake2b(content + rest, digest_size=_CHECK_SIZE).digest()


@dataclass(frozen=True)
class TableState:
    """What a table file holds, as `cmmd cache` shows it."""

    path: Path
    key: dict[str, Any]
    rows: int
    size: int
    used: float

    @property
    def network(self) -> str:
        """The backbone's name and width."""
        made = self.key["network"]
        return f"{made['backbone']}, {made['dim']} dimensions"


def read_state(path: Path) -> TableState:
    """Raises sqlite3.Error or ValueError for what is no table."""
    with closing(_existing(path)) as connection:
        about = dict(connection.execute("SELECT name, value FROM about"))
        ((rows,),) = connection.execute("SELECT count(*) FROM pictures")
    try:
        return TableState(path, json.loads(about["key"]), rows, size_of(path), float(about["used"]))
    except KeyError as error:
        raise ValueError(f"has no {error}") from error


def _existing(path: Path) -> sqlite3.Connection:
    """Where there is no file, none is made: another process may have removed it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=_PATIENCE, uri=True)


def size_of(path: Path) -> int:
    """Bytes of the table and of what SQLite keeps beside it."""
    parts = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return sum(part.stat().st_size for part in parts if part.exists())


def remove_damaged(state: TableState) -> int:
    """Remove the rows whose checksum is wrong; returns how many. Raises sqlite3.Error for a damaged file."""
    with closing(_existing(state.path)) as connection, connection:
        (problem,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        dim = state.key["network"]["dim"]
        found = [
            (content,)
            for content, packed in connection.execute("SELECT content, row FROM pictures")
            if unpack(packed, content, dim) is None
        ]
        connection.executemany("DELETE FROM pictures WHERE content = ?", found)
    return len(found)
