"""What a mistyped word may have meant."""

import difflib
from collections.abc import Iterable

_NEAR = 0.7  # difflib's ratio: a letter or two of a word
_LEAST_START = 3


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelt almost so, or begins so; None where every one is another word."""
    word, names = word.lower(), list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=_NEAR)
    starts = [name for name in names if len(word) >= _LEAST_START and (name.startswith(word) or word.startswith(name))]
    return next(iter([*near, *starts]), None)


def hint(word: str, known: Iterable[str]) -> str:
    """ "did you mean NAME? ", or nothing."""
    near = nearest(word, known)
    return f"did you mean {near}? " if near else ""
