"""Ctrl-C and SIGTERM end `cmmd` in one line, with codes 130 and 143."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

# The network waits, so that the signal finds the command at work.
SCRIPT = """
import sys, time
from cmmd_toolkit import Backbone
from cmmd_toolkit.cli.main import main
embed = Backbone.embed
def waiting(self, batch, names=()):
    if "a grey picture" not in names:
        print("at work", file=sys.__stdout__, flush=True)  # what a network prints goes to stderr
        time.sleep(120)
    return embed(self, batch, names)
Backbone.embed = waiting
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_is_stopped_in_one_line(stop: signal.Signals, code: int, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "set", 4)
    command = [sys.executable, "-c", SCRIPT, "compare", str(pictures), str(pictures), "--backbone", "mini"]
    command += ["--device", "cpu", "--json", str(tmp_path / "report.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert [line for line in said.splitlines() if line.startswith("cmmd: ")] == ["cmmd: interrupted"]
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
