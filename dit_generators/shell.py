"""What every command of `dit-gen` shares: one-line errors, and how numbers are read from text."""

import errno
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import click

from .errors import ArgumentError, AttentionChangedWarning, DitError

BAD_INPUT = 2
INTERRUPTED = 130
T = TypeVar("T")


class Shell(click.Group):
    """A group whose every error is one line on stderr and exit code 2; warnings are one line, too."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with _our_warnings():
                code = super().main(args, prog_name="dit-gen", standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(BAD_INPUT)
        except click.UsageError as error:
            stop(f"{error.format_message()} (see {error.ctx.command_path if error.ctx else 'dit-gen'} --help)")
        except click.ClickException as error:
            stop(error.format_message())
        except click.exceptions.Abort:
            say("interrupted; what is finished is kept, and the same command goes on from there")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except (DitError, OSError, MemoryError) as error:
            stop(_reason(error))
        except RuntimeError as error:
            if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            stop(f"not enough memory ({reason}); take a smaller --batch-size; what is finished is kept")
        sys.exit(code if isinstance(code, int) else 0)


def say(message: str) -> None:
    """One line on stderr."""
    click.echo("dit-gen: " + " ".join(str(message).split()), err=True)


def stop(message: str) -> NoReturn:
    """One line on stderr and exit code 2."""
    say(f"error: {message}")
    sys.exit(BAD_INPUT)


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
        warnings.simplefilter("once", AttentionChangedWarning)
        warnings.showwarning = lambda message, *_args, **_kwargs: say(f"warning: {message}")
        yield


def _reason(error: DitError | OSError | MemoryError) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        kept = "; what is finished is kept" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{where}{error.strerror or error}{kept}"
    return str(error) or "not enough memory; take a smaller --batch-size"
