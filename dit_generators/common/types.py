"""Records whose fields hold what they are declared with: a message in words where Python would fail later."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import ArgumentError

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    Mapping: "a dict",
}


def check_types(record: Any) -> None:
    """Raise ArgumentError for a field of a dataclass that is of another type than declared.

    A whole number is a number, any sequence stands for a tuple, and a Literal for its values.
    """
    declared = get_type_hints(type(record))
    for name in (field.name for field in fields(record)):
        value = getattr(record, name)
        if not _fits(value, declared[name]):
            raise ArgumentError(f"{name}: expected {_in_words(declared[name])}, got {value!r}")


def check_above_0(record: Any, *names: str) -> None:
    """Raise ArgumentError for a field that holds no finite number above 0."""
    for name in names:
        if not 0 < (value := getattr(record, name)) < math.inf:
            raise ArgumentError(f"{name}: expected a number above 0, got {value}")


def check_least(record: Any, least: int, *names: str) -> None:
    """Raise ArgumentError for a field below `least`; None may stand for no number."""
    for name in names:
        if (value := getattr(record, name)) is not None and not value >= least:
            raise ArgumentError(f"{name}: expected {least} or more, got {value}")


def check_record(name: str, value: Any, kind: type) -> None:
    """Raise ArgumentError for an argument that is of another class than `kind`."""
    if not isinstance(value, kind):
        raise ArgumentError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")


def _fits(value: Any, declared: Any) -> bool:
    origin = get_origin(declared)
    if origin is Literal:
        return value in get_args(declared)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(declared))
    if origin is tuple:
        kinds = get_args(declared)
        return isinstance(value, Sequence) and not isinstance(value, str) and all(_fits(v, kinds[0]) for v in value)
    if declared in (int, float):
        return isinstance(value, Integral if declared is int else Real) and not isinstance(value, bool)
    return isinstance(value, origin or declared)


def _in_words(declared: Any) -> str:
    origin = get_origin(declared)
    if declared is NoneType:
        return "None"
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(declared)))}"
    if origin in (Union, UnionType):
        return " or ".join(map(_in_words, get_args(declared)))
    if origin is tuple:
        return f"several, each {_in_words(get_args(declared)[0])}"
    kind = origin or declared
    return _WORDS.get(kind, f"a {kind.__name__}")
