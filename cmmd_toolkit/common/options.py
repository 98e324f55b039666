"""Options of commands in a line each: a default that there is stands in the help."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

flag = partial(click.option, is_flag=True)
text = partial(click.option, show_default=True)
whole = partial(text, type=int)
number = partial(text, type=float)


def choice(name: str, values: Sequence[str], **more: Any) -> Callable[..., Any]:
    """One of these values."""
    return text(name, type=click.Choice(values), **more)


def with_options(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    """The command with these options, which stand in its help in this order."""
    for option in reversed(options):
        command = option(command)
    return command
