"""The contact sheet of an explanation: blocks of pictures in a grid of equal cells on white, a caption under each."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from ..common.files import atomic_path
from ..common.text import fixed_text, number_text, printable
from ..errors import ArgumentError, InputError
from .modes import mode_sentence

if TYPE_CHECKING:
    from ..pictures.load import Load
    from .contrast import Contrast
    from .explanation import Explanation
    from .modes import Mode
    from .section import Entry, Pictures

COLUMNS, CELL, GAP, MARGIN = 8, 192, 14, 24  # a whole multiple of 32, 48, 64 and 96 pixels
HEAD = 62  # of a block: title and note
CAPTION = 52  # under a picture: two lines
MOST = 512  # pictures a block: a sheet is held in memory
WIDTH = 2 * MARGIN + COLUMNS * CELL + (COLUMNS - 1) * GAP
_INK, _GREY, _FRAME = (20, 20, 20), (95, 95, 95), (205, 205, 205)


@dataclass(frozen=True)
class Cell:
    """One picture: how to read it, and two lines under it."""

    load: "Load"
    name: str
    value: str


@dataclass(frozen=True)
class Block:
    """A title, a line below it, and cells; a block without cells is its two lines."""

    title: str
    note: str
    cells: Sequence[Cell]


def save_blocks(pictures: Sequence["Pictures"], blocks: Callable[[], Sequence[Block]], path: Path) -> None:
    """Write a sheet of blocks, or raise InputError where no set holds pictures."""
    check_sheet_name(path)
    if all(isinstance(own, str) for own in pictures):
        raise InputError(f"{path}: not written: {pictures[-1]}")
    with atomic_path(path) as temporary:
        draw_sheet(blocks()).save(temporary, format="PNG")


def check_sheet_name(path: Path) -> None:
    """Raise ArgumentError unless the name is that of a PNG."""
    if path.suffix.lower() != ".png":
        raise ArgumentError(f"{path}: expected a name that ends in .png")


def explanation_blocks(explanation: "Explanation") -> list[Block]:
    """For each backbone over-represented generated pictures, under-represented reference ones, strays, and modes."""
    (reference, generated), blocks = explanation.pictures, []
    real, made = explanation.short_names
    for section in explanation.sections:
        value = f"Squared MMD {number_text(section.squared_mmd.value, section.squared_mmd.standard_error)}"
        blocks += [
            _block(
                f"{section.backbone}: over-represented generated pictures, {made}",
                f"Lowest witness: far from the reference, crowded by generated pictures. {value}.",
                section.alien,
                generated,
            ),
            _block(
                f"{section.backbone}: under-represented reference pictures, {real}",
                "Highest witness: real pictures where generated ones are rare.",
                section.uncovered,
                reference,
            ),
            _block(
                f"{section.backbone}: strays among the generated pictures, {made}",
                "Farthest from every real picture. A few of them hardly move squared MMD.",
                section.strays,
                generated,
                "distance",
            ),
        ]
        if section.modes is not None:
            blocks += [
                _mode_block(explanation, section.backbone, place, own)
                for place, own in enumerate(section.modes.kinds, 1)
            ]
    return blocks


def _mode_block(explanation: "Explanation", backbone: str, place: int, mode: "Mode") -> Block:
    """A row of pictures of the set that has more of a kind."""
    reference, generated = zip(explanation.pictures, explanation.short_names, strict=True)
    pictures, name = generated if mode.shows_generated else reference
    title = f"{backbone}: {mode_sentence(mode, place)}"
    if isinstance(pictures, str):
        return Block(title, f"Not shown: {pictures}", ())
    cells = [Cell(pictures[own.row], own.name, "") for own in mode.typical]
    return Block(title, f"Typical pictures of {name}, which has more of them here. Below each: name.", cells)


def contrast_blocks(contrast: "Contrast") -> list[Block]:
    """Four blocks for each backbone: the worst pictures of both sets, and reference pictures nearer to either."""
    from .contrast import contrast_lists

    reference, first, second = contrast.pictures
    sides = first, second, reference, reference
    return [
        _block(
            f"{section.backbone}: {title[:1].lower()}{title[1:]}",
            f"S{section.values_text[1:]}." if place == 0 else "",  # said once for a backbone
            entries,
            sides[place],
        )
        for section in contrast.sections
        for place, (entries, title) in enumerate(contrast_lists(section, contrast.short_names))
    ]


def _block(title: str, note: str, entries: Sequence["Entry"], pictures: "Pictures", shown: str = "witness") -> Block:
    if isinstance(pictures, str):
        return Block(title, f"Not shown: {pictures}", ())
    values = [fixed_text(own.witness, 4, "+") if shown == "witness" else fixed_text(own.distance, 4) for own in entries]
    cells = [Cell(pictures[own.row], own.name, value) for own, value in zip(entries, values, strict=True)]
    return Block(title, f"{note} Below each: name and {shown}.".strip(), cells)


def draw_sheet(blocks: Sequence[Block]) -> Image.Image:
    """The blocks below each other, RGB, WIDTH wide; one picture is in memory at a time."""
    heights = [block_height(min(len(block.cells), MOST)) for block in blocks]
    sheet = Image.new("RGB", (WIDTH, 2 * MARGIN + sum(heights)), "white")
    draw, top = ImageDraw.Draw(sheet), MARGIN
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow warns of is checked in decode.py
        for block, height in zip(blocks, heights, strict=True):
            _draw_block(sheet, draw, block, top)
            top += height
    return sheet


def block_height(count: int) -> int:
    """The height of a block of that many cells."""
    rows = -(-count // COLUMNS)
    return HEAD + rows * (CELL + CAPTION) + GAP


def cell_corner(top: int, number: int) -> tuple[int, int]:
    """Left upper corner of a block's cell; `top` is the block's own."""
    row, column = divmod(number, COLUMNS)
    return MARGIN + column * (CELL + GAP), top + HEAD + row * (CELL + CAPTION)


def _draw_block(sheet: Image.Image, draw: ImageDraw.ImageDraw, block: Block, top: int) -> None:
    title, note, small = _font(20), _font(14), _font(13)
    left = f" (the first {MOST} of {len(block.cells):,})" if len(block.cells) > MOST else ""
    width = WIDTH - 2 * MARGIN
    draw.text((MARGIN, top), _start(block.title + left, title.getlength, width), _INK, title)
    draw.text((MARGIN, top + 30), _start(block.note, note.getlength, width), _GREY, note)
    for number, cell in enumerate(block.cells[:MOST]):
        x, y = cell_corner(top, number)
        _paste(sheet, draw, fitted(cell), x, y)
        draw.text((x, y + CELL + 4), _end(cell.name, small.getlength, CELL), _INK, small)
        draw.text((x, y + CELL + 21), _start(cell.value, small.getlength, CELL), _GREY, small)


def fitted(cell: Cell) -> Image.Image:
    """The picture in its shape: a large one reduced to the cell, a small one enlarged by a whole factor, unsmoothed."""
    image = Image.fromarray(cell.load().pixels)
    if factor := CELL // max(image.size):
        return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)
    width, height = (max(1, round(side * CELL / max(image.size))) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image, x: int, y: int) -> None:
    """Above its caption, in the middle of the cell's height, in a thin frame: pictures may be as white as the sheet."""
    y += (CELL - picture.height) // 2
    sheet.paste(picture, (x, y))
    draw.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=_FRAME)


def _start(text: str, length: Callable[[str], float], width: int) -> str:
    """As much of the beginning as there is room for."""
    text = kept = printable(text)
    while length(kept) > width:
        text = text[:-1]
        kept = text + "…"
    return kept


def _end(text: str, length: Callable[[str], float], width: int) -> str:
    """As much of the end as there is room for: it tells file names apart."""
    text = kept = printable(text)
    while length(kept) > width:
        text = text[1:]
        kept = "…" + text
    return kept


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has letters beyond Latin."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
