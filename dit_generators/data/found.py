"""What a set holds: the names of its pictures, how each is read by its number, and their classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.pictures.load import Load
from cmmd_toolkit.pictures.sources import ImageSource, class_of, open_images

from ..errors import DataError
from .copies import copied, copy_in
from .reading import OnError, Reading

Numbers = Callable[[], Sequence[int | None]]


@dataclass(frozen=True)
class Found:
    """Pictures of a set.

    Attributes:
        name: what messages call the set.
        names: of all its pictures.
        read: gives one by its number as uint8 RGB (H, W, 3), from any thread; raises DataError.
        rows: numbers of those to train on, in order.
        labels: int64, of each row; 0 where there are no classes.
        classes: names by label; empty where there are none.
        skipped: why pictures are left out that could not even be copied, or that are of no class.
        numbers: gives the class of each picture where the set says it beside its names: `.cls` of tars.
        listed: the same by a dataset.json, which comes before the folders of the names: these are of its tool.
    """

    name: str
    names: Sequence[str]
    read: Callable[[int], NDArray[np.uint8]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    numbers: Numbers | None = None
    listed: Numbers | None = None

    def with_classes(self) -> "Found":
        """What dataset.json says, the first folders of the names in alphabetical order, or what `.cls` says.

        Pictures without a class are skipped.
        """
        own = [class_of(self.names[row]) for row in self.rows.tolist()]
        classes, where = sorted({name for name in own if name}), "lies in no class folder"
        if self.listed or (len(classes) < 2 and self.numbers):
            own, where = self._numbered(), "is not in dataset.json" if self.listed else "has no .cls"
            classes = sorted({name for name in own if name}, key=int)
        if len(classes) < 2:
            raise DataError(f"{self.name}: {self._too_few(own, len(classes))}")
        labels = {name: label for label, name in enumerate(classes)}
        inside = [place for place, name in enumerate(own) if name]
        numbers = np.array([labels[own[place]] for place in inside], dtype=np.int64)
        outside = [self.names[row] for row, name in zip(self.rows.tolist(), own, strict=True) if not name]
        skipped = (*self.skipped, *(f"{self.name}: {name} {where}" for name in outside))
        return replace(self, rows=self.rows[inside], labels=numbers, classes=tuple(classes), skipped=skipped)

    def _too_few(self, own: Sequence[str], classes: int) -> str:
        """Why these classes are not two, and what to do."""
        if self.listed:
            return (
                f"its dataset.json gives {sum(map(bool, own))} of {len(own)} pictures a class, {classes} in all, and "
                "`conditional` needs two or more; correct it, remove it to take the folders as classes, or leave "
                "`conditional` out"
            )
        return (
            f"has {classes} class folders with pictures, `conditional` needs two or more, in "
            "folders, in .cls files of an uncompressed local tar or in a dataset.json; leave it out"
        )

    def _numbered(self) -> list[str]:
        """The numbers of the classes, "" for a picture without one."""
        try:
            numbers = (self.listed or self.numbers or list)()
        except CmmdError as error:
            raise DataError(str(error)) from error
        return ["" if numbers[row] is None else str(numbers[row]) for row in self.rows.tolist()]


def open_found(source: Any, max_pixels: int, on_error: OnError, reading: Reading) -> Found:
    """The pictures of any set but a folder of them, in its own order; what can only be read so is copied first."""
    try:
        opened = open_images(source, max_pixels=max_pixels)
        items, skipped = _by_number(source, opened, max_pixels, on_error, reading)
    except CmmdError as error:
        raise DataError(_told(error)) from error
    names = [name for name, _ in items]

    def read(row: int) -> NDArray[np.uint8]:
        try:
            return pixels_of(items[row][1])
        except DataError as error:
            if reading.folder is None:
                raise
            # of a copy: it is to be mended where it came from
            raise DataError(str(error).replace(str(copy_in(reading.folder)), opened.name)) from error

    rows, labels = np.arange(len(names)), np.zeros(len(names), dtype=np.int64)
    numbers, listed = (getattr(opened.items, name, None) for name in ("class_numbers", "listed_numbers"))
    return Found(opened.name, names, read, rows, labels, skipped=skipped, numbers=numbers, listed=listed)


def pixels_of(load: Load) -> NDArray[np.uint8]:
    """uint8 RGB (H, W, 3); raises DataError with the toolkit's reason."""
    try:
        return load().pixels
    except CmmdError as error:
        raise DataError(str(error)) from error


def _told(error: CmmdError) -> str:
    return (
        str(error)
        .replace(": no pictures", ": holds no pictures")
        .replace("no such file or folder;", "no such folder of pictures, archive or list;")
    )


def _by_number(
    source: Any, opened: ImageSource, max_pixels: int, on_error: OnError, reading: Reading
) -> tuple[Sequence[tuple[str, Load]], tuple[str, ...]]:
    problems = tuple(reason for _, reason in opened.problems)
    if problems and on_error == "fail":
        raise DataError(problems[0])
    if isinstance(opened.items, Sequence):
        return opened.items, problems
    if reading.folder is None:
        return list(opened.items), problems
    copy, skipped = copied(source, opened, reading.folder, on_error, reading.processes, reading.show_progress)
    items = open_images(copy, max_pixels=max_pixels).items
    assert isinstance(items, Sequence)  # an uncompressed tar here
    return items, (*problems, *skipped)
