"""Records whose fields hold what they are declared with: a message in words where Python would fail later."""

from collections.abc import Mapping, Sequence
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

    A whole number is a number, and any sequence stands for a tuple; the values of a Literal are its record's to check.
    """
    for name, declared in get_type_hints(type(record)).items():
        value = getattr(record, name)
        if not _fits(value, declared):
            raise ArgumentError(f"{name}: expected {_in_words(declared)}, got {value!r}")


def check_choice(record: Any, name: str, expected: Sequence[object]) -> None:
    """Raise ArgumentError for a field that holds none of the values expected."""
    if (value := getattr(record, name)) not in expected:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(str, expected))}, got {value!r}")


def check_record(name: str, value: Any, kind: type) -> None:
    """Raise ArgumentError for an argument that is of another class than `kind`."""
    if not isinstance(value, kind):
        raise ArgumentError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")


def _fits(value: Any, declared: Any) -> bool:
    origin = get_origin(declared)
    if origin is Literal:
        return True
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
    if origin in (Union, UnionType):
        return " or ".join(map(_in_words, get_args(declared)))
    if origin is tuple:
        return f"several, each {_in_words(get_args(declared)[0])}"
    kind = origin or declared
    return _WORDS.get(kind, f"a {kind.__name__}")
