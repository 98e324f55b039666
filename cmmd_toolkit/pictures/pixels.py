"""The pixels of an opened picture as RGB uint8, strip by strip, so that no second copy of the whole is made.

Deep pictures: Pillow reads 16-bit grey as it is, and of 16-bit colour only the upper bytes. Those are read twice,
the second time with the byte order turned, which gives the lower bytes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImagePalette

from ..errors import PictureError

STRIP = 1 << 16  # pixels converted at a time
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_GREY16_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _COLOURS = 258, 262, 284, 320
_BYTES_OF_COLOUR = {"RGB": 3, "BGR": 3, "BGRX": 4, "RGB;L": 3}
_WHITES = {"L;2": 3, "L;4": 15}  # of the raw modes of a PNG
_WHITE_IS_ZERO = 0
_OTHER_ORDER = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B"}
_OTHER_ORDER |= {"CMYK;16B": "CMYK;16L", "CMYK;16L": "CMYK;16B"}
_OTHER_ORDER |= {f"{mode};16N": f"{mode};16B" for mode in ("RGB", "RGBA", "CMYK")}  # the machines in use are "L"
Box = tuple[int, int, int, int]
Strip = Callable[[Box], NDArray[np.uint8]]


def raw_modes(image: Image.Image) -> list[str]:
    """How the bytes of a picture that is not loaded yet lie in its file; empty where Pillow does not say."""
    args = [tile[3] for tile in _tiles(image)]
    return [str(own[0] if isinstance(own, tuple) and own else own) for own in args]


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", ()))


def is_deep(modes: list[str]) -> bool:
    """Whether colour of 16 bits a channel would be cut to 8."""
    return any(mode.endswith((";16B", ";16L", ";16N")) and not mode.startswith("I;") for mode in modes)


def lower_bytes(image: Image.Image) -> Image.Image | None:
    """A picture that is not loaded yet so that it will yield the lower bytes; None where Pillow cannot."""
    modes = raw_modes(image)
    if getattr(image, "tag_v2", {}).get(_PLANAR) == 2 or not all(mode in _OTHER_ORDER for mode in modes):
        return None
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(_OTHER_ORDER[mode], *tile.args[1:]) if isinstance(tile.args, tuple) else _OTHER_ORDER[mode])
        for tile, mode in zip(_tiles(image), modes, strict=True)
    ]
    return image


def colours(image: Image.Image) -> int:
    """How many colours the palette of a picture that is not loaded yet has; 0 without one."""
    if image.mode != "P" or image.palette is None:
        return 0
    order, data = image.palette.getdata()
    return len(data) // _BYTES_OF_COLOUR.get(order, 3)


def check_palette(image: Image.Image, known: int, name: str) -> None:
    """Refuse pixels beyond the `known` colours: Pillow shows them black."""
    if not known or image.mode != "P":
        return
    beyond = [value for value, count in enumerate(image.histogram()) if count and value >= known]
    if set(beyond) - {image.info.get("transparency")}:
        raise PictureError(
            f"{name}: damaged picture (colour {beyond[-1]} of a palette of {known}); "
            "replace it or use `on_error='skip'`"
        )


def mend_palette_and_key(image: Image.Image, modes: list[str]) -> None:
    """What Pillow leaves unscaled: the transparent grey of a PNG of few bits, and the palette of a TIFF (it cuts)."""
    key, values = image.info.get("transparency"), getattr(image, "tag_v2", {}).get(_COLOURS)
    if image.format == "PNG" and isinstance(key, int) and image.mode == "L":
        white = _WHITES.get(modes[0] if modes else "", 255)
        image.info["transparency"] = (key & white) * 255 // white
    elif image.format == "PNG" and isinstance(key, tuple) and not is_deep(modes):
        image.info["transparency"] = tuple(part & 255 for part in key)
    elif values and image.mode in ("P", "PA"):
        scaled = _eight_bits(np.asarray(values, np.uint32), 65535)
        image.palette = ImagePalette.raw("RGB;L", scaled.tobytes())


def to_rgb(image: Image.Image, low: Image.Image | None, name: str, notes: list[str], turn: int) -> NDArray[np.uint8]:
    """A loaded picture as RGB (H, W, 3), turned by the EXIF orientation `turn`; `notes` gains what was converted.

    With the lower bytes, `low`, the picture is closed in between, so that only one of both is in memory.
    """
    strip = _strips(image, name, notes)
    if low is not None:
        return turned(_deep_colour(image, low), turn)
    pixels, target = _empty(image.size, turn)
    for box in _boxes(image.size):
        target[box[1] : box[3]] = strip(box)
    return pixels


def turned(stored: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Stored pixels (H, W, 3), turned by the EXIF orientation `turn`."""
    if turn == 1 and stored.flags.c_contiguous:
        return stored
    pixels, target = _empty((stored.shape[1], stored.shape[0]), turn)
    target[:] = stored
    return pixels


def _empty(size: tuple[int, int], turn: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Room for the upright pixels of a stored picture (width, height), and its view in the order of the file."""
    width, height = size
    pixels = np.empty((width, height, 3) if turn > 4 else (height, width, 3), np.uint8)
    return pixels, _source_view(pixels, turn)


def _boxes(size: tuple[int, int]) -> Iterator[Box]:
    """Strips of whole rows from the top: left, upper, right, lower."""
    width, height = size
    rows = max(1, STRIP // max(width, 1))
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _source_view(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """The upright pixels, seen as the file stores them."""
    view = pixels.transpose(1, 0, 2) if turn > 4 else pixels
    view = view[::-1] if turn in (3, 4, 6, 7) else view
    return view[:, ::-1] if turn in (2, 3, 7, 8) else view


def _strips(image: Image.Image, name: str, notes: list[str]) -> Strip:
    """The function that gives RGB of a box of `image`."""
    key = image.info.get("transparency")
    if image.mode in _GREY16_MODES:
        return _deep_grey(image, key, notes)
    if image.mode in ("I", "F"):
        raise PictureError(
            f"{name}: pixels of type {image.mode} (32 bits) have no defined white; save it with 8 or 16 bits a channel"
        )
    if image.mode in _ALPHA_MODES or key is not None:
        notes.append("alpha placed over white")
    elif image.mode != "RGB":
        notes.append({"L": "grey", "1": "black and white", "P": "palette"}.get(image.mode, image.mode) + " to RGB")

    return lambda box: _shallow(image.crop(box))


def _deep_colour(image: Image.Image, low: Image.Image) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of the upper and the lower bytes, made in the place of the upper ones."""
    mode, key = image.mode, image.info.get("transparency")
    pixels = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for box in _boxes(image.size):
        pixels[box[1] : box[3]] = np.asarray(image.crop(box))
    image.close()
    for box in _boxes(low.size):
        strip = pixels[box[1] : box[3]]
        values = strip.astype(np.uint32) * 256 + np.asarray(low.crop(box))
        rgb = _shallow(Image.frombytes(mode, (box[2], box[3] - box[1]), _eight_bits(values, 65535).tobytes()))
        if isinstance(key, tuple):
            rgb = np.where((values == key).all(2, keepdims=True), np.uint8(255), rgb)
        strip[..., :3] = rgb
    low.close()
    return pixels[..., :3]


def _shallow(part: Image.Image) -> NDArray[np.uint8]:
    part = part.convert("LA") if part.mode == "La" else part  # Pillow has no other way from it
    if part.mode in _ALPHA_MODES or "transparency" in part.info:
        rgba = part.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        part = Image.alpha_composite(white, rgba)
    return np.asarray(part if part.mode == "RGB" else part.convert("RGB"))


def _deep_grey(image: Image.Image, key: Any, notes: list[str]) -> Strip:
    tags = getattr(image, "tag_v2", {})
    bits = min(16, max(_bits(tags)))
    white = (1 << bits) - 1
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    notes.append(f"{bits}-bit grey scaled to 8 bits")
    if key is not None:
        notes.append("alpha placed over white")

    def strip(box: Box) -> NDArray[np.uint8]:
        values = np.asarray(image.crop(box)).astype(np.uint32)
        grey = _eight_bits(np.minimum(values, white), white)
        grey = 255 - grey if inverted else grey
        grey = grey if key is None else np.where(values == key, np.uint8(255), grey)
        return np.repeat(grey[:, :, None], 3, axis=2)

    return strip


def _bits(tags: Any) -> tuple[int, ...]:
    found = tags.get(_BITS_PER_SAMPLE) or (16,)
    return tuple(found) if isinstance(found, tuple) else (int(found),)


def _eight_bits(values: NDArray[np.uint32], white: int) -> NDArray[np.uint8]:
    """round(255 v / white), in whole numbers."""
    return ((values * 510 + white) // (2 * white)).astype(np.uint8)
