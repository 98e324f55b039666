"""What `compare`, `rank`, `plan` and `explain` return: records with one JSON form, which is read as it was written."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from ..common.files import atomic_path, check_exists, path_of, read_regular
from ..common.json_text import json_text
from ..common.progress import ShowProgress
from ..errors import CmmdError, InputError

Own = TypeVar("Own", bound="Document")
NOT_SAVED = {"saved": False}  # metadata of a field that stays out of the JSON form; it needs a default
# Of one that may be missing from the JSON form, which leaves it out where it is None; it needs a default.
IF_KNOWN = {"if_known": True}


class Document(ABC):
    """A record that is a dataclass; `kind` and `schema_version` say in its JSON form what it is."""

    kind: ClassVar[str]
    schema_version: ClassVar[int]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dictionary."""
        return {"kind": self.kind, "schema_version": self.schema_version, **plain(self)}

    def to_json(self) -> str:
        """Sorted, indented JSON; two equal runs differ in `provenance.created` only."""
        return json_text(self.to_dict())

    def save(self, path: str | Path) -> None:
        """Write the JSON form atomically."""
        with atomic_path(path_of(path)) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    def save_html(self, path: str | Path, *, progress: ShowProgress | None = None) -> None:
        """Write one page for a browser atomically: it needs no network, and has everything in one file.

        Verdict, scores, charts, warnings and provenance; with an exhibit (`compare(..., exhibit=True)`) also pictures,
        the nearest neighbours of those that drive the distance, and a map. Pictures are read again from their sets.

        Args:
            path: the name ends in .html or .htm; progress: as in `compare`, over the pictures.

        Raises:
            ArgumentError: another name. InputError: the file cannot be written.
        """
        from .page.page import save_page

        save_page(self, path_of(path), progress)

    @classmethod
    def load(cls: type[Own], path: str | Path) -> Own:
        """Read what `save` wrote. Raises InputError for any other file."""
        article = "an" if cls.kind[0] in "aeiou" else "a"
        wanted = f"{article} {cls.kind} as `{cls.__name__}.save` writes it, version {cls.schema_version}"
        refusal = f"{path}: expected {wanted}"
        document = read_object(path_of(path), f"{refusal}; make it again")
        found = document.get("kind", cls.kind), document.get("schema_version")
        if found != (cls.kind, cls.schema_version):
            raise InputError(f"{refusal}, got {found[0]!r:.60}, version {found[1]!r:.20}; make it again")
        try:
            return cls.from_dict(document)
        except (TypeError, ValueError, CmmdError) as error:
            raise InputError(f"{refusal}; make it again ({error})") from error

    @classmethod
    def from_dict(cls: type[Own], document: Mapping[str, Any]) -> Own:
        """The record of a JSON form. Raises TypeError or ValueError where it is none, with the place."""
        record: Own = _built(cls, document, "")
        record.check()
        return record

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where parts of the record do not fit each other, which no command ever makes."""


def read_object(path: Path, refusal: str) -> dict[str, Any]:
    """The JSON object in a file, or an InputError: `refusal` where something is there that holds none."""
    check_exists(path)
    try:
        found = json.loads(read_regular(path))
    except (ValueError, RecursionError, OSError, InputError) as error:
        raise InputError(refusal) from error
    if not isinstance(found, dict):
        raise InputError(refusal)
    return found


def plain(value: Any) -> Any:
    """A record as dictionaries, lists and what JSON knows."""
    if is_dataclass(value):
        known = {own.name: getattr(value, own.name) for own in fields(value) if _is_saved(own)}
        left_out = {own.name for own in fields(value) if _if_known(own) and known[own.name] is None}
        return {name: plain(item) for name, item in known.items() if name not in left_out}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_saved(own: Any) -> bool:
    return bool(own.metadata.get("saved", True))


def _if_known(own: Any) -> bool:
    return bool(own.metadata.get("if_known", False))


def _built(kind: Any, value: Any, place: str) -> Any:
    """The reverse of `plain`, by the annotations of the record; `place` is where the value stands."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Any:
        return value
    if origin in (Union, UnionType):
        (known,) = (own for own in arguments if own is not NoneType)
        return None if value is None else _built(known, value, place)
    if is_dataclass(origin) and isinstance(origin, type):
        return _built_record(origin, _typed(dict, value, place), place)
    if origin is tuple:
        return _built_tuple(arguments, value, place)
    if issubclass(origin, Mapping):
        found = _typed(dict, value, place)
        return {key: _built(arguments[1], item, f"{place}.{key:.40}") for key, item in found.items()}
    return _typed(origin, value, place)


def _built_record(kind: type, value: Mapping[str, Any], place: str) -> Any:
    hints, found = get_type_hints(kind), dict[str, Any]()
    for own in fields(kind):
        if own.name in value:
            where = f"{place}.{own.name}".lstrip(".")
            found |= {own.name: _built(hints[own.name], value[own.name], where)} if _is_saved(own) else {}
        elif _is_saved(own) and not _if_known(own):
            raise ValueError(f"{place or 'it'} has no {own.name}")
    ends = found.get("interval")
    if ends is not None and ends[0] > ends[1]:
        raise ValueError(f"{place}.interval: expected its lower end first, got {ends[0]} and {ends[1]}")
    return kind(**found)


def _built_tuple(arguments: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    items = _typed(list, value, place)
    kinds = arguments[:1] * len(items) if arguments[-1] is Ellipsis else arguments
    if len(kinds) != len(items):
        raise ValueError(f"{place}: expected {len(kinds)} values, got {len(items)}")
    return tuple(_built(own, item, f"{place}[{i}]") for i, (own, item) in enumerate(zip(kinds, items, strict=True)))


def _typed(kind: Any, value: Any, place: str) -> Any:
    """The value if it is of that kind; numbers finite, whole ones counts."""
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{place}: expected {kind.__name__}, got {type(value).__name__}")
    if kind in (int, float) and not _is_finite(value):
        raise ValueError(f"{place}: expected a finite number")
    if kind is int and value < 0:
        raise ValueError(f"{place}: expected zero or more, got {value}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
