"""The help of every command, as docs/commands.md holds it.

python tests/helpers/help_texts.py > docs/commands.md
"""

import importlib
import sys
from importlib.metadata import version
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[2]))

_PROGRAMS = {"cmmd": "cmmd_toolkit.cli.main", "dit-gen": "dit_generators.cli.main"}
_CLICK = ".".join(version("click").split(".")[:2])
_TITLE = f"# Commands\n\nWhat `--help` prints, laid out by click {_CLICK}; a test holds this page against it.\n"


def help_page() -> str:
    """The page in Markdown."""
    parts = [_TITLE]
    for program, module in _PROGRAMS.items():
        group: click.Group = importlib.import_module(module).main
        with click.Context(group, info_name=program, **_settings(group)) as context:
            parts.append(_part(program, group.get_help(context)))
            parts += _parts_of(group, program, context)
    return "\n".join(parts)


def _parts_of(group: click.Group, title: str, context: click.Context) -> list[str]:
    parts = []
    for name, command in sorted(group.commands.items()):
        with click.Context(command, parent=context, info_name=name, **_settings(group)) as inner:
            parts.append(_part(f"{title} {name}", command.get_help(inner)))
            if isinstance(command, click.Group):
                parts += _parts_of(command, f"{title} {name}", inner)
    return parts


def _settings(group: click.Group) -> dict[str, object]:
    return {**group.context_settings, "terminal_width": 110}


def _part(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    print(help_page(), end="")
