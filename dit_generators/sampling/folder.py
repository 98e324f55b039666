"""The folder of a run: pictures named by number, and samples.json, which says how they were made.

The contact sheet, the preview and the .npz stand beside the folder, not in it: every tool that scores a folder takes
every picture in it for a sample.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.common.writing import remove_leftovers, replacing

from ..common.files import read_text, write_json
from ..common.sheet import NO_HEADINGS, Headings, as_image, contact_sheet, save_image
from ..data.decode import read_picture
from ..errors import OutputError
from ..network.process import DIT_PROCESS, process_fields

_RECORD = "samples.json"
_ARGUMENTS = {  # how a field of a record is called by people
    "attention.pattern": "`attention`",
    **{f"attention.{name}": f"`{name}`" for name in ("window", "border", "dilation")},
    **{f"window_{name}": f"`{name}`" for name in ("border", "dilation")},
    "autoencoder.vae_precision": "`vae_precision`",
    "process.objective": "`objective`",
    "in_channels": "the number of channels",
    "input_size": "the size of the input",
    "num_classes": "the number of classes",
    "pictures": "the number of pictures",
    "classes": "the list of classes",
}
_HASHED = {"picture_digests_sha256": "pictures"}  # what a hash of another name is of
_RECORDED_LATER = ("autoencoder",)
_INSTEAD = {"picture_digests_sha256": "pictures_sha256"}  # what earlier runs recorded, which says nothing now
_WAS = {
    "tf32": False,
    "vae_precision": "fp32",
    "learning_rate_schedule": "constant",
    "ema_warmup": False,
    "process": process_fields(DIT_PROCESS),
    "timestep_shift": 1.0,
    "timestep_sampling": "uniform",
    "direction_loss": False,
    "qk_norm": False,
    "norm": "layer",
    "feed_forward": "gelu",
    "rotary": False,
    "modulation_shift": True,
}  # where an older record says nothing
_SHEET, _PREVIEW, _NPZ = _BESIDE = (".contact-sheet.png", ".preview.png", ".npz")
_SHEET_IMAGES = 64
_MOST_COLUMNS = 16
_PNG_START = b"\x89PNG\r\n\x1a\n"


class SampleFolder:
    """A folder that holds the pictures of one run and of no other.

    Args:
        path: the folder; made when it is not there.
        identity: what decides the pictures, as JSON values; a folder begun with another identity is refused.
        source: names the checkpoint in that refusal.

    Raises OutputError when the folder holds something else.
    """

    def __init__(self, path: Path, identity: dict[str, Any], source: str = "") -> None:
        if not path.resolve().name:
            raise OutputError(f"{path}: is the root of a disk; name a folder")
        self.path, self.identity, self.source = path, identity, source
        self.recorded_images, self.timing = 0, cast("dict[str, float] | None", None)
        self._check()

    def create(self, record: dict[str, Any]) -> None:
        """Write down what will be in the folder, which is held by this process."""
        remove_leftovers(self.path.resolve().parent, [self.beside(suffix).name for suffix in _BESIDE])
        self.write_record(record)

    def write_record(self, record: dict[str, Any]) -> None:
        """samples.json: the identity of the run, then `record`."""
        write_json({"run": self.identity, **record}, self.path / _RECORD)

    def file(self, index: int) -> Path:
        """The picture's path."""
        return self.path / f"{index:06d}.png"

    def missing(self, num: int) -> list[int]:
        """Numbers below `num` without a picture."""
        return [i for i in range(num) if not _is_whole(self.file(i))]

    def save(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Write one picture (H, W, C) atomically."""
        save_image(as_image(picture), self.file(index))

    def beside(self, suffix: str) -> Path:
        """A path beside the folder: fake/ -> fake.contact-sheet.png."""
        resolved = self.path.resolve()
        return resolved.with_name(resolved.name + suffix)

    def write_preview(self, pictures: list[NDArray[np.uint8]]) -> None:
        """The batch at hand, unfinished."""
        save_image(contact_sheet(pictures), self.beside(_PREVIEW))

    def write_sheet(self, num: int, taken_in_turn: Sequence[int] = ()) -> Path:
        """The first pictures in one, at most 64; a column a label, where a few are taken in turn."""
        pictures = [read_picture(self.file(i)) for i in range(min(num, _SHEET_IMAGES))]
        columns = len(taken_in_turn) if 1 < len(taken_in_turn) <= _MOST_COLUMNS else None
        headings = Headings([f"class {label}" for label in taken_in_turn]) if columns else NO_HEADINGS
        save_image(contact_sheet(pictures, columns, headings), sheet := self.beside(_SHEET))
        return sheet

    def write_npz(self, num: int) -> Path:
        """`arr_0` uint8 (N, H, W, 3) for the ADM evaluator, one picture in memory at a time."""
        height, width = read_picture(self.file(0)).shape[:2]
        header = {"descr": "|u1", "fortran_order": False, "shape": (num, height, width, 3)}
        with (
            replacing(target := self.beside(_NPZ)) as temporary,
            zipfile.ZipFile(temporary, "w") as archive,
            archive.open("arr_0.npy", "w", force_zip64=True) as stream,
        ):
            np.lib.format.write_array_header_1_0(stream, header)
            for i in range(num):
                picture = read_picture(self.file(i))
                if picture.shape[:2] != (height, width):
                    found = f"{picture.shape[1]} x {picture.shape[0]}, others here are {width} x {height}"
                    raise OutputError(f"{self.file(i)}: is {found}; remove it to make it again")
                stream.write(np.broadcast_to(picture, (height, width, 3)).tobytes())
        return target

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file; name a folder")
        record = self.path / _RECORD
        if not record.exists():
            if self.path.is_dir() and any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise OutputError(f"{self.path}: is not empty and holds no {_RECORD}; name an empty or a new folder")
            return
        try:
            content = json.loads(read_text(record))
            found = content["run"]
            self.recorded_images, self.timing = len(content["images"]), _checked_timing(content.get("timing"))
            different = differences(found, self.identity)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"{record}: is not readable ({error}); name another folder") from error
        if different:
            before = content.get("checkpoint")
            named = before and self.source and found.get("weights_sha256") != self.identity.get("weights_sha256")
            checkpoints = f" (`checkpoint` was {before}, now {self.source})" if named else ""
            raise OutputError(
                f"{self.path}: holds images of another run: {different[0]}{checkpoints}; name another folder, or give "
                f"the settings in {record}"
            )


def seconds_per_image(folder: Path) -> float | None:
    """As a finished run made them last; None where it made none."""
    timing = json.loads(read_text(folder / _RECORD))["timing"]
    return float(timing["seconds"] / timing["images"]) if timing else None


def differences(before: dict[str, Any], now: dict[str, Any], within: str = "") -> list[str]:
    """Sentences such as "`guidance.scale` was 1.0, now 4.0", for every value of `now` that is another than before.

    A source tells people where something was; its hash decides. What runs record since later is compared from then on.
    """
    found: list[str] = []
    for name, value in now.items():
        is_later = name in _RECORDED_LATER or _INSTEAD.get(name) in before
        if name == "source" or (is_later and name not in before):
            continue
        old = before.get(name, _WAS.get(name))
        if isinstance(value, dict) and isinstance(old, dict):
            found += differences(old, value, f"{within}{name}.")
        elif old != value and name.endswith("_sha256"):
            hashed = _HASHED.get(name) or name.removesuffix("_sha256").replace("_", " ")
            found.append(f"the {within}{hashed} {'differ' if hashed.endswith('s') else 'differs'}")
        elif old != value:
            argument = f"{within}{name}"
            title = _ARGUMENTS.get(argument, f"`{argument}`")
            found.append(f"{title} was {json.dumps(old)}, now {json.dumps(value)}")
    return found


def _is_whole(path: Path) -> bool:
    """Whether the file is there and is a PNG in which every chunk has its checksum, to the last."""
    if not path.is_file():
        return False
    content = memoryview(path.read_bytes())
    at = len(_PNG_START)
    if content[:at] != _PNG_START:
        return False
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if content[end : end + 4] != zlib.crc32(content[at + 4 : end]).to_bytes(4, "big"):
            return False
        at = end + 4
        if kind == b"IEND":
            return at == len(content)
    return False


def _checked_timing(timing: Any) -> dict[str, float] | None:
    """A record's timing; raises TypeError for what is none."""
    if timing is not None and not all(type(timing[name]) in (int, float) for name in ("images", "seconds")):
        raise TypeError(f"timing is {timing!r}")
    return timing if timing is None or timing["images"] > 0 else None
