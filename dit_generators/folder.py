"""The folder of a run: pictures named by number, and samples.json, which says how they were made.

The contact sheet, the preview and the .npz stand beside the folder, not in it: every tool that scores a folder takes
every picture in it for a sample.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import OutputError
from .files import replacing
from .sheet import as_image, contact_sheet, read_picture, save_image

_RECORD = "samples.json"
_SHEET_IMAGES = 64
_MOST_COLUMNS = 16


class SampleFolder:
    """A folder that holds the pictures of one run and of no other.

    Args:
        path: the folder; made when it is not there.
        identity: what decides the pictures, as JSON values; a folder begun with another identity is refused.

    Raises OutputError when the folder holds something else.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path, self.identity = path, identity
        self.recorded_images, self.timing = 0, None
        self._check()

    def create(self, record: dict[str, Any]) -> None:
        """Make the folder and write down what will be in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        for unfinished in self.path.glob(".*.png"):
            unfinished.unlink()
        self.write_record(record)

    def write_record(self, record: dict[str, Any]) -> None:
        """samples.json: the identity of the run, then `record`."""
        with replacing(self.path / _RECORD) as temporary:
            temporary.write_text(json.dumps({"run": self.identity, **record}, indent=1) + "\n")

    def file(self, index: int) -> Path:
        """The picture's path."""
        return self.path / f"{index:06d}.png"

    def missing(self, num: int) -> list[int]:
        """Numbers below `num` without a picture."""
        return [i for i in range(num) if not self.file(i).exists()]

    def save(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Write one picture (H, W, C) atomically."""
        save_image(as_image(picture), self.file(index))

    def beside(self, suffix: str) -> Path:
        """A path beside the folder: fake/ -> fake.contact-sheet.png."""
        resolved = self.path.resolve()
        return resolved.with_name(resolved.name + suffix)

    def write_sheet(self, num: int, labels: tuple[int, ...] | None) -> Path:
        """The first pictures in one, at most 64; a column a label, where a few are taken in turn."""
        pictures = [read_picture(self.file(i)) for i in range(min(num, _SHEET_IMAGES))]
        columns = len(labels) if labels and 1 < len(labels) <= _MOST_COLUMNS else None
        save_image(contact_sheet(pictures, columns), sheet := self.beside(".contact-sheet.png"))
        return sheet

    def write_npz(self, num: int) -> Path:
        """`arr_0` uint8 (N, H, W, 3) for the ADM evaluator, one picture in memory at a time."""
        height, width = read_picture(self.file(0)).shape[:2]
        header = {"descr": "|u1", "fortran_order": False, "shape": (num, height, width, 3)}
        with (
            replacing(target := self.beside(".npz")) as temporary,
            zipfile.ZipFile(temporary, "w") as archive,
            archive.open("arr_0.npy", "w", force_zip64=True) as stream,
        ):
            np.lib.format.write_array_header_1_0(stream, header)
            for i in range(num):
                stream.write(np.broadcast_to(read_picture(self.file(i)), (height, width, 3)).tobytes())
        return target

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file; name a folder")
        record = self.path / _RECORD
        if not record.exists():
            if self.path.is_dir() and any(self.path.glob("*.png")):
                raise OutputError(f"{self.path}: holds pictures but no {_RECORD}; name an empty or a new folder")
            return
        try:
            content = json.loads(record.read_text())
            found = content["run"]
            self.recorded_images, self.timing = len(content["images"]), content.get("timing")
            different = [name for name, value in self.identity.items() if found.get(name) != value]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{record}: is not readable ({error}); name another folder") from error
        if different:
            name = different[0]
            raise OutputError(
                f"{self.path}: holds images of another run: its {name} is {json.dumps(found.get(name))}, now "
                f"{json.dumps(self.identity[name])}; name another folder, or give the settings in {record}"
            )
