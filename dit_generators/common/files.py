"""Files: atomic writes."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmmd_toolkit.common.files import umask

from ..errors import OutputError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path in a hidden folder beside; it replaces `target` on success and vanishes on failure.

    In a folder, because libraries write temporaries of their own beside a file, and a kill leaves them, too.
    """
    with _temporary_folder(target) as folder:
        yield (temporary := folder / target.name)
        temporary.chmod(0o666 & ~umask())  # some writers leave files that only their owner can read
        temporary.replace(target)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """The same for a new folder: all of it appears at once, or none."""
    with _temporary_folder(target) as temporary:
        yield temporary
        for path in temporary.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask())
        temporary.rename(target)


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    folder = target.with_name(f".{target.name}.{os.getpid()}")
    remove(folder)  # of an earlier process of this number
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that it is never seen half removed."""
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    folder.rename(hidden)
    shutil.rmtree(hidden)


def remove_leftovers(folder: Path, names: Sequence[str] = ()) -> None:
    """Remove the temporaries that killed processes left in a folder; with `names`, those of these files alone.

    Who writes into a folder holds it by `locked`, and so does the caller, before anything else of its launch writes:
    whatever temporary is there has no living writer. Process numbers say nothing: they are used again, and those of
    another machine on a shared disk mean other processes. Beside a held folder, name the files that belong to it.
    """
    which = "|".join(map(re.escape, names)) or ".+"
    temporary = re.compile(rf"\.(?:{which})\.\d+(?:\.\w+)?", re.ASCII)  # .NAME.PROCESS.SUFFIX
    for path in sorted(folder.glob(".*")):
        if temporary.fullmatch(path.name):
            remove(path)


def read_json(path: Path) -> Any:
    """The content, or None where there is none that can be read, as after a crash of the machine."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing there is well, too."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; raise OutputError when another one is writing into it.

    The system lets go of it when the process ends, however it ends; the empty file .lock may stay behind.
    """
    import fcntl

    path = folder / ".lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = _is_at(lock.fileno(), path)
        except BlockingIOError:
            held = False
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be locked ({error.strerror}); name a folder on a disk that has locks"
            ) from error
        if not held:  # or whoever held it has just removed the file that was opened here
            raise OutputError(f"{folder}: another process is writing into it; wait for it, or name another")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def write_safetensors(tensors: dict[str, Any], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Torch's tensors as a .safetensors file, equal bytes for equal contents."""
    import torch

    from cmmd_toolkit.common.safetensors_file import Part, write_parts

    kinds = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    parts = {}
    for name, tensor in tensors.items():
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        parts[name] = Part(kinds[tensor.dtype], tuple(tensor.shape), tensor.element_size(), data)
    write_parts(parts, path, metadata or {})


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
