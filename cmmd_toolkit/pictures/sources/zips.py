"""Zips, read in place: the whole archive or a folder of it."""

import re
import stat
import zipfile
from bisect import bisect_right
from pathlib import Path

from ...common.urls import is_url
from ...errors import InputError, PictureError
from ..load import Load
from .labels import LABELS, LabelledItems
from .names import SUFFIXES, check_entry_name, is_picture_name, other_files
from .place import Place, RangeStream, as_picture
from .source import ImageSource, Opening

_MAX_ENTRY_BYTES = 1 << 30
_MOST_BEFORE_DATA = 30 + 2 * 0xFFFF  # of an entry: header, name and extra field
_PART = re.compile(r"(.*\.zip):(.+)", re.IGNORECASE | re.DOTALL)


def part_of_zip(name: str) -> tuple[str, str] | None:
    """`archive.zip:inner/folder` as the archive and the folder; None for every other name, and for a file of it."""
    found = _PART.fullmatch(name)
    if found is None or (not is_url(name) and (Path(name).exists() or not Path(found[1]).exists())):
        return None
    return found[1], found[2].strip("/") + "/"


def zip_source(place: Place, inside: str, how: Opening) -> ImageSource:
    """The pictures of an archive, or of a folder in it; names begin there."""
    path, stream = place.name, RangeStream(place)
    try:
        archive = zipfile.ZipFile(stream)
    except InputError:
        raise
    except Exception as error:  # BadZipFile, OSError, struct.error, NotImplementedError, ...
        raise InputError(f"{path}: not a readable zip ({error}); make it again") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        _check_entry(path, entry)
    ends = sorted({archive.start_dir, *(entry.header_offset for entry in entries)})
    entries = sorted((entry for entry in entries if entry.filename.startswith(inside)), key=lambda own: own.filename)
    pictures = [entry for entry in entries if is_picture_name(entry.filename)]
    if not pictures:
        where = f" below {inside}" if inside else ""
        raise InputError(f"{path}: no pictures ({' '.join(SUFFIXES)}) among its {len(entries)} files{where}")

    def load(entry: zipfile.ZipInfo) -> Load:
        return _loader(archive, stream, entry, ends, f"{path}:{entry.filename}", how)

    items = [(entry.filename[len(inside) :], load(entry)) for entry in pictures]
    if labels := next((entry for entry in entries if entry.filename == inside + LABELS), None):
        items = LabelledItems(items, load(labels).read, f"{path}:{labels.filename}")
    name = f"{path}:{inside[:-1]}" if inside else path
    return ImageSource(name, items, how.policy, other_files(len(entries) - len(pictures)))


def _check_entry(path: str, entry: zipfile.ZipInfo) -> None:
    check_entry_name(entry.orig_filename, path, "zip")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "not a regular file"
        raise InputError(f"{path}: entry {entry.filename!r} is {what}; make the zip again with real files")


def _loader(
    archive: zipfile.ZipFile, stream: RangeStream, entry: zipfile.ZipInfo, ends: list[int], name: str, how: Opening
) -> Load:
    start = entry.header_offset
    following = bisect_right(ends, start)
    end = start + _MOST_BEFORE_DATA + entry.compress_size
    if following < len(ends):
        end = min(end, ends[following])

    def read() -> bytes:
        if max(entry.file_size, entry.compress_size) > _MAX_ENTRY_BYTES:
            raise PictureError(f"{name}: unpacks to {entry.file_size:,} bytes, treated as a decompression bomb")
        try:
            with stream.held(start, end):  # zipfile lets one thread read at a time
                return archive.read(entry)
        except InputError:  # of the place
            raise
        except Exception as error:  # zlib.error, BadZipFile (wrong checksum), RuntimeError (encrypted), ...
            raise PictureError(f"{name}: cannot be unpacked ({error}); make the zip again") from error

    return how.load(name, as_picture(read))
