"""What every command of `dit-gen` shares: one-line errors, and how numbers are read from text."""

import errno
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import click

from ..errors import ArgumentError, AttentionChangedWarning, DitError
from .signals import CODES, INTERRUPTION, caught_signals, exit_at_once

BAD_INPUT = 2
INTERRUPTED = 130
T = TypeVar("T")
_INTERRUPTIONS = (click.exceptions.Abort, KeyboardInterrupt)


class Shell(click.Group):
    """A group whose every error is one line on stderr and exit code 2; warnings are one line, too."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        stdout = sys.stdout
        with _patient_stderr(), caught_signals() as came:
            try:
                with _our_warnings():
                    code = _flushed(super().main(args, prog_name="dit-gen", standalone_mode=False, **extra))
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(bool(end.code))
                if sys.stdout is not stdout:  # click puts another there when nobody reads the result any more
                    code, sys.stdout = 0, stdout
            except BaseException as error:
                code = _code_of(error, came)
            _give_up_stdout()
        if args is None:
            exit_at_once()  # while Python itself shuts down
        sys.exit(code if isinstance(code, int) else 0)


def _flushed(code: T) -> T:
    """What a command gave, once all it printed is out."""
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def _code_of(error: BaseException, came: Sequence[int]) -> int:
    """Say what stopped a command and give its exit code; raises what is no user's matter."""
    if isinstance(error, BrokenPipeError) and not came:
        return 0  # nobody reads the result any more
    reason = INTERRUPTION if came or isinstance(error, _INTERRUPTIONS) else _reason(error)
    if reason is None:
        raise error
    if _is_first_to_tell():
        click.echo(reason, err=True)
    if reason is not INTERRUPTION:
        return BAD_INPUT
    return CODES[signal.Signals(came[0])] if came else INTERRUPTED


def _reason(error: BaseException) -> str | None:
    """The line for an error of the user, of the system, or of ours; None for any other."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    if isinstance(error, click.UsageError):
        return _line(f"{error.format_message()} (see {error.ctx.command_path if error.ctx else 'dit-gen'} --help)")
    if isinstance(error, click.ClickException):
        return _line(error.format_message())
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        kept = "; what is finished is kept" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return _line(f"{where}{error.strerror or error}{kept}")
    if isinstance(error, (DitError, MemoryError)):
        return _line(str(error) or "not enough memory; take a smaller --batch-size")
    if isinstance(error, RuntimeError) and re.search("out of memory|can't allocate memory", str(error)):
        cause = str(error).splitlines()[0]
        return _line(f"not enough memory ({cause}); take a smaller --batch-size; what is finished is kept")
    return None


def _line(message: str) -> str:
    return " ".join(f"dit-gen: error: {message}".split())


def _is_first_to_tell() -> bool:
    """Whether this process is to say why it ends, or another of the same launch has done so."""
    if "RANK" not in os.environ:
        return True
    from .processes import is_first_to_tell

    return is_first_to_tell()


def _give_up_stdout() -> None:
    """Where what was printed cannot be written, it goes nowhere, or Python would try again while it shuts down."""
    try:
        _flushed(None)
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """One line on stderr."""
    click.echo("dit-gen: " + " ".join(str(message).split()), err=True)


@contextmanager
def _patient_stderr() -> Iterator[None]:
    """Nobody reading stderr any more is no reason to stop: what is said then goes nowhere."""
    before = sys.stderr
    try:
        number = before.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or replaced by what is no file
        yield
        return
    raw = io.BufferedWriter(_Patient(number, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(raw, before.encoding, errors="backslashreplace", line_buffering=True)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before


class _Patient(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def listed(text: str, title: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    """The values in `a,b,c`; raises ArgumentError that names the option."""
    try:
        return tuple(parse(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(f"{title} {text}: expected {'whole ' * (parse is int)}numbers such as 1,2") from error


@contextmanager
def _our_warnings() -> Iterator[None]:
    """This package's warnings as one line each, said once; those of the libraries are for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if os.environ.get("RANK", "0") == "0":  # of several processes one warns
            warnings.simplefilter("once", AttentionChangedWarning)
        warnings.showwarning = lambda message, *_args, **_kwargs: say(f"warning: {message}")
        yield
