"""Arrays and tensors of uint8 pixels, which have no encoding of their own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...common.arrays import as_array, is_tensor
from ...errors import InputError
from ..decode import Picture
from ..load import Load, of_pixels
from .source import ImageSource, Opening


def array_source(images: Any, how: Opening) -> ImageSource:
    """A uint8 array or tensor."""
    return whole_batch(to_nhwc(images), type(images).__name__, how)


def whole_batch(batch: NDArray[np.uint8], name: str, how: Opening) -> ImageSource:
    """A uint8 (N, H, W, 3) array."""
    return ImageSource(name, [(row_name(i, len(batch)), _row_loader(batch, i)) for i in range(len(batch))], how.policy)


def row_name(row: int, total: int) -> str:
    """What a picture is called that has a number only."""
    return f"{row:0{len(str(total - 1))}d}"


def to_nhwc(images: Any) -> NDArray[np.uint8]:
    """A uint8 array or tensor as (N, H, W, 3); a tensor or ambiguous shape counts as (N, 3, H, W)."""
    array = as_array(images, type(images).__name__, "uint8 images (N, 3, H, W)")
    channels_first = array.ndim == 4 and array.shape[1] == 3 and (is_tensor(images) or array.shape[3] != 3)
    if channels_first:
        array = array.transpose(0, 2, 3, 1)
    check_batch(array.dtype, array.shape, type(images).__name__)
    return array


def check_batch(kind: np.dtype[Any], shape: tuple[int, ...], name: str) -> None:
    """Raise InputError for anything but uint8 (N, H, W, 3)."""
    if kind != np.uint8 or len(shape) != 4 or shape[3] != 3 or min(shape) < 1:
        raise InputError(
            f"{name}: expected uint8 images (N, H, W, 3), got {kind} of shape {shape}; "
            "for features use a .safetensors file of `cmmd embed`"
        )


def _row_loader(batch: NDArray[np.uint8], row: int) -> Load:
    return of_pixels(lambda: Picture(np.ascontiguousarray(batch[row]), "array"))
