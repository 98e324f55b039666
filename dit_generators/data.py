"""Pictures of a folder as square arrays: found, ordered, checked, cropped, and kept in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import DataError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_RANDOM_MARGIN = 8 / 7  # random crops come from pictures this much larger than the model's input
Crop = Literal["centre", "random"]


@dataclass(frozen=True)
class Pictures:
    """Decoded training pictures.

    Attributes:
        pixels: uint8 (N, E, E, C), the square middle of every picture; E is larger than the model's input for
            random crops.
        labels: int64 (N,), 0 where the set has no classes.
        classes: names by label; empty where the set has none.
        files: where they came from, in the same order.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def subset(self, indices: Sequence[int]) -> "Pictures":
        """Some of them."""
        chosen = np.asarray(indices, dtype=np.int64)
        files = tuple(self.files[i] for i in indices)
        return Pictures(self.pixels[chosen], self.labels[chosen], self.classes, files)


def load_pictures(
    folder: Path, size: int, *, channels: int = 3, crop: Crop = "centre", by_class: bool = False
) -> Pictures:
    """Read every picture below `folder`, shortest side to `size` (antialiased), square middle.

    Args:
        size: rows and columns of the model's pictures.
        channels: 3 for colour, 1 for grey.
        crop: "random" keeps a margin, from which training takes windows at random.
        by_class: the folders in `folder` are classes, in alphabetical order.

    Raises:
        DataError: no pictures, an unreadable one (named), or a single class.
    """
    classes, found = _find(folder, by_class)
    edge = size if crop == "centre" else round(size * _RANDOM_MARGIN)
    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(lambda item: square(item[0], edge, channels), found))
    labels = np.array([label for _, label in found], dtype=np.int64)
    return Pictures(np.stack(decoded), labels, classes, tuple(str(path) for path, _ in found))


def square(path: Path, edge: int, channels: int) -> NDArray[np.uint8]:
    """One picture as uint8 (edge, edge, channels): upright, shortest side resized with antialiasing, middle."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * edge, 2 * edge))  # JPEG: decode at half, a quarter, an eighth where that is enough
            upright = ImageOps.exif_transpose(opened)
            image = _flat(upright, "RGB" if channels == 3 else "L")
            resized = ImageOps.fit(image, (edge, edge), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as a picture ({error}); mend it or take it out") from error
    return np.asarray(resized, dtype=np.uint8).reshape(edge, edge, channels)


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Transparency over white, then the wanted mode."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return image.convert(mode)


def _find(folder: Path, by_class: bool) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of pictures")
    if not by_class:
        found = [(path, 0) for path in _pictures_below(folder)]
        if not found:
            raise DataError(f"{folder}: holds no pictures ({', '.join(sorted(_SUFFIXES))})")
        return (), found
    names = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and any(_pictures_below(path))]
    if len(names) < 2:
        raise DataError(
            f"{folder}: has {len(names)} class folders with pictures, --conditional needs two or more; leave it out"
        )
    return tuple(names), [(path, i) for i, name in enumerate(names) for path in _pictures_below(folder / name)]


def _pictures_below(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
