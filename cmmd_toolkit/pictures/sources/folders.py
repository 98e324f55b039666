"""Folders: pictures found below them, and the files read one by one."""

import errno
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from ...common.files import read_regular
from ...errors import InputError, PictureError
from ..load import Load
from .names import SUFFIXES, is_picture_name, other_files
from .parquet import parquet_source
from .place import LocalFile, as_picture
from .source import ImageSource, Item, Opening


def picture_names(folder: Path, recursive: bool = True) -> tuple[list[str], int]:
    """Relative POSIX names of the pictures below a folder, in order, and the number of its other visible files.

    Raises InputError for a folder that cannot be listed, and for one that is named like a picture and holds none.
    """
    names, others, problems = _search(folder, recursive)
    for _, reason in problems:
        raise InputError(reason)
    return names, others


def folder_source(folder: Path, how: Opening) -> ImageSource:
    """The pictures below a folder; where there are none, its Parquet files."""
    names, others, problems = _search(folder, how.recursive)
    tables = [] if names else [name for name in _walk(folder, how.recursive, []) if name.lower().endswith(".parquet")]
    if tables:
        return parquet_source([LocalFile.at(folder / name) for name in sorted(tables)], str(folder), how)
    if not names:
        hint = "" if how.recursive else " at its top level; subfolders are searched with `recursive`"
        none = f"{folder}: no pictures ({' '.join(SUFFIXES)}) among its {others} files{hint}"
        raise InputError(problems[0][1] if problems else none)
    items = _Files(str(folder), names, how)
    return ImageSource(str(folder), items, how.policy, other_files(others), tuple(problems))


class _Files(Sequence[Item]):
    """Items that are made when they are asked for: millions of names are a tenth of their loaders."""

    def __init__(self, folder: str, names: list[str], how: Opening) -> None:
        self._folder, self._names, self._how = folder, names, how

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> list[Item]: ...
    def __getitem__(self, row: int | slice) -> Item | list[Item]:
        if isinstance(row, slice):
            return [self._item(name) for name in self._names[row]]
        return self._item(self._names[row])

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, self._names)

    def _item(self, name: str) -> Item:
        path = Path(self._folder, name)
        return name, file_loader(path, str(path), self._how)


def _search(folder: Path, recursive: bool) -> tuple[list[str], int, list[tuple[str, str]]]:
    """The names of the pictures, the number of other files, and names and reasons of what is neither."""
    problems: list[tuple[str, str]] = []
    found = sorted(_walk(folder, recursive, problems))
    files = [name for name in found if name[-1] != "/"]
    names = [name for name in files if is_picture_name(name)]
    for place in (name for name in found if name[-1] == "/"):
        first = bisect_left(names, place)
        if first == len(names) or not names[first].startswith(place):
            problems.append((place[:-1], f"{folder}/{place[:-1]}: {_NO_PICTURE}"))
    return names, len(files) - len(names), problems


_NO_PICTURE = "a folder that is named like a picture and holds none; rename or remove it"


def _walk(folder: Path, recursive: bool, problems: list[tuple[str, str]]) -> Iterator[str]:
    """Relative POSIX names of all visible files; linked folders are followed, each real folder once.

    Folders that are named like pictures come too, with a slash at the end. Those below the first that cannot be listed
    go to `problems`.
    """
    seen, waiting = set(), [""]
    while waiting:
        prefix = waiting.pop()
        top = f"{folder}/{prefix}"
        try:
            status = os.stat(top)  # noqa: PTH116 (pathlib takes a second for a path of thousands of parts)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(top) as entries:
                visible = [(prefix + entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != "."]
        except OSError as error:
            if not prefix:
                raise InputError(_unlisted(error, top)) from error
            problems.append((prefix[:-1], _unlisted(error, top)))
            continue
        waiting += [f"{name}/" for name, is_folder in sorted(visible, reverse=True) if is_folder and recursive]
        yield from (name for name, is_folder in visible if not is_folder)
        yield from (f"{name}/" for name, is_folder in visible if is_folder and is_picture_name(name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unlisted(error: OSError, top: str) -> str:
    shown = top if len(top) < 200 else f"{top[:100]}...{top[-40:]}"
    advice = "move it higher up" if error.errno == errno.ENAMETOOLONG else "check its permissions"
    return f"{shown}: cannot be listed ({error.strerror}); {advice}"


def file_loader(path: Path, name: str, how: Opening) -> Load:
    """One file; `name` is what messages call it."""

    def read() -> bytes:
        try:
            return read_regular(path)
        except OSError as error:
            absent = "check its name" if isinstance(error, FileNotFoundError) else "check its permissions"
            advice = "a broken link: fix or remove it" if path.is_symlink() else absent
            raise PictureError(
                f"{name}: cannot be read ({error.strerror}); {advice} or use `on_error='skip'`"
            ) from error

    return how.load(name, as_picture(read))
