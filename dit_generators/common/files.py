"""Files: a folder held by one process, records read, tensors written."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmmd_toolkit.common.locks import try_lock
from cmmd_toolkit.common.writing import remove_leftovers, replacing

from ..errors import OutputError


def read_text(path: Path) -> str:
    """The text of a file; OSError where none can be read."""
    check_ends(path)
    return path.read_text()


def check_ends(path: Path) -> None:
    """Raise OSError for a pipe, a device or a socket, or a link to one: reading it might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a regular file (a pipe, device or socket)", str(path))


def read_json(path: Path) -> Any:
    """The content, or None where there is none that can be read, as after a crash of the machine."""
    try:
        return json.loads(read_text(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def write_json(content: Any, target: Path) -> None:
    """Write a JSON file atomically, a line a value."""
    with replacing(target) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing there is well, too."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, hold it for this process and remove what killed ones left in it.

    Raises OutputError when another one is writing into it. The system lets go of it when the process ends, however it
    ends; the empty file .lock may stay behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    try:
        lock = try_lock(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{folder}: cannot be locked ({reason}); use a folder on a file system that supports locks"
        ) from error
    if lock is None:  # or who held it has just removed the file that was opened here
        raise OutputError(f"{folder}: another process is writing into it; wait for it, or name another")
    try:
        remove_leftovers(folder)
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


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
