"""One picture: bytes in, RGB uint8 out, with a note on every conversion that was made.

Two policies. "upright" (the default) turns a picture by its EXIF orientation, places alpha over white
and scales 12 and 16 bits a channel to 8. "plain" is what the peers do: Pillow's `convert("RGB")` and nothing
else, so alpha is dropped, orientation ignored (but in TIFF), 16-bit grey clipped and 16-bit colour cut. The
recipes that reproduce a peer use "plain".
"""

import io
import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..common.arrays import as_array
from ..errors import PictureError
from .intact import check_contents, check_end, check_intact, check_layout
from .netpbm import netpbm_pixels
from .pixels import check_palette, colours, is_deep, lower_bytes, mend_palette_and_key, raw_modes, to_rgb, turned
from .tiff_layout import silence_libtiff

DecodePolicy = Literal["upright", "plain"]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
MAX_PIXELS = 100_000_000  # rows times columns; a worker then stays below 900 MB besides the file itself
_BYTES_PER_PIXEL = 9  # while a picture is decoded, three times its RGB; what takes more has a lower limit
_EXIF_ORIENTATION = 0x0112
_SEVERAL_FRAMES = "first frame of several"
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its lines go to the terminal; ours say the same


@dataclass(frozen=True)
class Picture:
    """A decoded picture: pixels uint8 (H, W, 3), its stored format, and what was converted."""

    pixels: NDArray[np.uint8]
    format: str
    notes: tuple[str, ...] = ()


def decode(data: bytes, name: str, policy: DecodePolicy = "upright", max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode one encoded picture of at most `max_pixels`. `name` appears in the message of a PictureError."""
    try:
        check_intact(data, name)
        with _opened(data) as image:
            _check_size(image, name, max_pixels)
            pixels = check_contents(image, data, name)
            if image.format == "PPM" and policy == "upright":
                picture = Picture(*_netpbm(data))
            elif pixels is None:
                picture = convert(image, name, policy, data, max_pixels)
            else:
                picture = _decoded_jpeg(image, pixels, policy)
        check_end(data, picture.format, picture.pixels, name)
        return picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"{name}: {_unidentified(data)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{name}: more pixels than Pillow reads of this format; reduce it") from error
    except Exception as error:
        raise _damaged(error, name) from error


def _netpbm(data: bytes) -> tuple[NDArray[np.uint8], str, tuple[str, ...]]:
    pixels, notes = netpbm_pixels(data)
    return pixels, "PPM", notes


def _decoded_jpeg(image: Image.Image, pixels: NDArray[np.uint8], policy: DecodePolicy) -> Picture:
    """What `convert` would make of an opened JPEG whose RGB `pixels` (H, W, 3) are known."""
    notes = [_SEVERAL_FRAMES] if getattr(image, "is_animated", False) else []
    if policy == "plain":
        return Picture(pixels, "JPEG", tuple(notes))
    turn = _orientation(image)
    notes += ["turned upright by EXIF"] if turn != 1 else []
    notes += ["grey to RGB"] if image.mode == "L" else []
    return Picture(turned(pixels, turn), "JPEG", tuple(notes))


def convert_opened(image: Image.Image, name: str, policy: DecodePolicy, max_pixels: int = MAX_PIXELS) -> Picture:
    """`convert` of an image that the caller has opened, and whose file may be damaged or closed."""
    try:
        return convert(image, name, policy, max_pixels=max_pixels)
    except PictureError:
        raise
    except Exception as error:
        raise _damaged(error, name) from error


def _damaged(error: Exception, name: str) -> PictureError:
    """Pillow raises OSError, SyntaxError, ValueError, struct.error, ... on damage."""
    reason = str(error).split("\n")[0] or type(error).__name__
    return PictureError(f"{name}: damaged picture ({reason}); replace it or use `on_error='skip'`")


def convert(
    image: Image.Image, name: str, policy: DecodePolicy, data: bytes | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """An opened Pillow image under `policy`. Raises PictureError for what cannot be shown as RGB.

    With its encoded `data`, 16-bit colour is scaled to 8 bits; without, Pillow cuts it, and the note says so.
    """
    _check_size(image, name, max_pixels)
    check_layout(image, name)
    notes = []
    if getattr(image, "is_animated", False):  # n_frames would walk through all of them
        notes.append(_SEVERAL_FRAMES)
    kind = "JPEG" if image.format == "MPO" else image.format or "array"
    if kind == "TIFF":
        silence_libtiff()
    modes, turn, known = raw_modes(image), _orientation(image), colours(image)
    deep = is_deep(modes)
    if policy == "upright":
        mend_palette_and_key(image, modes)
    image.load()
    check_palette(image, known, name)
    if turn != 1 and (policy == "upright" or kind == "TIFF"):
        notes.append("turned upright by EXIF" if kind != "TIFF" else "turned upright by its TIFF tag")
    if policy == "plain":
        notes += ["16-bit colour cut to 8 bits"] if deep else []
        return Picture(np.asarray(image if image.mode == "RGB" else image.convert("RGB")), kind, tuple(notes))
    low = _lower_bytes(data) if deep and data is not None else None
    if deep:
        notes.append("16-bit colour " + ("cut to 8 bits" if low is None else "scaled to 8 bits"))
    left_to_turn = _orientation(image)  # Pillow has turned a TIFF while loading it
    return Picture(to_rgb(image, low, name, notes, left_to_turn), kind, tuple(notes))


def _unidentified(data: bytes) -> str:
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "is a damaged TIFF, or one of an unusual layout; save it again with 8 bits per channel"
    return f"is not a picture in any of {', '.join(FORMATS)}; remove it or use `on_error='skip'`"


def _lower_bytes(data: bytes) -> Image.Image | None:
    return lower_bytes(_opened(data))


def _opened(data: bytes) -> Image.Image:
    """As Image.open, which knows only its own limit of pixels."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        plugins = (Image.OPEN[kind] for kind in FORMATS)  # Image.open has registered them as far as its own find
        factory = next(factory for factory, accept in plugins if accept is not None and accept(data[:16]))
        return factory(io.BytesIO(data), "")


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    size, taken = image.width * image.height, _bytes_per_pixel(image)
    if size * max(taken, _BYTES_PER_PIXEL) > max_pixels * _BYTES_PER_PIXEL:
        most, why = f"{max_pixels:,}", "possibly a decompression bomb"
        if size <= max_pixels:
            most = f"{int(max_pixels * _BYTES_PER_PIXEL / taken):,}"
            why = f"the limit for a {image.format} that takes {taken:g} bytes per pixel while it is decoded"
        shown = f"{image.width} x {image.height}"
        raise PictureError(f"{name}: {shown} pixels are more than {most}, {why}; reduce it or raise `max_pixels`")


def _bytes_per_pixel(image: Image.Image) -> float:
    """What decoding takes where it may be more than for other pictures: coefficients, or an animation."""
    if image.format == "WEBP":  # Pillow decodes each as an animation: two canvases, a frame and its copy
        return 16
    layers = [(wide, tall) for _, wide, tall, _ in getattr(image, "layer", ())]
    if not image.info.get("progressive") or not layers:
        return 0
    whole = max(wide for wide, _ in layers) * max(tall for _, tall in layers)
    return float(4 + 2 * sum(wide * tall for wide, tall in layers) / whole)  # pixels, and 16 bits a coefficient


def _orientation(image: Image.Image) -> int:
    """2 to 8 where the picture is to be turned; 1 for everything else that is written there."""
    found = image.getexif().get(_EXIF_ORIENTATION, 1)
    return found if isinstance(found, int) and 2 <= found <= 8 else 1


def check_pixels(pixels: Any, name: str) -> NDArray[np.uint8]:
    """An (H, W, 3) uint8 array as it is, or a PictureError that says what was given."""
    array = as_array(pixels, name, "uint8 RGB pixels (H, W, 3)")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise PictureError(
            f"{name}: expected uint8 RGB pixels (H, W, 3), got {array.dtype} of shape {array.shape}; "
            "convert it to 0..255 RGB first"
        )
    return array
