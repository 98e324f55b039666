"""`.npy` and `.npz` files: never unpickled, and read to their last byte, so that damage shows."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def check_numpy_file(path: Path) -> None:
    """Raise InputError when the first bytes are not NumPy's: np.load would take the file for a pickle."""
    expected = b"\x93NUMPY" if path.suffix.lower() == ".npy" else b"PK"
    try:
        with path.open("rb") as stream:
            found = stream.read(len(expected))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if found != expected:
        raise InputError(f"{path}: not a NumPy {path.suffix} file; save it again with np.save or np.savez")


def explain_numpy_error(error: Exception) -> str:
    """Why NumPy could not read a file, in words a user can act on."""
    if "pickle" in str(error).lower() or "Python objects" in str(error):
        return "holds Python objects that only pickle can read, and pickle can run code; save plain arrays instead"
    return f"not a readable NumPy file ({str(error).splitlines()[0] if str(error) else 'empty'}); save it again"


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an `.npy`, memory-mapped. Raises InputError when the file is longer than its header says."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.offset + array.nbytes != path.stat().st_size:
        raise InputError(f"{path}: holds {path.stat().st_size:,} bytes, but its header says fewer; save it again")
    return np.asarray(array)


def read_member(archive: Any, key: str) -> NDArray[Any]:
    """One array of an opened `.npz`, whose checksum is compared only when the last byte is read."""
    name = key if key in archive.zip.namelist() else f"{key}.npy"
    with archive.zip.open(name) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise ValueError(f"{key} holds more bytes than its header says")
    return array
