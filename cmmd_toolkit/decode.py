"""One picture: bytes in, RGB uint8 out, with a note on every conversion that was made.

Two policies. "upright" (the default) turns a picture by its EXIF orientation, places alpha over white
and scales 16-bit grey to 8 bits. "plain" is what the peers do: Pillow's `convert("RGB")` and nothing
else, so alpha is dropped, orientation ignored and 16-bit grey clipped at 255. The recipes that
reproduce a peer use "plain".
"""

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import PictureError

DecodePolicy = Literal["upright", "plain"]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 178_956_970  # 512 MiB of RGB: Pillow's own line between a large picture and a bomb
_EXIF_ORIENTATION = 0x0112
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_GREY16_MODES = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Picture:
    """A decoded picture: pixels uint8 (H, W, 3), its stored format, and what was converted."""

    pixels: NDArray[np.uint8]
    format: str
    notes: tuple[str, ...] = ()


def decode(data: bytes, name: str, policy: DecodePolicy = "upright") -> Picture:
    """Decode one encoded picture. `name` appears in the message of a PictureError."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return convert(image, name, policy)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise PictureError(f"{name}: is not a picture in any of {kinds}; remove it or use --on-error skip") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(_bomb_message(name)) from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... on damage
        reason = str(error).split("\n")[0] or type(error).__name__
        raise PictureError(f"{name}: damaged picture ({reason}); replace it or use --on-error skip") from error


def convert(image: Image.Image, name: str, policy: DecodePolicy) -> Picture:
    """An opened Pillow image under `policy`. Raises PictureError for what cannot be shown as RGB."""
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(_bomb_message(name))
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append("first frame of several")
    image.load()
    kind = "JPEG" if image.format == "MPO" else image.format or "array"
    if policy == "plain":
        return Picture(np.asarray(image.convert("RGB")), kind, tuple(notes))
    if image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9):
        image = ImageOps.exif_transpose(image)
        notes.append("turned upright by EXIF")
    return Picture(_to_rgb(image, name, kind, notes), kind, tuple(notes))


def _to_rgb(image: Image.Image, name: str, kind: str, notes: list[str]) -> NDArray[np.uint8]:
    """The pixels as RGB, appending to `notes` what had to be converted."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        notes.append("alpha placed over white")
        return np.asarray(_over_white(image.convert("RGBA")))
    if image.mode in _GREY16_MODES or (image.mode == "I" and kind == "PNG"):
        notes.append("16-bit grey scaled to 8 bits")
        grey = np.rint(np.asarray(image).astype(np.float64) / 257.0).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise PictureError(
            f"{name}: pixels of type {image.mode} (32 bits) have no defined white; save it with 8 or 16 bits a channel"
        )
    if image.mode != "RGB":
        notes.append({"L": "grey", "1": "black and white", "P": "palette"}.get(image.mode, image.mode) + " to RGB")
    return np.asarray(image.convert("RGB"))


def _over_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _bomb_message(name: str) -> str:
    return f"{name}: more than {MAX_PIXELS:,} pixels, taken for a decompression bomb; reduce it or use --on-error skip"


def check_pixels(pixels: Any, name: str) -> NDArray[np.uint8]:
    """An (H, W, 3) uint8 array as it is, or a PictureError that says what was given."""
    array = np.asarray(pixels)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise PictureError(
            f"{name}: expected uint8 RGB pixels (H, W, 3), got {array.dtype} of shape {array.shape}; "
            "convert it to 0..255 RGB first"
        )
    return array
