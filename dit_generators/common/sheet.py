"""Contact sheets: pictures in a grid, with headings for its columns and rows where they are given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cmmd_toolkit.common.writing import replacing

_LEAST_EDGE = 64  # smaller pictures are enlarged by whole factors, or nobody sees them
_GAP, _GROUP_GAP = 4, 16
_SIZE = 13  # of the letters
_INK = (20, 20, 20)


@dataclass(frozen=True)
class Headings:
    """What stands above the columns and before the rows; each column heading is over `span` pictures, a group."""

    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    span: int = 1


NO_HEADINGS = Headings()


def contact_sheet(
    pictures: Sequence[NDArray[np.uint8]], columns: int | None = None, headings: Headings = NO_HEADINGS
) -> Image.Image:
    """Pictures (H, W, 3) or (H, W, 1) of one size in rows of `columns`, about a square where that is left open.

    Small ones are enlarged without smoothing. Lines of a heading are separated by a line feed.
    """
    columns = columns or math.ceil(len(pictures) ** 0.5)
    rows = -(-len(pictures) // columns)
    factor = max(1, -(-_LEAST_EDGE // pictures[0].shape[0]))
    height, width = (edge * factor for edge in pictures[0].shape[:2])
    lefts, tops = _places(headings, (width, height), columns, rows)
    right = max(lefts[-1] + width + _GAP, *(left + _width(text) for left, text in _over(headings, lefts)), 0)
    sheet = Image.new("RGB", (right, tops[-1] + height + _GAP), "white")
    for i, picture in enumerate(pictures):
        place = lefts[i % columns], tops[i // columns]
        sheet.paste(as_image(picture).convert("RGB").resize((width, height), Image.Resampling.NEAREST), place)
    _write(ImageDraw.Draw(sheet), headings, lefts, [top + height // 2 for top in tops])
    return sheet


def _places(headings: Headings, size: tuple[int, int], columns: int, rows: int) -> tuple[list[int], list[int]]:
    """The left edge of each column and the upper edge of each row; groups stand apart."""
    (width, height), span = size, headings.span
    before = max((_width(text) for text in headings.rows), default=0)
    above = max((_height(text) for text in headings.columns), default=0)
    widest = max((_width(text) for text in headings.columns), default=0)
    group = max(span * (width + _GAP) + (_GROUP_GAP if span > 1 else 0), widest + _GROUP_GAP if widest else 0)
    lefts = [_GAP + before + i // span * group + i % span * (width + _GAP) for i in range(columns)]
    step = max(height + _GAP, max((_height(text) for text in headings.rows), default=0))
    return lefts, [_GAP + above + i * step for i in range(rows)]


def _write(draw: ImageDraw.ImageDraw, headings: Headings, lefts: Sequence[int], middles: Sequence[int]) -> None:
    for left, text in _over(headings, lefts):
        draw.multiline_text((left, _GAP), text, fill=_INK, font=_font())
    for middle, text in zip(middles, headings.rows, strict=False):
        draw.multiline_text((_GAP, middle), text, fill=_INK, font=_font(), anchor="lm")


def _over(headings: Headings, lefts: Sequence[int]) -> list[tuple[int, str]]:
    """The left edge of each group of columns, with its heading."""
    return list(zip(lefts[:: headings.span], headings.columns, strict=False))


def _width(text: str) -> int:
    return math.ceil(max(_font().getlength(line) for line in text.splitlines())) + 2 * _GAP


def _height(text: str) -> int:
    return (text.count("\n") + 1) * (_SIZE + 4) + _GAP


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)


def as_image(picture: NDArray[np.uint8]) -> Image.Image:
    """A picture (H, W, 3) or (H, W, 1) for Pillow."""
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def save_image(image: Image.Image, target: Path) -> None:
    """Write a PNG atomically."""
    with replacing(target) as temporary:
        image.save(temporary)
