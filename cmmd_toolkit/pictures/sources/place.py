"""Files that hold many pictures: read by ranges from any thread, wherever they lie."""

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from ...common.files import check_exists, check_regular
from ...errors import InputError, PictureError

_BLOCK = 1 << 20
_SKIP = " or use `on_error='skip'`"
Result = TypeVar("Result")


class Place(Protocol):
    """A file, here or on another machine. All that it raises is InputError."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, start: int, length: int) -> bytes:
        """That many bytes from there, fewer only at the end; from any thread."""


@dataclass(frozen=True)
class LocalFile:
    """A regular file, which must stay as it is while it is read."""

    path: Path
    _state: tuple[int, ...] = field(repr=False)

    @classmethod
    def at(cls, path: Path) -> "LocalFile":
        """The file of that path. Raises InputError when there is none, or something else."""
        check_exists(path)
        check_regular(path)
        return cls(path, _state(path.stat()))

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._state[0]

    def read(self, start: int, length: int) -> bytes:
        """See `Place`."""
        try:
            with self.path.open("rb") as stream:
                if _state(os.fstat(stream.fileno())) != self._state:
                    raise InputError(f"{self.path}: was changed while it was read; run again")
                stream.seek(start)
                return stream.read(length)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check its permissions") from error


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_ino, status.st_mtime_ns


class RangeStream(io.RawIOBase):
    """A place as a seekable file, for libraries that want one; it keeps nothing but its position."""

    def __init__(self, place: Place) -> None:
        self._place, self._at = place, 0
        self._held = threading.local()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is read."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._place.size}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def read(self, size: int | None = -1) -> bytes:
        """As many bytes as asked for, fewer only at the end."""
        left = max(0, self._place.size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        data = self._held_bytes(self._at, length) or (self._place.read(self._at, length) if length else b"")
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @contextmanager
    def held(self, start: int, end: int) -> Iterator[None]:
        """Read a range at once; until the end of the block this thread reads it from memory."""
        self._held.range = start, self._place.read(start, end - start)
        try:
            yield
        finally:
            del self._held.range

    def _held_bytes(self, at: int, length: int) -> bytes | None:
        start, data = getattr(self._held, "range", (0, b""))
        inside = start <= at and at + length <= start + len(data)
        return data[at - start : at - start + length] if inside else None


def buffered(place: Place, block: int = _BLOCK) -> io.BufferedReader:
    """A place as a stream that is read in blocks of so many bytes."""
    return io.BufferedReader(RangeStream(place), block)


def as_picture(read: Callable[[], Result]) -> Callable[[], Result]:
    """What cannot be read is one picture that cannot be used."""

    def read_picture() -> Result:
        try:
            return read()
        except PictureError:
            raise
        except InputError as error:
            raise PictureError(f"{error}{_SKIP}") from None

    return read_picture
