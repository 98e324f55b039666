"""Files: atomic writes."""

import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import OutputError

_TEMPORARY = re.compile(r"\..+\.(\d+)(\.\w+)?", re.ASCII)  # .NAME.PROCESS.SUFFIX


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
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that it is never seen half removed."""
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    folder.rename(hidden)
    shutil.rmtree(hidden)


def remove_leftovers(folder: Path, name: str = "", *, held: bool = False) -> None:
    """Remove the temporaries that killed processes left in the folder, of files whose names begin with `name`.

    Those of other live processes stay, unless the folder is `held` by this one's lock, which no other can write into.
    For a folder that this process is about to write into: a temporary of its own number is of an earlier process.
    """
    for path in folder.glob(f".{glob.escape(name)}*") if folder.is_dir() else ():
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or (not held and _is_live(int(found[1]))):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _is_live(process: int) -> bool:
    """Whether it is another process that runs on this machine."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


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


def write_safetensors(tensors: dict[str, Any], path: Path, metadata: dict[str, str] | None = None) -> None:
    """`save_file`, whose failures to write are OSErrors as everywhere else."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def write_torch(content: dict[str, Any], path: Path) -> None:
    """`torch.save`, whose failures to write are OSErrors, too."""
    import torch

    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # raised while it closes the archive, after the OSError that was the reason
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
