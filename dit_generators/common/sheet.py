"""Contact sheets: pictures in a grid, with captions where they are given."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cmmd_toolkit.common.writing import replacing

_LEAST_EDGE = 64  # smaller pictures are enlarged by whole factors, or nobody sees them
_LEAST_EDGE_WITH_CAPTION = 112
_GAP = 4
_CAPTION_SIZE = 13


def contact_sheet(
    pictures: Sequence[NDArray[np.uint8]], columns: int | None = None, captions: Sequence[str] = ()
) -> Image.Image:
    """Pictures (H, W, 3) or (H, W, 1) of one size in rows of `columns` (about a square); each may have a caption."""
    columns = columns or math.ceil(len(pictures) ** 0.5)
    least = _LEAST_EDGE_WITH_CAPTION if captions else _LEAST_EDGE
    factor = max(1, -(-least // pictures[0].shape[0]))
    height, width = (edge * factor for edge in pictures[0].shape[:2])
    font = ImageFont.load_default(_CAPTION_SIZE)
    above = 3 * _CAPTION_SIZE if captions else 0
    rows = -(-len(pictures) // columns)
    size = (columns * (width + _GAP) + _GAP, rows * (height + above + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for i, picture in enumerate(pictures):
        x, y = _GAP + i % columns * (width + _GAP), _GAP + i // columns * (height + above + _GAP)
        sheet.paste(as_image(picture).convert("RGB").resize((width, height), Image.Resampling.NEAREST), (x, y + above))
        if i < len(captions):
            draw.text((x, y + 2), captions[i], fill="black", font=font)
    return sheet


def as_image(picture: NDArray[np.uint8]) -> Image.Image:
    """A picture (H, W, 3) or (H, W, 1) for Pillow."""
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def save_image(image: Image.Image, target: Path) -> None:
    """Write a PNG atomically."""
    with replacing(target) as temporary:
        image.save(temporary)
