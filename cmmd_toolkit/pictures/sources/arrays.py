"""Arrays and batches: uint8 pixels without an encoding of their own."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...common.arrays import as_array, is_tensor
from ...common.numpy_files import check_numpy_file, explain_numpy_error, read_member, read_npy
from ...errors import InputError
from ..decode import Picture
from ..load import Load, of_pixels
from .source import ImageSource, Opening


def batch_source(path: Path, how: Opening) -> ImageSource:
    """The uint8 (N, H, W, 3) batch of an .npy (memory-mapped) or an .npz (`arr_0`, the ADM convention)."""
    return _array_source(_read_batch(path), str(path), how)


def array_source(images: Any, how: Opening) -> ImageSource:
    """A uint8 array or tensor."""
    return _array_source(to_nhwc(images), type(images).__name__, how)


def to_nhwc(images: Any) -> NDArray[np.uint8]:
    """A uint8 array or tensor as (N, H, W, 3); a tensor or ambiguous shape counts as (N, 3, H, W)."""
    array = as_array(images, type(images).__name__, "uint8 images (N, 3, H, W)")
    channels_first = array.ndim == 4 and array.shape[1] == 3 and (is_tensor(images) or array.shape[3] != 3)
    if channels_first:
        array = array.transpose(0, 2, 3, 1)
    return _check_batch(array, type(images).__name__)


def _read_batch(path: Path) -> NDArray[np.uint8]:
    check_numpy_file(path)
    try:
        if path.suffix.lower() == ".npy":
            return _check_batch(read_npy(path), str(path))
        with np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
            key = "arr_0" if "arr_0" in keys else keys[0] if len(keys) == 1 else None
            if key is None:
                raise InputError(f"{path}: expected an image batch named arr_0, found {', '.join(keys) or 'nothing'}")
            return _check_batch(read_member(archive, key), str(path))
    except InputError:
        raise
    except Exception as error:  # ValueError, OSError, BadZipFile, zlib.error, TokenError, ...
        raise InputError(f"{path}: {explain_numpy_error(error)}") from error


def _check_batch(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
        raise InputError(
            f"{name}: expected uint8 images (N, H, W, 3), got {array.dtype} of shape {array.shape}; "
            "for features use a .safetensors file of `cmmd embed`"
        )
    return array


def _array_source(batch: NDArray[np.uint8], name: str, how: Opening) -> ImageSource:
    width = len(str(len(batch) - 1))
    return ImageSource(name, [(f"{i:0{width}d}", _row_loader(batch, i)) for i in range(len(batch))], how.policy)


def _row_loader(batch: NDArray[np.uint8], row: int) -> Load:
    return of_pixels(lambda: Picture(np.ascontiguousarray(batch[row]), "array"))
