"""Errors of the library name arguments of Python, `batch_size`; users of a command read flags, --batch-size."""

import re

import click

_ARGUMENT = re.compile(r"""`(\w+)(?:=["']?([^`]*?)["']?)?`""")  # `weights`, `weights=PATH`, `on_error='skip'`


def in_flags(text: str, command: click.Command) -> str:
    """The text with the arguments of the command, or of all commands of a group, as they are typed.

    `batch_size` becomes --batch-size, `on_error='skip'` becomes --on-error skip, and so does a name before the first
    colon: `seed: expected ...`.
    """
    commands = [*command.commands.values()] if isinstance(command, click.Group) else [command]
    options = [own for each in commands for own in each.params if isinstance(own, click.Option)]
    flags = {str(own.name): max(own.opts, key=len) for own in options}

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        return found[0] if name not in flags else flags[name] if value is None else f"{flags[name]} {value}"

    first, colon, rest = _ARGUMENT.sub(typed, text).partition(": ")
    return flags.get(first, first) + colon + rest if colon else first
