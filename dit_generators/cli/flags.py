"""The library's errors name arguments of Python, `batch_size`; users of the command read flags, --batch-size."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..common.shell import say
from ..errors import DitError

_ARGUMENT = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")


def in_flags(message: str, command: click.Command) -> str:
    """`batch_size` -> --batch-size, and `precision="fp32"` -> --precision fp32, for the options of a command."""
    flags = {parameter.name: max(parameter.opts, key=len) for parameter in command.params}

    def flag(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in flags:
            return found[0]
        return flags[name] if value is None else f"{flags[name]} {value.strip(chr(34))}"

    return _ARGUMENT.sub(flag, message)


@contextmanager
def errors_in_flags(context: click.Context) -> Iterator[None]:
    """Errors of the library leave with flags in them, those of the command that this group runs."""
    try:
        yield
    except DitError as error:
        group, name = context.command, context.invoked_subcommand
        command = group.get_command(context, name) if isinstance(group, click.Group) and name else None
        error.args = (in_flags(str(error), command or group),)
        raise


def say_in_flags(message: str) -> None:
    """`say`, with the flags of the command that runs."""
    say(in_flags(message, click.get_current_context().command))
