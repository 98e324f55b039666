"""When and where the pictures of stored features were read, and whether they have changed since.

Nothing is opened for it: one stat a picture. A place that is gone, has moved or cannot be listed is passed over.
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from ..common.urls import is_url, shown_url
from ..errors import ArgumentError
from ..pictures.sources import SUFFIXES

_SPARE_ENTRIES = 10_000  # of other files beside the pictures, before a place is taken for another one


@dataclass(frozen=True)
class Origin:
    """The beginning of a reading.

    Attributes:
        made: when it began, ISO 8601 in UTC, or the date that SOURCE_DATE_EPOCH gives.
        path: the folder, archive or batch, absolute or from the working folder, or its address; None for pictures from
            memory.
        recursive: whether subfolders were read.
        count: the pictures of the folder; 1 for a file.
        ahead: how many of them were dated after `made` by another clock; None where `made` was given.
    """

    made: str
    path: str | None = None
    recursive: bool = True
    count: int = 0
    ahead: int | None = None

    @classmethod
    def now(cls, source: Any, recursive: bool) -> "Origin":
        """Take down the state of a source of pictures before the first of them is read."""
        given = os.environ.get("SOURCE_DATE_EPOCH", "")
        made = _given_date(given) if given else datetime.now(timezone.utc)
        text = made.isoformat(timespec="microseconds")
        if not isinstance(source, (str, os.PathLike)):
            return cls(text, None, recursive)
        if is_url(source):
            return cls(text, shown_url(str(source)), recursive)
        times = _times(Path(source), recursive) or []
        ahead = None if given else sum(time > made.timestamp() for time in times)
        return cls(text, str(Path(source)), recursive, len(times), ahead)

    def changes(self) -> str:
        """What has changed in the place since, in words, or ""."""
        times = (
            None
            if self.path is None or is_url(self.path)
            else _times(Path(self.path), self.recursive, 4 * self.count + _SPARE_ENTRIES)
        )
        if not times:
            return ""
        made, found = datetime.fromisoformat(self.made).timestamp(), []
        newer = 0 if self.ahead is None else sum(time > made for time in times) - self.ahead
        if newer > 0:
            found.append("1 picture is newer" if newer == 1 else f"{newer} pictures are newer")
        if len(times) != self.count:
            found.append(f"it holds {len(times)} pictures and held {self.count}")
        return ", ".join(found)


def _given_date(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise ArgumentError(f"SOURCE_DATE_EPOCH: expected seconds since 1970, got {seconds!r}; unset it") from error


def _times(place: Path, recursive: bool, most: int = sys.maxsize) -> list[float] | None:
    """When the pictures of a folder, or one file, were modified last; None where that cannot be known.

    Linked subfolders are not looked into. More than `most` entries are taken for another place.
    """
    try:
        if not place.is_dir():
            return [place.stat().st_mtime]
        times, folders = [], [str(place)]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if (most := most - 1) < 0:
                        return None
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders += [entry.path] if recursive else []
                    elif PurePath(entry.name).suffix.lower() in SUFFIXES:
                        with suppress(OSError):  # a link to nothing
                            times.append(entry.stat().st_mtime)
        return times
    except (OSError, ValueError):
        return None
