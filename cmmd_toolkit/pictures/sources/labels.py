"""Classes that a folder or zip names in a file: `dataset.json`, as the tools of StyleGAN, EDM and REPA write it."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InputError
from .source import Item

LABELS = "dataset.json"


class LabelledItems(list[Item]):
    """Items of an archive with such a file, which is read when it is asked for."""

    def __init__(self, items: Sequence[Item], read: Callable[[], Any], where: str) -> None:
        super().__init__(items)
        self._read, self._where = read, where

    def listed_numbers(self) -> list[int | None]:
        """See `numbers_in`."""
        return numbers_in(self._read(), [name for name, _ in self], self._where)


def numbers_in(content: bytes, names: Sequence[str], where: str) -> list[int | None]:
    """The class of each name by {"labels": [["00000/img00000000.png", 5], ...]}; None for a name that is not there.

    Raises InputError for another content, labels that are null among it: `where` names the file.
    """
    try:
        known = dict(json.loads(content)["labels"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f'{where}: names no classes; expected {{"labels": [["00000/img00000000.png", 5], ...]}}, from 0; '
            "or remove it"
        ) from error
    for name, number in known.items():
        if type(number) is not int or number < 0:
            raise InputError(f"{where}: {name}: expected a class as a whole number of 0 or more, got {number!r:.60}")
    return [known.get(name) for name in names]
