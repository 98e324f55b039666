"""What every command of `dit-gen` shares: one-line errors, and how numbers are read from text."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from cmmd_toolkit.common.flags import in_flags
from cmmd_toolkit.common.processes import is_first_to_tell
from cmmd_toolkit.common.shell import INTERRUPTED, Shell
from cmmd_toolkit.common.text import printable

from ..errors import ArgumentError, AttentionChangedWarning, DitError

__all__ = ["INTERRUPTED", "DitShell", "parse_list", "say"]
T = TypeVar("T")


class DitShell(Shell):
    """The group of `dit-gen`."""

    program = "dit-gen"
    errors = (DitError,)
    shown_warnings = (AttentionChangedWarning,)
    resumes = True

    def invoke(self, context: click.Context) -> Any:
        """Run a command; diffusers imports xformers unasked, whose complaints matter to `--attention` alone, which says
        why it cannot run."""
        logging.getLogger("xformers").setLevel(logging.ERROR)
        return super().invoke(context)

    def is_first_to_tell(self) -> bool:
        """Its commands join the processes of a launch by themselves."""
        return is_first_to_tell(self.program)


def say(message: str) -> None:
    """One line on stderr, with flags for what the library calls arguments."""
    context = click.get_current_context(silent=True)
    text = message if context is None else in_flags(message, context.command)
    click.echo("dit-gen: " + printable(" ".join(text.split())), err=True)


def parse_list(text: str, title: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    """The values in `a,b,c`; raises ArgumentError that names the option."""
    try:
        return tuple(parse(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(f"{title} {text}: expected {'whole ' * (parse is int)}numbers such as 1,2") from error
