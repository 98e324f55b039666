"""Batches of uint8 pixels in `.npy` and `.npz` files, read picture by picture: never a whole batch in memory.

An array in column order (Fortran's) is read whole: each of its pictures is spread over the file.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ...common.numpy_files import explain_numpy_error
from ...common.text import first_names
from ...errors import InputError
from ..decode import Picture
from ..load import of_pixels
from .arrays import check_batch, row_name, whole_batch
from .place import LocalFile, Place, as_picture, buffered
from .source import ImageSource, Item, Opening, Rows, Stream

_BLOCK = 1 << 20
_NAME = "arr_0"  # of ADM's evaluation
_MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK"}
_ENTRY_HEADER = 30  # bytes before the name of a zip's entry


@dataclass(frozen=True)
class _Header:
    """Of an array in a file: where its numbers begin, and its shape (N, H, W, 3)."""

    start: int
    shape: tuple[int, ...]
    in_columns: bool

    @property
    def picture_bytes(self) -> int:
        return self.shape[1] * self.shape[2] * self.shape[3]

    @property
    def end(self) -> int:
        return self.start + self.shape[0] * self.picture_bytes

    def picture(self, data: bytes) -> Picture:
        return Picture(np.frombuffer(data, np.uint8).reshape(self.shape[1:]), "array")


def batch_source(place: Place, suffix: str, how: Opening) -> ImageSource:
    """The uint8 (N, H, W, 3) batch of an .npy, or of an .npz with one array or one called `arr_0`.

    Pictures of an .npy or an uncompressed .npz are read where they lie, by any thread; those of a compressed one are
    unpacked in order.
    """
    _check_magic(place, suffix)
    with _explained(place):
        return _plain(place, how) if suffix == ".npy" else _zipped(place, how)


def _check_magic(place: Place, suffix: str) -> None:
    magic = _MAGIC[suffix]
    if place.read(0, len(magic)) != magic:
        raise InputError(f"{place.name}: not a NumPy {suffix} file; save it again with np.save or np.savez")


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # ValueError, OSError, BadZipFile, zlib.error, TokenError, ...
        raise InputError(f"{place.name}: {explain_numpy_error(error)}") from error


def _plain(place: Place, how: Opening) -> ImageSource:
    with buffered(place) as stream:
        header = _read_header(stream, place.name)
    if header.end != place.size:
        told = f"holds {place.size:,} bytes, but its header says {header.end:,}"
        raise InputError(f"{place.name}: {told}; save it again")
    if header.in_columns:
        return _whole(place.read(header.start, place.size), header, place.name, how)
    return _in_place(place, header, 0, how)


def _zipped(place: Place, how: Opening) -> ImageSource:
    archive = zipfile.ZipFile(buffered(place, _BLOCK))
    member = _member(archive, place.name)
    source = _entry(place, archive, member, how)
    others = [own.removesuffix(".npy") for own in archive.namelist() if own != member.filename]
    told = f"of its arrays {member.filename.removesuffix('.npy')} was read, others were left out: {first_names(others)}"
    return replace(source, remarks=(told,)) if others else source


def _entry(place: Place, archive: zipfile.ZipFile, member: zipfile.ZipInfo, how: Opening) -> ImageSource:
    with archive.open(member) as unpacked:
        header = _read_header(unpacked, place.name)
    if header.end != member.file_size:
        raise ValueError(f"{member.filename} does not hold the bytes that its header says")
    if header.in_columns:
        return _whole(archive.read(member)[header.start :], header, place.name, how)
    if member.compress_type != zipfile.ZIP_STORED:
        return ImageSource(place.name, _Packed(place, archive, member, header), how.policy)
    if isinstance(place, LocalFile):
        _check_sum(archive, member)
    return _in_place(place, header, _data_start(place, member), how)


def _read_header(stream: Any, name: str) -> _Header:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format")
    shape, in_columns, kind = read(stream)
    if kind.hasobject:
        raise ValueError("Python objects")
    check_batch(kind, shape, name)
    return _Header(stream.tell(), shape, in_columns)


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    names = [own.removesuffix(".npy") for own in archive.namelist()]
    if _NAME not in names and len(names) != 1:
        raise InputError(f"{name}: expected an image batch named arr_0, found {', '.join(names) or 'nothing'}")
    return archive.infolist()[names.index(_NAME) if _NAME in names else 0]


def _check_sum(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read to the last byte, at which zipfile compares the checksum; pictures that are read by themselves have none."""
    with archive.open(member) as unpacked:
        while unpacked.read(_BLOCK):
            pass


def _data_start(place: Place, member: zipfile.ZipInfo) -> int:
    """Behind the header of the entry, whose extra field may differ from the directory's."""
    header = place.read(member.header_offset, _ENTRY_HEADER)
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return member.header_offset + _ENTRY_HEADER + name + extra


def _in_place(place: Place, header: _Header, offset: int, how: Opening) -> ImageSource:
    """`offset` is where the array file begins in the place."""
    length, total = header.picture_bytes, header.shape[0]

    def read(row: int) -> Picture:
        return header.picture(place.read(offset + header.start + row * length, length))

    items = [(row_name(row, total), of_pixels(as_picture(partial(read, row)))) for row in range(total)]
    return ImageSource(place.name, items, how.policy)


def _whole(data: bytes, header: _Header, name: str, how: Opening) -> ImageSource:
    return whole_batch(np.frombuffer(data, np.uint8).reshape(header.shape, order="F"), name, how)


class _Packed(Stream):
    """A compressed array, unpacked in order; its checksum is compared at the end of each pass."""

    def __init__(self, place: Place, archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header) -> None:
        self._place, self._archive, self._member, self._header = place, archive, member, header
        self.size = header.shape[0]

    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """See `Stream`."""
        wanted = None if rows is None else frozenset(rows.tolist())
        total, length = self._header.shape[0], self._header.picture_bytes
        with _explained(self._place), self._archive.open(self._member) as unpacked:
            unpacked.seek(self._header.start)
            for row in range(total):
                data = unpacked.read(length)
                if len(data) < length:
                    raise ValueError(f"it ends at picture {row} of {total}")
                if wanted is None or row in wanted:
                    yield row_name(row, total), of_pixels(partial(self._header.picture, data))
            if unpacked.read(1):
                raise ValueError("it holds more than its header says")
