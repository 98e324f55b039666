"""Files: atomic writes and checksums."""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it on success and vanishes on failure.

    A target that is no regular file (a device, a pipe) is written to, never replaced.
    """
    check_writable(target)
    try:
        yield from _replacing(target)
    except OSError as error:
        if error.filename is not None:
            raise
        reason = f"{target}: could not be written ({error.strerror}); make room or choose another place"
        raise InputError(reason) from error


def _replacing(target: Path) -> Iterator[Path]:
    if target.exists() and not target.is_file():
        with tempfile.TemporaryDirectory() as folder:
            yield (passing := Path(folder, target.name + target.suffix))
            target.write_bytes(passing.read_bytes())
        return
    _remove_leftovers(target)
    with _temporary(target) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A path in a new hidden folder beside `target`, for libraries leave temporaries of their own beside a file.

    The folder's .lock is held for as long as it is in use: by that the living are known.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        handle = _hold(folder, create=True)
        if handle is not None:
            break  # or another process has just taken it for a leftover
    try:
        yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of writing `target`: temporary folders that nobody holds."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}")
    for folder in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if pattern.fullmatch(folder.name) and folder.is_dir():
            with contextlib.suppress(OSError):
                handle = _hold(folder, create=False)
                if handle is not None:
                    shutil.rmtree(folder)
                    os.close(handle)


def _hold(folder: Path, *, create: bool) -> int | None:
    """The open and locked .lock of a temporary folder, or None where another process holds it or removed it.

    A disk or a system without locks takes nothing for a leftover.
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
        held = create
    if held:
        return handle
    os.close(handle)
    return None


def check_writable(target: Path) -> None:
    """Raise before hours of work when `target` cannot be written after them."""
    if target.is_dir():
        raise InputError(f"{target}: is a folder; name a file to write")
    if not target.parent.is_dir():
        raise InputError(f"{target}: the folder {target.parent} does not exist; create it first")
    try:
        if target.exists() and not target.is_file():
            target.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another place") from error


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_regular(path: Path) -> None:
    """Raise InputError for a pipe, device or socket, or a link to one: reading it might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: no regular file (a pipe, device or socket); remove it")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file."""
    check_regular(path)
    return path.read_bytes()
