"""Temporaries: those of killed processes go, those of living ones stay."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cmmd_toolkit.common.files import atomic_path
from cmmd_toolkit.errors import InputError

WRITER = """
import os, sys
from pathlib import Path
from cmmd_toolkit.common.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    if sys.stdin.readline():
        temporary.write_text("whole")
    else:
        os.kill(os.getpid(), 9)
"""


def writer(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert Path(process.stdout.readline().strip()).read_text() == "half"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_goes_with_the_next_write_and_nothing_else_does(tmp_path) -> None:
    target = tmp_path / "x.json"
    writer(target).communicate()
    kept = [".x.json.abc", ".y.json.abcdefgh", ".x.json.abcdefgh.txt"]
    for name in kept:
        (tmp_path / name).mkdir()
    assert len(names(tmp_path)) == 4
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == sorted([*kept, "x.json"])


def test_what_a_living_process_writes_stays_and_the_last_one_wins(tmp_path) -> None:
    target = tmp_path / "x.json"
    process = writer(target)
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    process.communicate("go on\n")
    assert process.returncode == 0
    assert target.read_text() == "whole"
    assert names(tmp_path) == ["x.json"]


def test_what_a_library_leaves_beside_its_file_goes_with_it(tmp_path) -> None:
    """safetensors writes .tmpXXXXXX and renames it, so that a kill leaves that, and another file is in the place."""
    target = tmp_path / "x.safetensors"
    with atomic_path(target) as temporary:
        (temporary.parent / ".tmpA1b2C3").write_text("")
        save_file({"x": np.zeros(3)}, temporary)
    assert names(tmp_path) == ["x.safetensors"]
    with pytest.raises(InputError, match="could not be written"):
        _fail_while_writing(target)
    assert names(tmp_path) == ["x.safetensors"]


def _fail_while_writing(target: Path) -> None:
    with atomic_path(target) as temporary:
        (temporary.parent / ".tmpA1b2C3").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")
