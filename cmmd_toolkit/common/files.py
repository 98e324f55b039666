"""Files: names, kinds, reports written whole, checksums."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ArgumentError, InputError
from .writing import remove_leftovers, replacing

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a disk",
}
_LARGEST = 1 << 30  # bytes of what is read as a whole


def path_of(name: str | os.PathLike[str]) -> Path:
    """The path of that name, or an InputError for an empty one, which pathlib takes for the current folder."""
    if not isinstance(name, (str, os.PathLike)):
        raise ArgumentError(f"expected the name of a file or folder, got {type(name).__name__} {name!r:.60}")
    if not os.fspath(name).strip() or "\0" in os.fspath(name):
        raise InputError(f"expected the name of a file or folder, got {os.fspath(name)!r}; is a variable unset?")
    return Path(name)


def check_exists(path: Path) -> None:
    """Raise InputError when nothing is there, or nobody can tell."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = "is a link to nothing; fix it" if path.is_symlink() else "no such file or folder; check the path"
        raise InputError(f"{path}: {advice}") from error
    except (OSError, ValueError) as error:  # too long a name, a link to itself, no permission; a zero in the name
        shown, reason = str(path)[:200], getattr(error, "strerror", None) or error
        raise InputError(f"{shown}: cannot be opened ({reason}); check the path") from error


def check_regular(path: Path, advice: str = "give a file") -> None:
    """Raise InputError for a folder, pipe, device or socket, or a link to one: reading it might never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: not a regular file but {_kind(mode)}; {advice}")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file of a picture or a report. Raises InputError for what is too large to be one."""
    check_regular(path, "remove it")
    if (size := path.stat().st_size) > _LARGEST:
        raise InputError(f"{path}: has {size:,} bytes, more than a picture or a report takes; remove it")
    return path.read_bytes()


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# ---- writing --------------------------------------------------------------------------------------


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it on success and vanishes on failure.

    A target that is a device or the pipe of a shell is written to, never replaced. What killed processes left beside
    the target is removed. Raises InputError when the file system refuses.
    """
    check_writable(target)
    if target.is_symlink() and target.is_file():
        target = Path(os.path.realpath(target))  # the file is replaced, not the link to it
    try:
        yield from _passing(target) if target.exists() and not target.is_file() else _replacing(target)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{target}: could not be written ({reason}); free space or choose another place") from error


def _passing(target: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield (passing := Path(folder, target.name + target.suffix))
        target.write_bytes(passing.read_bytes())


def _replacing(target: Path) -> Iterator[Path]:
    remove_leftovers(target.parent, [target.name])
    with replacing(target) as temporary:
        yield temporary


def check_writable(target: Path) -> None:
    """Raise before hours of work when `target` cannot be written after them."""
    try:
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise InputError(f"{target}: is a folder; name a file to write")
        if not target.parent.is_dir():
            raise InputError(f"{target}: the folder {target.parent} does not exist; create it first")
        if stat.S_ISREG(mode):
            tempfile.TemporaryFile(dir=target.parent).close()
        elif stat.S_ISCHR(mode):
            os.close(os.open(target, os.O_WRONLY | os.O_NONBLOCK))
        elif not (stat.S_ISFIFO(mode) and _is_inherited(target)):
            raise InputError(f"{target}: expected a file to write, got {_kind(mode)}; choose another place")
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another place") from error


def _is_inherited(pipe: Path) -> bool:
    """Whether it is a pipe without a name, /dev/fd/63 of a shell's `>(command)`; one with a name may have no reader."""
    return not Path(os.path.realpath(pipe)).exists()


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")
