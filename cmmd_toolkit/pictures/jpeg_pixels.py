"""The pixels of a JPEG, decoded and found whole in one pass.

simplejpeg and Pillow carry the same decoder, libjpeg-turbo, with the same choices (exact integer DCT, smooth
upsampling), so their pixels are equal to the last bit; simplejpeg makes errors of the warnings of damage that Pillow
passes over. Grey and three colours of 8 bits are decoded here, all else is left to Pillow.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from .jpeg_whole import pixel_damage, warned_damage

_COLOURS = {"L": ("Gray",), "RGB": ("YCbCr", "RGB")}  # of an opened picture, and what simplejpeg says then


def decode_whole(image: Image.Image, data: bytes) -> tuple[NDArray[np.uint8] | None, str | None]:
    """RGB (H, W, 3) of an opened JPEG as the file stores it, None where Pillow is to decode it; and what is damaged."""
    import simplejpeg

    if image.mode not in _COLOURS or not _same_decoder():
        return None, pixel_damage(data)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != image.size or colours not in _COLOURS[image.mode]:
            return None, pixel_damage(data)
        return simplejpeg.decode_jpeg(data, "RGB", strict=True), None
    except ValueError as error:
        return None, warned_damage(error)


@cache
def _same_decoder() -> bool:
    """Whether this Pillow carries libjpeg-turbo, too; other libjpegs differ in the last bit."""
    return bool(features.check_feature("libjpeg_turbo"))
