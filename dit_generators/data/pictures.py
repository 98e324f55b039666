"""Pictures of a folder as square arrays: found, ordered, checked, cropped, and kept in memory."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cmmd_toolkit.common.threads import default_workers
from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.pictures.decode import MAX_PIXELS
from cmmd_toolkit.pictures.sources import SUFFIXES, picture_names

from ..errors import DataError
from .decode import read_picture

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
    folder: Path,
    size: int,
    *,
    channels: int = 3,
    crop: Crop = "centre",
    conditional: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Pictures:
    """Read every picture below `folder`, shortest side to `size` (antialiased), square middle.

    Args:
        size: rows and columns of the model's pictures.
        channels: 3 for colour, 1 for grey.
        crop: "random" keeps a margin, from which training takes windows at random.
        conditional: the folders in `folder` are classes, in alphabetical order.
        max_pixels: a picture with more is refused before it is decoded.

    Raises:
        DataError: no pictures, an unreadable one (named), or a single class.
    """
    classes, found = _find(folder, conditional)
    edge = size if crop == "centre" else round(size * _RANDOM_MARGIN)
    with warnings.catch_warnings(), ThreadPoolExecutor(default_workers()) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow warns of is checked by the decoder
        decoded = list(pool.map(lambda item: square(item[0], edge, channels, max_pixels), found))
    labels = np.array([label for _, label in found], dtype=np.int64)
    return Pictures(np.stack(decoded), labels, classes, tuple(str(path) for path, _ in found))


def square(path: Path, edge: int, channels: int, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """One picture as uint8 (edge, edge, channels): upright, shortest side resized with antialiasing, middle."""
    image = Image.fromarray(read_picture(path, max_pixels))
    resized = ImageOps.fit(image if channels == 3 else image.convert("L"), (edge, edge), Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.uint8).reshape(edge, edge, channels)


def _find(folder: Path, conditional: bool) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of pictures")
    if not conditional:
        found = [(path, 0) for path in _pictures_below(folder)]
        if not found:
            raise DataError(f"{folder}: holds no pictures ({', '.join(SUFFIXES)})")
        return (), found
    names = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and any(_pictures_below(path))]
    if len(names) < 2:
        raise DataError(
            f"{folder}: has {len(names)} class folders with pictures, `conditional` needs two or more; leave it out"
        )
    return tuple(names), [(path, i) for i, name in enumerate(names) for path in _pictures_below(folder / name)]


def _pictures_below(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in picture_names(folder)[0])
    except CmmdError as error:
        raise DataError(str(error)) from error
