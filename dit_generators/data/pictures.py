"""Pictures of a folder, an archive or an address as squares: in memory, or decoded as needed."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.pictures.decode import MAX_PIXELS
from cmmd_toolkit.pictures.sources import open_images, picture_names
from cmmd_toolkit.pictures.sources.labels import LABELS, numbers_in

from ..errors import DataError
from .found import Found, open_found, pixels_of
from .looking import Looked, look_at, looked_before
from .pixels import Digests, Pixels, StreamedPixels
from .reading import IN_MEMORY, OnError, Reading

_RANDOM_MARGIN = 8 / 7  # random crops come from pictures this much larger than the model's input
Crop = Literal["centre", "random"]


@dataclass(frozen=True)
class Pictures:
    """Training pictures.

    Attributes:
        pixels: uint8 (N, E, E, C), the square middle of every picture; E is larger than the model's input for
            random crops. An array in memory, or `StreamedPixels`, which decode a picture when it is asked for.
        labels: int64 (N,), 0 where the set has no classes.
        classes: names by label; empty where the set has none.
        files: where they came from, in the same order.
        digests: uint8 (N, 32), SHA-256 of the pixels of each.
        skipped: why each unusable one was left out.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    files: tuple[str, ...]
    digests: Digests
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def subset(self, indices: Sequence[int]) -> "Pictures":
        """Some of them."""
        chosen = np.asarray(indices, dtype=np.int64)
        files = tuple(self.files[i] for i in indices)
        pixels, digests = self.pixels, self.digests[chosen]
        if isinstance(pixels, StreamedPixels):
            pixels = replace(pixels, rows=pixels.rows[chosen], digests=digests, names=files)
        else:
            pixels = np.asarray(pixels)[chosen]
        return Pictures(pixels, self.labels[chosen], self.classes, files, digests)

    @property
    def sha256(self) -> str:
        """One hash of all pixels: that of the hashes of the pictures, in order."""
        return hashlib.sha256(np.ascontiguousarray(self.digests).data).hexdigest()


def load_pictures(
    source: Any,
    size: int,
    *,
    channels: int = 3,
    crop: Crop = "centre",
    conditional: bool = False,
    max_pixels: int = MAX_PIXELS,
    on_error: OnError = "fail",
    reading: Reading = IN_MEMORY,
) -> Pictures:
    """Look at every picture of `source`, shortest side to `size` (antialiased), square middle.

    Args:
        source: a folder, read with all below it, or any other set that `cmmd_toolkit` reads (docs/inputs.md).
        size: rows and columns of the model's pictures.
        channels: 3 for colour, 1 for grey.
        crop: "random" keeps a margin, from which training takes windows at random.
        conditional: the first folders of the names are classes, in alphabetical order, or what a dataset.json says.
        max_pixels: a picture with more is refused before it is decoded.
        on_error: "skip" leaves unusable pictures out, "fail" raises at the first.
        reading: how much may be in memory, and what happens beyond that.

    Raises:
        DataError: no pictures, an unreadable one (named), or a single class.
    """
    found = _find(source, max_pixels, on_error, reading)
    found = found.with_classes() if conditional else found
    edge = size if crop == "centre" else round(size * _RANDOM_MARGIN)
    shape = (len(found.rows), edge, edge, channels)
    held = np.empty(shape, dtype=np.uint8) if reading.holds(shape) else None
    looked = looked_before(found, shape, on_error, reading) if held is None else None
    looked = looked or look_at(found, shape, held, on_error, reading)
    if not len(looked.usable):
        raise DataError(
            f"{found.name}: no usable picture; all {shape[0]} were left out, the first: {looked.skipped[0]}"
        )
    _check_classes(found, looked)
    return _made(found, looked, shape, held, reading)


def _check_classes(found: Found, looked: Looked) -> None:
    """Raise DataError for a class of which nothing is left: the model would make noise of it."""
    left = np.bincount(found.labels[looked.usable], minlength=len(found.classes))
    for name, count in zip(found.classes, left, strict=False):
        if not count:
            raise DataError(
                f"{found.name}: class {name} has no usable picture; repair or remove its pictures, the first: "
                f"{looked.skipped[0]}"
            )


def _made(
    found: Found, looked: Looked, shape: tuple[int, ...], held: NDArray[np.uint8] | None, reading: Reading
) -> Pictures:
    usable = looked.usable
    files = tuple(found.names[row] for row in found.rows[usable].tolist())
    pixels: Pixels
    if held is None:
        rows, pool = found.rows[usable], reading.pool()
        edge, channels = shape[1], shape[3]
        pixels = StreamedPixels(
            found.read, rows, looked.digests, found.name, files, edge, channels, pool, reading.folder
        )
    else:
        pixels = held if len(usable) == len(held) else held[usable]
    skipped = (*found.skipped, *looked.skipped)
    return Pictures(pixels, found.labels[usable], found.classes, files, looked.digests, skipped)


def _find(source: Any, max_pixels: int, on_error: OnError, reading: Reading) -> Found:
    """A folder of pictures, in the order of its paths, or any other set."""
    folder = Path(source) if isinstance(source, (str, os.PathLike)) else None
    if folder is None or not os.fspath(source).strip() or not folder.is_dir():
        return open_found(source, max_pixels, on_error, reading)
    try:
        names = sorted(picture_names(folder)[0], key=lambda name: name.split("/"))
    except CmmdError as error:
        raise DataError(str(error)) from error
    if not names:  # Parquet files, perhaps
        return open_found(source, max_pixels, on_error, reading)

    def read(row: int) -> NDArray[np.uint8]:
        ((_, load),) = open_images([folder / names[row]], max_pixels=max_pixels)
        return pixels_of(load)

    def listed() -> list[int | None]:
        return numbers_in(labels.read_bytes(), names, str(labels))

    count, labels = len(names), folder / LABELS
    found = Found(str(folder), names, read, np.arange(count), np.zeros(count, dtype=np.int64))
    return replace(found, listed=listed) if labels.is_file() else found
