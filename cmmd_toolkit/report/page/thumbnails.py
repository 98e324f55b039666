"""Small copies of pictures for a page: one file each, and all of a map on one sheet."""

import io
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...common.progress import Advance
from ...errors import CmmdError
from ...pictures.load import Load
from ...pictures.sources import Again
from ..section import Pictures
from .render import data_address

EDGE = 120  # of a thumbnail, at most
SMALL = 64  # pictures up to there are kept as they are, and enlarged without smoothing
TILE = 64  # of a picture on the sheet of a map
COLUMNS = 40
_QUALITY, _TILE_QUALITY = 82, 74
_CHUNK, _MOST_THREADS = 64, 8
_WHITE = 255


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture as an address, its size in pixels, and whether it is shown without smoothing."""

    address: str
    width: int
    height: int
    is_small: bool


@dataclass(frozen=True)
class Unreadable:
    """Why a picture is not shown."""

    reason: str


Thumbnails = dict[int, Thumbnail | Unreadable]


def read_set(
    pictures: Pictures, single: Collection[int], tiled: Sequence[int], advance: Advance
) -> tuple[Thumbnails, str]:
    """Thumbnails of the rows `single`, and the address of a sheet of the rows `tiled`, in one pass; "" without any."""
    if isinstance(pictures, str):
        return {row: Unreadable(pictures) for row in single}, ""
    found: Thumbnails = {}
    places = {row: place for place, row in enumerate(tiled)}
    lines = -(-len(tiled) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, max(lines, 1) * TILE), (_WHITE, _WHITE, _WHITE))
    for row, picture in _read(pictures, sorted({*single, *tiled})):
        if row in single:
            found[row] = picture if isinstance(picture, Unreadable) else _thumbnail(picture)
        if row in places and not isinstance(picture, Unreadable):
            _paste(sheet, picture, places[row])
        advance(1)
    return found, _address(sheet, "JPEG", _TILE_QUALITY) if tiled else ""


def _read(pictures: Pictures, rows: Sequence[int]) -> Iterator[tuple[int, Image.Image | Unreadable]]:
    """Each picture no larger than a thumbnail, in the order of the rows; a few are in memory at a time."""
    assert not isinstance(pictures, str)
    loads = pictures.walk(rows) if isinstance(pictures, Again) else ((row, pictures[row]) for row in rows)
    missing = set(rows)
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        try:
            while chunk := list(islice(loads, _CHUNK)):
                missing -= {row for row, _ in chunk}
                yield from zip((row for row, _ in chunk), pool.map(_reduced, (load for _, load in chunk)), strict=True)
        except CmmdError as error:
            yield from ((row, Unreadable(str(error))) for row in sorted(missing))
            return
    yield from ((row, Unreadable("is no longer in its set")) for row in sorted(missing))


def _reduced(load: Load) -> Image.Image | Unreadable:
    try:
        pixels = load().pixels
    except CmmdError as error:
        return Unreadable(str(error))
    return reduced(pixels)


def reduced(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture, its longer edge at most EDGE; smaller ones as they are."""
    image = Image.fromarray(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is checked in decode.py
        image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    return image


def _thumbnail(image: Image.Image) -> Thumbnail:
    is_small = max(image.size) <= SMALL
    address = _address(image, "PNG") if is_small else _address(image, "JPEG", _QUALITY)
    return Thumbnail(address, *image.size, is_small)


def _paste(sheet: Image.Image, picture: Image.Image, place: int) -> None:
    """In the middle of its tile; a small one is enlarged by a whole factor."""
    factor, tile = TILE // max(picture.size), picture.copy()
    if factor > 1:
        tile = tile.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    tile.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    line, column = divmod(place, COLUMNS)
    left, top = column * TILE + (TILE - tile.width) // 2, line * TILE + (TILE - tile.height) // 2
    sheet.paste(tile, (left, top))


def _address(image: Image.Image, form: str, quality: int = 0) -> str:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, form, optimize=True, **({"quality": quality} if quality else {}))
    return data_address(stream.getvalue(), form.lower())
