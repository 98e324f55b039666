"""Tars, as WebDataset writes its shards: one or several, in their own order, never unpacked.

An uncompressed tar here is indexed once by its headers, and its members are read by offset from any thread. A
compressed or remote one is read in order. Python's tarfile finds the members: it knows every dialect of headers, and
what it passes over (a damaged header, a missing end) is looked for here.
"""

import gzip
import io
import tarfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import overload

from ...common.urls import base_name
from ...errors import InputError, PictureError
from ..load import Load, refusal
from .names import SUFFIXES, check_entry_name, is_hidden, is_picture_name, other_files
from .place import LocalFile, Place, as_picture, buffered
from .source import ImageSource, Item, Opening, Rows, Stream

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MAX_MEMBER_BYTES = 1 << 30
_LARGE_BLOCK = 4 << 20  # of a tar that is read through: one request of a remote one
_MOST_MEMBERS = 1 << 40  # of one tar
_BLOCK = tarfile.BLOCKSIZE
_LONGEST_PADDING = 64 << 20  # behind the end mark; tar itself fills up to 10 kB
_LABEL, _LONGEST_LABEL = ".cls", 20  # bytes
_GZIP = b"\x1f\x8b"


def tar_source(places: Sequence[Place], name: str, how: Opening) -> ImageSource:
    """The pictures of one tar or several; of several, names begin with the file's: `train-0.tar:dog/1.png`."""
    files = [place for place in places if isinstance(place, LocalFile) and place.read(0, 2) != _GZIP]
    if len(files) < len(places):
        return ImageSource(name, _Tars(places, how), how.policy)
    items = _Indexed(files, how)
    if not len(items):
        raise InputError(f"{name}: no pictures ({' '.join(SUFFIXES)}) among its {items.others} files")
    return ImageSource(name, items, how.policy, other_files(items.others))


class _Indexed(Sequence[Item]):
    """Members of uncompressed tars here; an item is made when it is asked for, in a tenth of the memory."""

    def __init__(self, files: Sequence[LocalFile], how: Opening) -> None:
        self._files, self._how, self.others = files, how, 0
        self._names: list[str] = []
        self._starts, self._sizes, self._ends = array("q"), array("q"), array("q")  # the last: of each file, in items
        for file in files:
            with file.path.open("rb") as stream:
                for member in _members(stream, file.name):
                    self._add(member)
            self._ends.append(len(self._names))

    def _add(self, member: tarfile.TarInfo) -> None:
        if not is_picture_name(member.name):
            self.others += 1
            return
        self._names.append(member.name)
        self._starts.append(member.offset_data)
        self._sizes.append(member.size)

    def class_numbers(self) -> list[int | None]:
        """The number in the `.cls` of each picture's sample, as WebDataset keeps labels; None where it has none.

        Raises InputError for one that holds no number.
        """
        found: list[int | None] = []
        for file, end in zip(self._files, self._ends, strict=True):
            with file.path.open("rb") as stream:
                numbers = {
                    _sample(member.name): _number(
                        file.read(member.offset_data, min(member.size, _LONGEST_LABEL)), f"{file.name}:{member.name}"
                    )
                    for member in _members(stream, file.name)
                    if member.name.endswith(_LABEL) and not is_hidden(member.name)
                }
            found += [numbers.get(_sample(name)) for name in self._names[len(found) : end]]
        return found

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> list[Item]: ...
    def __getitem__(self, row: int | slice) -> Item | list[Item]:
        rows = range(len(self))[row]
        return [self._item(one) for one in rows] if isinstance(rows, range) else self._item(rows)

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, range(len(self)))

    def _item(self, row: int) -> Item:
        file = self._files[bisect_right(self._ends, row)]
        name, prefix = self._names[row], _prefix(file, self._files)
        return prefix + name, _by_offset(file, name, self._starts[row], self._sizes[row], self._how)


def _sample(name: str) -> str:
    """What the files of one sample of WebDataset share: their path up to the first dot of the name."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _number(content: bytes, name: str) -> int:
    if not content.strip().isdigit():
        raise InputError(f"{name}: expected a class as a whole number, got {content!r}")
    return int(content)


class _Tars(Stream):
    """Tars that are read in order."""

    def __init__(self, places: Sequence[Place], how: Opening) -> None:
        self._places, self._how = places, how

    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """See `Stream`."""
        wanted = None if rows is None else frozenset(rows.tolist())
        row = self.others = 0
        for place in self._places:
            with _opened(place) as stream:
                for member in self._pictures(stream, place):
                    if wanted is None or row in wanted:
                        yield _streamed(place, stream, member, self._how, _prefix(place, self._places))
                    row += 1

    def part(self, rank: int, count: int) -> Iterator[tuple[int, Item]]:
        """See `Stream`; of as many tars as processes or more, each process reads its own."""
        if len(self._places) < count:
            yield from super().part(rank, count)
            return
        self.others = 0
        for number in range(rank, len(self._places), count):
            place = self._places[number]
            with _opened(place) as stream:
                for row, member in enumerate(self._pictures(stream, place)):
                    item = _streamed(place, stream, member, self._how, _prefix(place, self._places))
                    yield number * _MOST_MEMBERS + row, item

    def _pictures(self, stream: io.BufferedIOBase, place: Place) -> Iterator[tarfile.TarInfo]:
        for member in _members(stream, place.name):
            if is_picture_name(member.name):
                yield member
            else:
                self.others += 1

    def count(self) -> int:
        """See `Stream`; members are passed over."""
        names = 0
        for place in self._places:
            with _opened(place) as stream:
                names += sum(is_picture_name(member.name) for member in _members(stream, place.name))
        return names


@contextmanager
def _opened(place: Place) -> Iterator[io.BufferedIOBase]:
    with buffered(place, _LARGE_BLOCK) as stream:
        if stream.peek(2)[:2] == _GZIP:
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield unpacked
        else:
            yield stream


def _members(stream: io.BufferedIOBase, name: str) -> Iterator[tarfile.TarInfo]:
    """The files of a tar, in order. Raises InputError for damage, links and unsafe names."""
    at = 0
    try:
        archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 (it opens nothing)
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
            if archive.offset <= at or member.size < 0:
                raise tarfile.ReadError("a header leads backwards")
            at = archive.offset
            _check_member(member, name)
            if not member.isdir():
                yield member
        _check_end(stream, archive.offset)
    except InputError:
        raise
    except Exception as error:  # TarError, OSError and EOFError of gzip, zlib.error, ValueError, RecursionError
        raise InputError(f"{name}: {_broken(error)}") from error


def _broken(error: Exception) -> str:
    return f"not a whole tar ({error}); make or copy it again"


def _check_member(member: tarfile.TarInfo, name: str) -> None:
    check_entry_name(member.name, name, "tar")
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        what = "a link" if member.issym() or member.islnk() else "not a regular file"
        raise InputError(f"{name}: entry {member.name!r} is {what}; make the tar again with real files")
    member.name = member.name.removeprefix("./")


def _check_end(stream: io.BufferedIOBase, at: int) -> None:
    """tarfile ends in silence at a header that it cannot read, and reads no more than one of several tars in a row."""
    stream.seek(at)
    mark = stream.read(_BLOCK)
    if any(mark):
        raise tarfile.ReadError(f"a damaged header at byte {at}")
    if len(mark) < _BLOCK:
        raise tarfile.ReadError("its end mark is missing: it was cut short")
    passed = 0
    while rest := stream.read(1 << 20):
        if rest.count(0) < len(rest):
            raise tarfile.ReadError(f"more follows its end mark at byte {at}: several tars in one file")
        passed += len(rest)
        if passed > _LONGEST_PADDING:
            raise tarfile.ReadError(f"more than {_LONGEST_PADDING:,} zeros follow its end mark at byte {at}")


def _prefix(place: Place, places: Sequence[Place]) -> str:
    return f"{base_name(place.name)}:" if len(places) > 1 else ""


def _by_offset(place: Place, member: str, start: int, size: int, how: Opening) -> Load:
    name = f"{place.name}:{member}"

    def read() -> bytes:
        data = place.read(start, size)
        if len(data) < size:
            raise PictureError(f"{name}: the tar ends within it; copy it again or use `on_error='skip'`")
        return data

    return refusal(_too_large(name, size)) if size > _MAX_MEMBER_BYTES else how.load(name, as_picture(read))


def _streamed(place: Place, stream: io.BufferedIOBase, member: tarfile.TarInfo, how: Opening, prefix: str) -> Item:
    name = f"{place.name}:{member.name}"
    if member.size > _MAX_MEMBER_BYTES:
        return prefix + member.name, refusal(_too_large(name, member.size))
    try:
        stream.seek(member.offset_data)
        data = stream.read(member.size)
        if len(data) < member.size:
            raise EOFError(f"it ends within {member.name}")
    except InputError:  # of the place
        raise
    except Exception as error:  # OSError and EOFError of gzip, zlib.error
        raise InputError(f"{place.name}: {_broken(error)}") from error
    return prefix + member.name, how.load(name, lambda: data)


def _too_large(name: str, size: int) -> PictureError:
    return PictureError(f"{name}: has {size:,} bytes, more than a picture takes; remove it or use `on_error='skip'`")
