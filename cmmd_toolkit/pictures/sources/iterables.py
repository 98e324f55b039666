"""Iterables of pictures: Pillow images, paths and uint8 arrays, read once and in order."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ...common.arrays import shape_of
from ...common.files import path_of
from ...errors import ArgumentError, InputError, PictureError
from ..decode import Picture, check_pixels, convert_opened
from ..load import Load, of_pixels, refusal
from .arrays import to_nhwc
from .folders import file_loader
from .source import ImageSource, Opening


def iterable_source(pictures: Iterable[Any], how: Opening) -> ImageSource:
    """A sequence has a length; everything else streams."""
    named = ((f"{i:06d}", object_loader(item, f"picture {i}", how)) for i, item in enumerate(pictures))
    items = list(named) if isinstance(pictures, Sequence) else named
    return ImageSource(type(pictures).__name__, items, how.policy)


def object_loader(item: Any, name: str, how: Opening) -> Load:
    """One picture of any kind; `name` is what messages call it."""
    if isinstance(item, (str, os.PathLike)):
        return _path_loader(item, name, how)

    def read() -> Picture:
        try:
            return _read_object(item, name, how)
        except PictureError:
            raise
        except (ArgumentError, InputError) as error:
            raise PictureError(f"{name}: {error}") from error

    return of_pixels(read)


def _path_loader(item: str | os.PathLike[str], name: str, how: Opening) -> Load:
    try:
        return file_loader(path_of(item), str(item), how)
    except (ArgumentError, InputError) as error:
        return refusal(PictureError(f"{name}: {error}"))


def _read_object(item: Any, name: str, how: Opening) -> Picture:
    if isinstance(item, Image.Image):
        return convert_opened(item, name, how.policy, how.max_pixels)
    if len(shape_of(item)) == 3:
        return Picture(np.ascontiguousarray(to_nhwc(item[None])[0]), "array")
    return Picture(check_pixels(item, name), "array")
