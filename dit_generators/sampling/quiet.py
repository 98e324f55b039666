"""What long work tells its caller, and the callers that want to hear nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..common.progress import Advance

Say = Callable[[str], None]


def say_nothing(_message: str) -> None:
    """A `Say` for functions that have nobody to tell."""


@contextmanager
def show_no_progress(_name: str, _total: int) -> Iterator[Advance]:
    """A `ShowProgress` that shows none."""
    yield _advance


def _advance(_count: float) -> None:
    """Progress of nothing."""
