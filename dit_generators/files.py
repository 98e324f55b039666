"""Files: atomic writes."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
