"""What the system refuses a command is one line."""

import threading

import click
import pytest

from cmmd_toolkit.common.shell import Shell


@click.group(cls=Shell)
def program() -> None:
    """A command line."""


@program.command()
def work() -> None:
    """Start a thread whose stack no system has room for."""
    before = threading.stack_size(1 << 46)
    try:
        threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)


def test_a_thread_that_cannot_be_started_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(["work"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "cmmd: error: cannot start another thread (see `ulimit -u`); use fewer --workers\n"
    )
