"""Ctrl-C and SIGTERM end a command with codes 130 and 143, without a traceback, at any moment."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def exit_at_once() -> None:
    """From now on both signals end this process at once: while nothing is open that would want to be closed."""
    for number in CODES:
        _handle(number, lambda number, _frame: os._exit(CODES[signal.Signals(number)]))


@contextmanager
def caught_signals(message: str) -> Iterator[list[int]]:
    """Both signals raise KeyboardInterrupt, so that temporaries go, and end the process when they come again.

    Yields the numbers of those that came. `message` is printed where no exception could carry the news.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        importing = _is_importing(frame)
        if importing and not came:
            os.write(2, f"{message}\n".encode())
        if importing or came:
            os._exit(CODES[signal.Signals(number)])
        came.append(number)
        raise KeyboardInterrupt

    before = {number: _handle(number, interrupt) for number in CODES}
    try:
        yield came
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: there some libraries swallow an interrupt, and nothing is open yet."""
    while frame is not None and "importlib._bootstrap" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def _handle(number: signal.Signals, handler: Any) -> Any:
    """Set a handler where the signal is not ignored and this thread may; returns the one before, else None."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(number) == signal.SIG_IGN:
        return None
    return signal.signal(number, handler)
