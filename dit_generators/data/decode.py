"""A picture of a file, decoded as `cmmd_toolkit` decodes it for scoring."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.pictures.decode import MAX_PIXELS
from cmmd_toolkit.pictures.sources import open_images

from ..errors import DataError


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """uint8 RGB (H, W, 3), upright, over white. Raises DataError with the toolkit's reason."""
    ((_, load),) = open_images([path], max_pixels=max_pixels)
    try:
        return load().pixels
    except CmmdError as error:
        raise DataError(str(error).replace(" or use `on_error='skip'`", " or take it out")) from error
