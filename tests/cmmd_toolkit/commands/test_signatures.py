"""What several commands take is the same parameter in each of them."""

import inspect
from dataclasses import fields
from itertools import combinations
from typing import Any, get_type_hints

import pytest

from cmmd_toolkit import compare, contrast, embed, explain, plan, rank
from cmmd_toolkit.commands.run_options import RunOptions
from cmmd_toolkit.sets.run import Run

COMMANDS = (compare, rank, plan, explain, embed)
SHARED = [field.name for field in fields(Run) if field.init]
OF_THEIR_OWN = {("compare", "metric"), ("plan", "generated")}  # several metrics; no set where the pilot is a report


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function, eval_str=True).parameters)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_takes_what_a_run_needs(command: Any) -> None:
    run, own = parameters(Run), parameters(command)
    taken = [name for name in SHARED if command is not embed or name != "command"]  # features keep no command line
    assert [name for name in own if name in run] == taken
    for name in taken:
        assert own[name] == run[name], name


@pytest.mark.parametrize(
    "pair", list(combinations(COMMANDS, 2)), ids=lambda pair: "-".join(own.__name__ for own in pair)
)
def test_what_two_commands_share_is_one_parameter_in_one_order(pair: Any) -> None:
    first, second = (parameters(command) for command in pair)
    assert [name for name in first if name in second] == [name for name in second if name in first]
    for name in first.keys() & second.keys():
        if not {(command.__name__, name) for command in pair} & OF_THEIR_OWN:
            assert first[name] == second[name], name


def test_the_options_have_the_types_of_a_run() -> None:
    declared, run = get_type_hints(RunOptions), get_type_hints(Run)
    assert declared == {name: run[name] for name in SHARED}


@pytest.mark.parametrize("command", [*COMMANDS, contrast], ids=lambda command: command.__name__)
def test_an_option_that_there_is_not_is_refused_in_the_name_of_the_command(command: Any) -> None:
    needed = [name for name, own in parameters(command).items() if own.default is own.empty]
    with pytest.raises(TypeError, match=rf"^{command.__name__}\(\) got an unexpected keyword argument 'batchsize'$"):
        command(*needed, batchsize=8)
    with pytest.raises(TypeError, match=rf"^{command.__name__}\(\) missing a required argument: '{needed[0]}'$"):
        command()
