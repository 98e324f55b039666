"""What several commands take is the same parameter in each of them."""

import inspect
from dataclasses import fields
from itertools import combinations
from typing import Any

import pytest

from cmmd_toolkit import compare, embed, explain, plan, rank
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
