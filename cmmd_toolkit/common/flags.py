"""Errors of the library name arguments of Python, `batch_size`; users of a command read flags, --batch-size."""

import re

import click

_ARGUMENT = re.compile(r"""`([\w.]+)(?:=["']?([^`]*?)["']?)?`""")  # `weights`, `weights=PATH`, `guidance.by='window'`


def in_flags(text: str, command: click.Command) -> str:
    """The text with the arguments of the command, or of all commands of a group, as they are typed.

    `batch_size` becomes --batch-size, `on_error='skip'` becomes --on-error skip, the field `guidance.scale` becomes
    --guidance-scale, and so does a name before the first colon: `seed: expected ...`.
    """
    commands = [*command.commands.values()] if isinstance(command, click.Group) else [command]
    options = [own for each in commands for own in each.params if isinstance(own, click.Option)]
    flags = {str(own.name): max(own.opts, key=len) for own in options}

    def typed(found: re.Match[str]) -> str:
        flag, value = flags.get(_name(found[1])), found[2]
        return found[0] if flag is None else flag if value is None else f"{flag} {value}"

    first, colon, rest = _ARGUMENT.sub(typed, text).partition(": ")
    return flags.get(_name(first), first) + colon + rest if colon else first


def _name(argument: str) -> str:
    return argument.replace(".", "_")
