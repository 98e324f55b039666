"""Atomic writes: a file or a folder appears whole or not at all, and what killed processes left is removed.

Everything is written in a hidden folder beside its target, `.NAME.xxxxxxxx.tmp`, because libraries write temporaries
of their own beside a file. The folder's .lock is held for as long as it is in use: by that the living are known.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_MOST_NAME = 50  # characters of the target's name in that of its temporary; a file system takes 255 bytes
_SUFFIX = ".tmp"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path that replaces the file `target` on success and vanishes on failure. Raises OSError."""
    with _temporary_folder(target) as folder:
        yield (temporary := folder / target.name)
        temporary.chmod(0o666 & ~umask())  # some writers leave files that only their owner can read
        temporary.replace(target)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """The same for a new folder."""
    with _temporary_folder(target) as folder:
        (temporary := folder / target.name).mkdir()
        yield temporary
        for path in temporary.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask())
        temporary.rename(target)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that it is never seen half removed."""
    with _temporary_folder(folder) as temporary:
        folder.rename(temporary / folder.name)


def remove_leftovers(folder: Path, names: Sequence[str] = ()) -> None:
    """Remove the temporaries that killed processes left in a folder; with `names`, those of these targets alone."""
    which = "|".join(re.escape(name[:_MOST_NAME]) for name in names) or ".+"
    pattern = re.compile(rf"\.(?:{which})\.[a-z0-9_]{{8}}{re.escape(_SUFFIX)}")
    for path in list(folder.glob(f".*{_SUFFIX}")):
        if pattern.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                handle = _hold(path, held_without_locks=False)
                if handle is not None:
                    shutil.rmtree(path)
                    os.close(handle)


def umask() -> int:
    """The permissions that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    while True:
        folder = Path(tempfile.mkdtemp(_SUFFIX, f".{target.name[:_MOST_NAME]}.", target.parent))
        handle = _hold(folder, held_without_locks=True)
        if handle is not None:
            break  # or another process has just taken it for a leftover
    try:
        yield folder
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(folder)):  # of a write, or of the temporary
            error.strerror, error.filename = error.strerror or str(error), str(target)  # NumPy gives a message alone
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _hold(folder: Path, *, held_without_locks: bool) -> int | None:
    """The open and locked .lock of a temporary folder, or None where another process holds it or removed it.

    A disk or a system without locks takes nothing for a leftover. Not by filelock, which makes a removed folder again.
    """
    path = folder / ".lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:
        return None
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        held = False
    except (ImportError, OSError):
        held = held_without_locks
    if held:
        return handle
    os.close(handle)
    return None
