"""Files: atomic writes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a hidden path in the same folder; it replaces `target` on success and vanishes on failure."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # some writers leave files that only their owner can read
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """The same for a new folder: all of it appears at once, or none."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        filled = Path(name, target.name)
        filled.mkdir()
        yield filled
        for path in filled.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
        filled.rename(target)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; raise OutputError when another one is writing into it."""
    import fcntl

    path = folder / ".lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{folder}: another process is writing into it; wait for it, or name another") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
