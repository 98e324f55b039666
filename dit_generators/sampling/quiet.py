"""What long work tells its caller, and the caller that wants to hear nothing."""

from collections.abc import Callable

Say = Callable[[str], None]


def say_nothing(_message: str) -> None:
    """A `Say` for functions that have nobody to tell."""
