"""The examples at the end of every help can be typed as they stand, and shells complete the commands."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cmmd_toolkit.cli.main import main as cmmd
from dit_generators.cli.main import main as dit_gen

GROUPS = {"cmmd": cmmd, "dit-gen": dit_gen}
WIDTH = 80


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for own, inner in command.commands.items():
            yield from commands(inner, f"{name} {own}")


EVERY = [pair for name, group in GROUPS.items() for pair in commands(group, name)]


def parse(words: list[str]) -> None:
    """As click parses them, to the last command; nothing runs."""
    command: click.Command = GROUPS[words[0]]
    context, rest = command.make_context(words[0], words[1:]), words[1:]
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_example_parses(
    name: str, command: click.Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with click.Context(command, info_name=name, terminal_width=WIDTH) as context:
        lines = command.get_help(context).splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip() == "Examples:")
    shown = lines[place + 1 :]
    assert shown
    assert max(map(len, shown)) <= WIDTH
    for line in shown:
        words = shlex.split(line, comments=True)
        assert " ".join(words).startswith(name)
        parse(words)


def completed(program: str, typed: str) -> list[str]:
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    module = {"cmmd": "cmmd_toolkit", "dit-gen": "dit_generators"}[program]
    count = str(len(typed.split(" ")) - 1)
    environment = {**os.environ, variable: "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": count}
    command = [sys.executable, "-m", module]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()


def test_shells_complete_commands_options_names_and_files() -> None:
    assert completed("cmmd", "cmmd com") == ["plain,compare"]
    assert completed("cmmd", "cmmd compare --me") == ["plain,--metric"]
    assert "plain,cmmd" in completed("cmmd", "cmmd compare --metric c")
    assert completed("cmmd", "cmmd compare re") == ["file,re"]
    assert completed("dit-gen", "dit-gen sa") == ["plain,sample"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    if shell == "bash" and not Path("/bin/bash").exists():
        pytest.skip("click asks bash for its version, and there is none")
    environment = {**os.environ, "_CMMD_COMPLETE": f"{shell}_source"}
    command = [sys.executable, "-m", "cmmd_toolkit"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"_CMMD_COMPLETE={shell}_complete" in finished.stdout
