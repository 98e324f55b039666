"""Lists of paths: a text file with the path or address of one picture a line."""

from pathlib import Path

from ...common.urls import is_url, shown_url
from ...errors import InputError, PictureError
from ..load import Load, refusal
from .folders import file_loader
from .place import LocalFile, Place
from .remote import RemoteFile, open_remote, read_whole
from .source import ImageSource, Item, Opening

_MOST_BYTES = 1 << 30


def list_source(place: Place, how: Opening) -> ImageSource:
    """The pictures that a UTF-8 list names, in its order; blank lines and those that begin with # are none.

    Paths are taken from the list's own folder. Names are the paths as they are written.
    """
    items = [_item(place, number, line, how) for number, line in _lines(place)]
    if not items:
        raise InputError(f"{place.name}: lists no pictures; write the path of one picture per line")
    return ImageSource(place.name, items, how.policy)


def _lines(place: Place) -> list[tuple[int, str]]:
    if place.size > _MOST_BYTES:
        raise InputError(f"{place.name}: has {place.size:,} bytes, more than a list of paths takes; split it")
    try:
        text = place.read(0, place.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{place.name}: not a list of paths in UTF-8 (byte {error.start}); save it as such") from error
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _item(place: Place, number: int, line: str, how: Opening) -> Item:
    where = f"{place.name}, line {number}"
    if is_url(line):
        return shown_url(line), how.load(f"{where}: {shown_url(line)}", lambda: read_whole(open_remote(line), where))
    if isinstance(place, RemoteFile):
        return line, _beside_remote(place, line, where, how)
    assert isinstance(place, LocalFile)
    if "\0" in line:
        return line, refusal(PictureError(f"{where}: a path with a zero byte; fix it or use `on_error='skip'`"))
    path = place.path.parent / line
    return line.removeprefix("./"), file_loader(path, f"{where}: {path}", how)


def _beside_remote(place: RemoteFile, line: str, where: str, how: Opening) -> Load:
    if Path(line).is_absolute() or ".." in Path(line).parts:
        reason = f"{where}: {line} leads out of the folder of the list; write an address or `on_error='skip'`"
        return refusal(PictureError(reason))
    picture = place.beside(line)
    return how.load(f"{where}: {picture.name}", lambda: read_whole(picture, where))
