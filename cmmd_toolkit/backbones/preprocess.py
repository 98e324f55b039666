"""Resize and normalise: RGB uint8 (H, W, 3) to the float32 (3, 299, 299) that Inception is fed.

One function for each system whose numbers it reproduces; the resize is what makes their FIDs differ.
The embedding models bring their own processor instead (see backbones/hub.py). Everything here is
NumPy and Pillow (torch for torchmetrics' antialiased kernel) and runs in the decoding threads.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import PictureError
from ..pictures.decode import MAX_PIXELS
from .clean_resize import clean_resize

Pixels = NDArray[np.uint8]
NetworkInput = NDArray[np.float32]
Preprocess = Callable[[Pixels], NetworkInput]
Grid = Literal["centred", "corner"]

INCEPTION_SIZE = 299


def pytorch_fid(pixels: Pixels) -> NetworkInput:
    """pytorch-fid 0.3.0: to 0..1, bilinear without antialiasing on pixel centres, 2 x - 1."""
    scaled = pixels.astype(np.float32) / np.float32(255)
    return np.float32(2) * _bilinear(scaled, "centred") - np.float32(1)


def torch_fidelity(pixels: Pixels) -> NetworkInput:
    """torch-fidelity 0.4.0: TensorFlow 1 bilinear (source = i in/out, no half pixels), (x - 128) / 128."""
    return _centred(_bilinear(pixels.astype(np.float32), "corner"))


def clean_fid(pixels: Pixels) -> NetworkInput:
    """clean-fid 0.1.35 "clean": antialiased bicubic on float channels, clipped, (x - 128) / 128."""
    resized = clean_resize(pixels, INCEPTION_SIZE)
    return _centred(np.clip(resized, 0, 255, out=resized))


def torchmetrics(pixels: Pixels) -> NetworkInput:
    """torchmetrics >= 1.8: torch's antialiased bilinear on floats, (x - 128) / 128."""
    import torch

    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    size = (INCEPTION_SIZE, INCEPTION_SIZE)
    resized = torch.nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
    return _centred(np.asarray(resized[0]))


INCEPTION_PREPROCESSES: dict[str, Preprocess] = {
    "pytorch-fid": pytorch_fid,
    "clean-fid": clean_fid,
    "torch-fidelity": torch_fidelity,
    "torchmetrics": torchmetrics,
}


def square_crop(image: Image.Image, size: int) -> Image.Image:
    """Released CMMD: centre crop to the short side, then bicubic to size x size (336) on 8 bits."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)


def check_enlarged(pixels: Pixels, short_side: int | None) -> None:
    """Raise PictureError where a picture would have more than 100 megapixels once its short side has so many.

    A line of pixels, small as a file, would be enlarged to gigabytes, and all but its middle cut off again.
    """
    height, width = pixels.shape[:2]
    enlarged = 0 if short_side is None else short_side**2 * max(height, width) // min(height, width)
    if enlarged > MAX_PIXELS:
        size = f"{short_side} on the short side, to which the network resizes"
        raise PictureError(f"{width} x {height} pixels would be {enlarged:,} with {size}")


def _centred(values: NetworkInput) -> NetworkInput:
    """0..255 to about -1..1, in place."""
    values -= np.float32(128)
    values *= np.float32(1 / 128)  # a power of two: exactly the quotient, in less time
    return values


def _bilinear(pixels: NDArray[np.float32], grid: Grid) -> NetworkInput:
    """Two-tap bilinear resize to 299 x 299, float32 (H, W, 3) to (3, 299, 299)."""
    below, above, weight = _taps(pixels.shape[0], grid)
    rows = _mix(pixels[below], pixels[above], weight[:, None, None])
    below, above, weight = _taps(pixels.shape[1], grid)
    columns = rows.transpose(1, 0, 2)
    return np.ascontiguousarray(_mix(columns[below], columns[above], weight[:, None, None]).transpose(2, 1, 0))


def _mix(below: NDArray[np.float32], above: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    above = above - below
    above *= weight
    above += below
    return above


@lru_cache(maxsize=256)
def _taps(length: int, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each of the 299 outputs: the two input indices and the weight of the second.

    In float32, as the peers do: float64 weights differ from theirs by up to 4e-5 of a pixel value.
    """
    scale = np.float32(length) / np.float32(INCEPTION_SIZE)
    index = np.arange(INCEPTION_SIZE, dtype=np.float32)
    position = index * scale
    if grid == "centred":
        position = np.maximum(scale * (index + np.float32(0.5)) - np.float32(0.5), np.float32(0))
    below = position.astype(np.int64)
    return below, np.minimum(below + 1, length - 1), position - below.astype(np.float32)
