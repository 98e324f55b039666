"""A command line: errors in one line with exit code 2, signals without a traceback, streams that cost no result."""

import atexit
import errno
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from ..errors import CmmdError, InputError
from .flags import in_flags
from .nearest import nearest
from .processes import ALONE, Processes, is_first_to_tell, shared_work
from .signals import CODES, caught_signals, exit_at_once
from .streams import sturdy_streams
from .text import printable

BAD_INPUT = 2
INTERRUPTED = 130
_NO_CHOICE = re.compile(r"'(.*)' is not one of ")  # click's sentence on a value
_NO_THREAD = "can't start new thread"  # Python's words
_INTERRUPTIONS = (click.exceptions.Abort, KeyboardInterrupt)


class Shell(click.Group):
    """A group whose every error is one line on stderr and exit code 2; results are its only words on stdout."""

    program = "cmmd"
    errors: tuple[type[Exception], ...] = ()  # besides CmmdError, what is told in a line
    shown_warnings: tuple[type[Warning], ...] = ()
    _running: click.Command | None = None
    shares_work = False  # whether the processes of a launch run one command together
    resumes = False  # whether a command that was stopped keeps what it has finished

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
        with sturdy_streams(), caught_signals(self._interruption()) as came, self._own_warnings():
            code = self._run(args, extra, came)
        if args is None:
            exit_at_once()  # while Python itself shuts down
            if os.environ.get("WORLD_SIZE", "1") != "1":
                _leave(code)
        sys.exit(code)

    def invoke(self, context: click.Context) -> Any:
        """Run a command, and remember which: its errors are told with its flags."""
        try:
            with self._shared() as processes, nullcontext() if processes.is_main else _muted():
                return super().invoke(context)
        finally:
            name = context.invoked_subcommand
            self._running = self.get_command(context, name) if name else None

    def _shared(self) -> AbstractContextManager[Processes]:
        """The processes that share the work of a command."""
        return shared_work() if self.shares_work else nullcontext(ALONE)

    def say(self, message: str) -> None:
        """One line on stderr."""
        click.echo(f"{self.program}: " + printable(" ".join(message.split())), err=True)

    def is_first_to_tell(self) -> bool:
        """Whether this process is to say why it ends, or another that runs the same command has done so."""
        return not self.shares_work or is_first_to_tell(self.program)

    def _run(self, args: Sequence[str] | None, extra: dict[str, Any], came: Sequence[int]) -> int:
        try:
            code = super().main(args, prog_name=self.program, standalone_mode=False, **extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except BaseException as error:
            code = self._code_of(error, came)
        if sys.stdout is not None:
            with suppress(InputError):
                sys.stdout.flush()
        return code if isinstance(code, int) else 0

    def _code_of(self, error: BaseException, came: Sequence[int]) -> int:
        """Say what stopped a command and give its exit code; raises what is no user's matter."""
        if came or isinstance(error, _INTERRUPTIONS):
            if self.is_first_to_tell():
                click.echo(self._interruption(), err=True)
            return CODES[signal.Signals(came[0])] if came else INTERRUPTED
        reason = self._reason(error)
        if reason is None:
            raise error
        if self.is_first_to_tell():
            click.echo(reason, err=True)
        return BAD_INPUT

    def _reason(self, error: BaseException) -> str | None:
        """The line for an error of the user, of the system, or of ours; None for any other."""
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            return error.format_message()
        if isinstance(error, click.UsageError):
            where = error.ctx.command_path if error.ctx else self.program
            return self._line(f"{_usage_text(error)} (see {where} --help)")
        if isinstance(error, click.ClickException):
            return self._line(error.format_message())
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            room = f"; free space{self._kept()}" if full else ""
            return self._line(f"{where}{error.strerror or error}{room}")
        if isinstance(error, (CmmdError, *self.errors)):
            return self._line(in_flags(str(error), self._running or self))
        if isinstance(error, MemoryError) or _is_out_of_memory(error):
            cause = f" ({str(error).splitlines()[0]})" if str(error) else ""
            return self._line(f"not enough memory{cause}; use a smaller --batch-size{self._kept()}")
        if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
            reason = "cannot start another thread (see `ulimit -u`); use fewer --workers"
            return self._line(reason + self._kept())
        return None

    def _line(self, message: str) -> str:
        return printable(" ".join(f"{self.program}: error: {message}".split()))

    def _kept(self) -> str:
        return "; finished work is kept" if self.resumes else ""

    def _interruption(self) -> str:
        resumed = f"{self._kept()}, and the same command resumes there" if self.resumes else ""
        return f"{self.program}: interrupted{resumed}"

    @contextmanager
    def _own_warnings(self) -> Iterator[None]:
        """This package's warnings as one line each, said once; those of the libraries are for developers."""
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            if os.environ.get("RANK", "0") == "0":  # of several processes one warns
                for category in self.shown_warnings:
                    warnings.simplefilter("once", category)
            warnings.showwarning = lambda message, *_, **__: self.say(f"warning: {in_flags(str(message), self)}")
            yield


def _leave(code: int) -> NoReturn:
    """End one of several processes before C++ tidies up: a thread of a process group aborted one run there."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)


@contextmanager
def _muted() -> Iterator[None]:
    """Of several processes one prints; errors come when this is over."""
    with Path(os.devnull).open("w", errors="replace") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and re.search("out of memory|can't allocate memory", str(error)) is not None


def _usage_text(error: click.UsageError) -> str:
    """What was typed wrongly, with a suggestion only where one is near: click would take --csv for --recursive."""
    if isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Choice):
        word = _NO_CHOICE.match(error.message)
        meant = nearest(word[1], map(str, error.param.type.choices)) if word else None
        return error.format_message() + (f" Did you mean {meant}?" if meant else "")
    typed = getattr(error, "option_name", None) or getattr(error, "command_name", None)
    if not typed or error.ctx is None:
        return error.format_message()
    dashes = "--" if typed.startswith("-") else ""
    near = nearest(typed.lstrip("-"), _known(error.ctx, dashes))
    return f"{error.message} Did you mean {dashes}{near}?" if near else error.message


def _known(context: click.Context, dashes: str) -> list[str]:
    """The long options of a command without their dashes, or the commands of a group."""
    command = context.command
    if not dashes:
        return list(command.commands) if isinstance(command, click.Group) else []
    options = [name for parameter in command.get_params(context) for name in parameter.opts]
    return [name.removeprefix("--") for name in options if name.startswith("--")]
