"""Standard streams of a command: a reader that leaves early costs neither the result nor the exit code."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import InputError


@contextlib.contextmanager
def sturdy_streams() -> Iterator[None]:
    """For the time of a command: what is written to a closed stream goes nowhere, and no message is worth a result.

    A stdout that cannot be written for another reason, such as a full disk, raises InputError.
    """
    _reserve_descriptors()
    with contextlib.ExitStack() as stack:
        if sys.stdout is not None:
            stack.enter_context(contextlib.redirect_stdout(_Sturdy(sys.stdout, "stdout")))
        if sys.stderr is not None:
            stack.enter_context(contextlib.redirect_stderr(_Sturdy(sys.stderr)))
        yield


@contextlib.contextmanager
def kept_for_results() -> Iterator[None]:
    """For the time of the work stdout is the result's alone: what the user's own network prints goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _reserve_descriptors() -> None:
    """Else the next file that is opened would be the closed stdout, and printed text would end in it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


class _Sturdy:
    """A text stream that outlives its reader; with a `name` it raises InputError for other failures."""

    def __init__(self, stream: Any, name: str = "") -> None:
        self._stream, self._name, self._failure = stream, name, ""

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # click would write past this object where the encoding is ASCII
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str | bytes) -> int:
        with self._guarded():
            self._stream.write(text if isinstance(text, str) else text.decode())  # completion prints bytes
        return len(text)

    def flush(self) -> None:
        with self._guarded():
            self._stream.flush()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _discard(self._stream)
            if self._name and not isinstance(error, BrokenPipeError):
                reason = f"could not be written ({error.strerror})"
                self._failure = f"{self._name}: {reason}; free space or redirect it elsewhere"
        if self._failure:  # again at every write: click tries one and passes over what it raises
            raise InputError(self._failure)


def _discard(stream: Any) -> None:
    """Whatever is still to be written goes nowhere, at the end of the process too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
