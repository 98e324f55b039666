"""A result is written before it is printed, and a closed or full stream costs neither the result nor the exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import gaussian

from cmmd_toolkit import Features
from cmmd_toolkit.common.streams import sturdy_streams
from cmmd_toolkit.errors import InputError


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    for i, name in enumerate("abc"):
        Features(gaussian(40, 4, seed=i, shift=float(i))).save(tmp_path / f"{name}.safetensors")
    return tmp_path


def shell(folder: Path, command: str, streams: str) -> tuple[int, str]:
    """The exit code of `cmmd command` with its streams redirected, and stderr."""
    line = f"{sys.executable} -m cmmd_toolkit {command} {streams}; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, env=environment)
    return done.returncode, done.stderr


COMPARE = "compare a.safetensors b.safetensors --json r.json --fail-above fd=0.001"
RANK = "rank a.safetensors b.safetensors c.safetensors --json r.json"
EXPLAIN = "explain a.safetensors b.safetensors --json r.json"


@pytest.mark.parametrize(
    ("command", "streams", "code"),
    [
        (COMPARE, "| true", 1),
        (COMPARE.replace("--fail-above fd=0.001", ""), "| head -1", 0),
        (COMPARE, ">&-", 1),
        (COMPARE, ">/dev/full", 2),
        (COMPARE, "2>/dev/full", 1),
        (RANK, "2>&1 | true", 0),
        (RANK, ">/dev/full", 2),
        (EXPLAIN, ">&- 2>&-", 0),
    ],
)
def test_the_report_is_there_and_the_gates_decide_the_code(stored: Path, command: str, streams: str, code: int) -> None:
    found, err = shell(stored, command, streams)
    assert found == code, err
    assert json.loads((stored / "r.json").read_text())["schema_version"]
    if code == 2:
        assert err.count("\n") == 1
        assert "stdout: could not be written (No space left on device)" in err


@pytest.mark.parametrize("command", ["--help", "compare --help", "backbones"])
def test_help_and_tables_end_well_when_nobody_reads_them(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # for which click replaces the stream
    assert shell(tmp_path, command, "| true") == (0, "")


def test_a_report_that_cannot_be_written_is_printed_all_the_same(stored: Path) -> None:
    code, err = shell(stored, COMPARE.replace("r.json", "/dev/full"), "> out.txt")
    assert code == 2
    assert err.splitlines()[-1].startswith("cmmd: error: /dev/full: could not be written")
    assert "Frechet distance" in (stored / "out.txt").read_text()


def test_nothing_printed_ends_in_a_file_that_took_the_place_of_stdout() -> None:
    code = (
        "import os, sys, tempfile\n"
        "from cmmd_toolkit.common.streams import sturdy_streams\n"
        "with sturdy_streams():\n"
        "    file = tempfile.TemporaryFile()\n"
        "    os.write(1, b'printed by a library')\n"
        "    sys.exit(int(os.fstat(file.fileno()).st_size > 0))\n"
    )
    line = f'{sys.executable} -c "{code}" >&-'
    assert subprocess.run(["bash", "-c", line], cwd=Path(__file__).parents[3]).returncode == 0


def test_a_full_stdout_is_one_error_at_every_write(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch, Path("/dev/full").open("w") as full:
        patch.setattr(sys, "stdout", full)
        with sturdy_streams():
            for _ in range(2):
                with pytest.raises(InputError, match="stdout: could not be written"):
                    print("x" * 100_000, flush=True)
