"""What `compare`, `rank`, `plan` and `explain` return: records with one JSON form, which is read as it was written."""

import json
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
IF_KNOWN = {"if_known": True}  # of a field that is in the JSON form unless it is None, its default


class Document:
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
        wanted = f"{_article(cls.kind)} {cls.kind} as `{cls.__name__}.save` writes it, version {cls.schema_version}"
        refusal = f"{path}: expected {wanted}"
        document = read_object(path_of(path), f"{refusal}; make it again")
        found = document.get("kind", cls.kind), document.get("schema_version")
        if found != (cls.kind, cls.schema_version):
            raise InputError(f"{refusal}, got {found[0]!r:.60}, version {found[1]!r:.20}; make it again")
        try:
            return cls.from_dict(document)
        except (KeyError, TypeError, ValueError, CmmdError) as error:
            raise InputError(f"{refusal}; make it again") from error

    @classmethod
    def from_dict(cls: type[Own], document: Mapping[str, Any]) -> Own:
        """The record of a JSON form. Raises KeyError, TypeError or ValueError where it is none."""
        record: Own = _built(cls, document)
        return record


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


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


def _built(kind: Any, value: Any) -> Any:
    """The reverse of `plain`, by the annotations of the record."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Any:
        return value
    if origin in (Union, UnionType):
        (known,) = (own for own in arguments if own is not NoneType)
        return None if value is None else _built(known, value)
    if is_dataclass(origin) and isinstance(origin, type):
        hints = get_type_hints(origin)
        saved = [
            each for each in fields(origin) if _is_saved(each) and not (_if_known(each) and each.name not in value)
        ]
        return origin(**{each.name: _built(hints[each.name], value[each.name]) for each in saved})
    if origin is tuple:
        return _built_tuple(arguments, value)
    if issubclass(origin, Mapping):
        return {_typed(str, key): _built(arguments[1], item) for key, item in _typed(dict, value).items()}
    return _typed(origin, value)


def _built_tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    items = _typed(list, value)
    kinds = arguments[:1] * len(items) if arguments[-1] is Ellipsis else arguments
    return tuple(_built(own, item) for own, item in zip(kinds, items, strict=True))


def _typed(kind: type, value: Any) -> Any:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value
