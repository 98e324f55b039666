"""JSON of reports, and what may stand in a provenance."""

import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import ArgumentError

_DEEPEST, _LARGEST = 32, 2**63
_WORDS = ("backbone", "decode", "source")  # keys of a provenance that are text wherever they are present
_COUNTS = ("dim", "skipped")


def json_text(document: Mapping[str, Any]) -> str:
    """Sorted, indented JSON with a line break at the end.

    Numbers that JSON does not know become null, and the document's `warnings` say which: a report is never lost.
    """
    odd: list[str] = []
    found = _finite(document, "", odd)
    if odd:
        found["warnings"] = [*found.get("warnings", ()), *odd]
    return json.dumps(found, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _finite(value: Any, place: str, odd: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item, f"{place}.{key}".lstrip("."), odd) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item, f"{place}[{i}]", odd) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        odd.append(f"{place} is {value}, for which JSON has no number: null in this file")
        return None
    return value


def checked_provenance(provenance: Any) -> dict[str, Any]:
    """The provenance of features as a dictionary, or an ArgumentError: text to what JSON can hold, numbers finite."""
    if not isinstance(provenance, Mapping):
        raise ArgumentError(f"provenance: expected names and values, got {type(provenance).__name__}")
    _check_json(provenance, "provenance", _DEEPEST)
    for key in _WORDS:
        if not isinstance(provenance.get(key, ""), str):
            raise ArgumentError(f"provenance: expected text as {key}, got {provenance[key]!r:.60}")
    for key in _COUNTS:
        value = provenance.get(key, 0)
        if type(value) is not int or value < 0:
            raise ArgumentError(f"provenance: expected a whole number as {key}, got {value!r:.60}")
    return dict(provenance)


def _check_json(value: Any, place: str, depth: int) -> None:
    if depth == 0:
        raise ArgumentError(f"{place}: expected at most {_DEEPEST} levels, got more; compute the features again")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ArgumentError(f"{place}: expected text as keys, got {key!r:.60}")
            _check_json(item, f"{place}.{key:.40}", depth - 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_json(item, place, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ArgumentError(f"{place}: expected a finite number, got {value}; compute the features again")
    elif isinstance(value, int) and abs(value) > _LARGEST:
        raise ArgumentError(f"{place}: expected a whole number up to {_LARGEST}, got a larger one")
    elif not (value is None or isinstance(value, (str, int, float))):
        raise ArgumentError(f"{place}: expected what JSON can hold, got {type(value).__name__}; convert it first")
