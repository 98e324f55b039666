"""Contact sheets: every picture whole, enlarged without smoothing, under its heading."""

import numpy as np
import pytest
from PIL import Image

from dit_generators.common.sheet import Headings, contact_sheet


def noise(count: int, edge: int, channels: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 200, (edge, edge, channels), np.uint8) for _ in range(count)]


def where(sheet: Image.Image, picture: np.ndarray, factor: int) -> tuple[int, int]:
    """The left upper corner of a picture on a sheet, which must hold it exactly once."""
    pixels, wanted = np.asarray(sheet), np.repeat(np.repeat(picture, factor, 0), factor, 1)
    wanted = np.broadcast_to(wanted, (*wanted.shape[:2], 3))
    height, width = wanted.shape[:2]
    corner = (pixels[: -height + 1, : -width + 1] == wanted[0, 0]).all(axis=-1)
    found = [
        (int(x), int(y))
        for y, x in zip(*np.nonzero(corner), strict=True)
        if np.array_equal(pixels[y : y + height, x : x + width], wanted)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("edge", "channels", "factor"), [(8, 1, 8), (24, 3, 3), (64, 3, 1), (90, 3, 1)])
def test_pictures_stand_in_rows_each_pixel_a_square(edge: int, channels: int, factor: int) -> None:
    pictures = noise(7, edge, channels)
    places = [where(contact_sheet(pictures, 3), picture, factor) for picture in pictures]
    assert len({x for x, _ in places}) == 3
    assert len({y for _, y in places}) == 3
    assert places == sorted(places, key=lambda place: (place[1], place[0]))


def test_headings_have_room_of_their_own_and_stand_over_their_group() -> None:
    pictures = noise(8, 64)
    headings = Headings(["50 steps", "a heading wider than two pictures of its group"], ["full\nguidance 4", "swa"], 2)
    bare, sheet = contact_sheet(pictures, 4), contact_sheet(pictures, 4, headings)
    places = [where(sheet, picture, 1) for picture in pictures]
    assert sheet.width > bare.width
    assert sheet.height > bare.height
    lefts, tops = sorted({x for x, _ in places}), sorted({y for _, y in places})
    pixels = np.asarray(sheet.convert("L"))
    above, before = pixels[: tops[0] - 1], pixels[tops[0] :, : lefts[0] - 1]
    assert above[:, : lefts[0]].min() == 255
    assert above[:, lefts[0] : lefts[2]].min() < 100
    assert above[:, lefts[2] :].min() < 100
    assert above[:, -4:].min() == 255  # the heading is not cut
    assert all(before[top - tops[0] :][:64].min() < 100 for top in tops)
    assert lefts[2] - lefts[1] > lefts[1] - lefts[0]
