"""Zips, read in place: the whole archive or a folder of it."""

import re
import stat
import zipfile
from pathlib import Path

from ...common.files import check_regular
from ...errors import InputError, PictureError
from ..load import Load
from .names import SUFFIXES, check_entry_name, is_picture_name, other_files
from .source import ImageSource, Opening

_MAX_ENTRY_BYTES = 1 << 30


def part_of_zip(path: Path) -> tuple[Path, str] | None:
    """`archive.zip:inner/folder` as the archive and the folder; None for every other path."""
    found = re.fullmatch(r"(.*\.zip):(.+)", str(path), re.IGNORECASE | re.DOTALL)
    if found is None or path.exists() or not Path(found[1]).exists():
        return None
    check_regular(Path(found[1]))
    return Path(found[1]), found[2].strip("/") + "/"


def zip_source(path: Path, inside: str, how: Opening) -> ImageSource:
    """The pictures of an archive, or of a folder in it; names begin there."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: not a readable zip ({error}); make it again") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        _check_entry(path, entry)
    entries = sorted((entry for entry in entries if entry.filename.startswith(inside)), key=lambda own: own.filename)
    pictures = [entry for entry in entries if is_picture_name(entry.filename)]
    if not pictures:
        where = f" below {inside}" if inside else ""
        raise InputError(f"{path}: no pictures ({' '.join(SUFFIXES)}) among its {len(entries)} files{where}")
    items = [
        (entry.filename[len(inside) :], _zip_loader(archive, entry, f"{path}:{entry.filename}", how))
        for entry in pictures
    ]
    name = f"{path}:{inside[:-1]}" if inside else str(path)
    return ImageSource(name, items, how.policy, other_files(len(entries) - len(pictures)))


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    check_entry_name(entry.orig_filename, str(path), "zip")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "no regular file"
        raise InputError(f"{path}: entry {entry.filename!r} is {what}; make the zip again with real files")


def _zip_loader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, how: Opening) -> Load:
    return how.load(name, lambda: _read_entry(archive, entry, name))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    if entry.file_size > _MAX_ENTRY_BYTES:
        raise PictureError(f"{name}: unpacks to {entry.file_size:,} bytes, taken for a decompression bomb")
    try:
        return archive.read(entry)
    except Exception as error:  # zlib.error, BadZipFile (wrong checksum), RuntimeError (encrypted), ...
        raise PictureError(f"{name}: cannot be unpacked ({error}); make the zip again") from error
