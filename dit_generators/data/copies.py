"""Sets that can only be read in order, copied once beside the run: encoded, into a tar that is read by offset.

RUN.pictures/copy.tar     the pictures, in their order
RUN.pictures/copy.json    of what it is a copy, and what could not be copied
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from cmmd_toolkit.common.progress import ShowProgress
from cmmd_toolkit.common.urls import is_url
from cmmd_toolkit.common.writing import replacing
from cmmd_toolkit.errors import InputError, PictureError
from cmmd_toolkit.pictures.load import Content
from cmmd_toolkit.pictures.sources import ImageSource, is_dataset
from cmmd_toolkit.pictures.sources.names import check_entry_name, is_picture_name
from cmmd_toolkit.pictures.sources.parquet import column_of_parquet
from cmmd_toolkit.pictures.sources.several import expand

from ..common.files import locked, read_json, write_json
from ..common.processes import Processes
from ..errors import DataError
from .reading import OnError

_COPY, _RECORD = "copy.tar", "copy.json"


def copied(
    source: Any, opened: ImageSource, folder: Path, on_error: OnError, processes: Processes, show_progress: ShowProgress
) -> tuple[Path, tuple[str, ...]]:
    """The copy of a set in `folder`, made by the main process where it is not there, and why pictures are not in it.

    Raises DataError for a picture that cannot be read, unless those are left out, and for a set that is damaged.
    """
    key = {"source": opened.name, "on_error": on_error, "state": _state_of(source)}
    target = copy_in(folder)

    def copy() -> None:
        if target.is_file() and key["state"] is not None and _record(folder).get("of") == json.loads(json.dumps(key)):
            return
        with locked(folder):
            (folder / _RECORD).unlink(missing_ok=True)
            skipped = _write(opened, target, on_error, show_progress)
            write_json({"of": key, "skipped": skipped}, folder / _RECORD)

    processes.by_main(copy)
    if not target.is_file():
        raise DataError(f"{target}: is not on a disk that all processes share; put the run on one")
    return target, tuple(_record(folder).get("skipped", ()))


def copy_in(folder: Path) -> Path:
    """Where a copy lies."""
    return folder / _COPY


def _record(folder: Path) -> dict[str, Any]:
    record = read_json(folder / _RECORD)
    return record if isinstance(record, dict) else {}


def _write(opened: ImageSource, target: Path, on_error: OnError, show_progress: ShowProgress) -> list[str]:
    skipped, count = [], 0
    with (
        replacing(target) as temporary,
        tarfile.open(temporary, "w") as archive,
        show_progress(str(target), opened.size) as advance,
    ):
        for row, (name, load) in enumerate(opened):
            try:
                data = _encoded(load.read())
            except PictureError as error:
                if on_error == "fail":
                    raise
                skipped.append(str(error))
                advance(1)
                continue
            member = tarfile.TarInfo(_member_name(row, name))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            count += 1
            advance(1)
        if not count:
            raise DataError(f"{opened.name}: holds no pictures that can be read")
    return skipped


def _encoded(content: Content) -> bytes:
    """As it is; what has no encoding as PNG."""
    if isinstance(content, bytes):
        return content
    stream = io.BytesIO()
    Image.fromarray(content.pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _member_name(row: int, name: str) -> str:
    """The picture's own name, by whose folder classes go, where a tar takes it for a picture; else its number."""
    own = name.lstrip("/")
    try:
        check_entry_name(own, "", "tar")
    except InputError:
        own = ""
    if is_picture_name(own):
        return own
    numbered = f"{own}.png"  # the content decides how it is decoded
    return numbered if own and is_picture_name(numbered) else f"{row:09d}.png"


def _state_of(source: Any) -> Any:
    """What changes where the source does, as far as that can be known: None where nothing is."""
    if is_dataset(source):
        return getattr(source, "_fingerprint", None)
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = os.fspath(source)
    if is_url(text):
        return text
    found = column_of_parquet(text)
    names = [found[0] if found else text]
    names = [one for name in names for one in (expand(name) if "{" in name and not Path(name).exists() else [name])]
    return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for name in names for path in _files(Path(name))]


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(path.rglob("*.parquet")) if path.is_dir() else (path,)
