"""Temporaries: those of killed processes go, those of living ones stay."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cmmd_toolkit.common.files import atomic_path
from cmmd_toolkit.common.writing import remove_folder, remove_leftovers, replacing, replacing_folder, umask
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
    kept = [".x.json.abc.tmp", ".y.json.abcdefgh.tmp", ".x.json.abcdefgh.txt", ".x.json.abcdefgh"]
    for name in kept:
        (tmp_path / name).mkdir()
    assert len(names(tmp_path)) == 5
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


def test_a_write_that_fails_names_the_file_that_was_to_be_written(tmp_path) -> None:
    target = tmp_path / "x.png"
    with (
        pytest.raises(OSError, match="No space left") as full,
        replacing(target),
        Path("/dev/full").open("w") as stream,
    ):
        stream.write("x")
    assert full.value.filename == str(target)
    with pytest.raises(FileNotFoundError) as absent, replacing(target) as temporary:
        temporary.read_bytes()
    assert absent.value.filename == str(target)
    with pytest.raises(FileNotFoundError) as other, replacing(target):
        (tmp_path / "elsewhere").read_bytes()
    assert other.value.filename == str(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="10 requested and 3 written") as bare, replacing(target):
        raise OSError("10 requested and 3 written")  # as NumPy says it
    assert (bare.value.filename, bare.value.strerror) == (str(target), "10 requested and 3 written")


def test_a_folder_appears_whole_or_not_at_all_and_vanishes_at_once(tmp_path) -> None:
    with replacing_folder(tmp_path / "new") as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "x").write_text("x")
        assert not (tmp_path / "new").exists()
    assert names(tmp_path) == ["new"]
    assert (tmp_path / "new" / "inner" / "x").stat().st_mode & 0o777 == 0o666 & ~umask()
    with pytest.raises(KeyboardInterrupt):
        _stop_while_filling(tmp_path / "other")
    assert names(tmp_path) == ["new"]
    remove_folder(tmp_path / "new")
    assert names(tmp_path) == []


def _stop_while_filling(target: Path) -> None:
    with replacing_folder(target) as temporary:
        (temporary / "x").write_text("x")
        raise KeyboardInterrupt


def test_leftovers_of_a_folder_go_but_what_lives_and_what_is_not_ours_stays(tmp_path) -> None:
    (tmp_path / ".model.safetensors.abcdefgh.tmp").mkdir()
    (tmp_path / ".model.safetensors.abcdefgh.tmp" / "model.safetensors").write_text("half")
    (tmp_path / ".00000004.hgfedcba.tmp" / "inner").mkdir(parents=True)
    (tmp_path / ".link.abcdefgh.tmp").symlink_to(tmp_path / ".git")
    kept = [".link.abcdefgh.tmp", ".git", ".cache.settings", "a.abcdefgh.tmp"]
    for name in kept[1:]:
        (tmp_path / name).mkdir()
    (tmp_path / ".x.abcdefgh.tmp").write_text("a file of somebody")
    with replacing(tmp_path / "x.json") as living:
        living.write_text("x")
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([*kept, ".x.abcdefgh.tmp", living.parent.name])
    assert names(tmp_path) == sorted([*kept, ".x.abcdefgh.tmp", "x.json"])


def test_with_names_only_leftovers_of_these_targets_go(tmp_path) -> None:
    for name in (".fake.npz.abcdefgh.tmp", ".fake2.npz.abcdefgh.tmp", ".fake.npz.sheet.png.abcdefgh.tmp"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path, ["fake.npz"])
    assert names(tmp_path) == [".fake.npz.sheet.png.abcdefgh.tmp", ".fake2.npz.abcdefgh.tmp"]


def test_where_nothing_can_be_locked_files_are_written_and_nothing_is_taken_for_a_leftover(tmp_path) -> None:
    script = "import errno, fcntl, sys\n"
    script += "def refuse(*_): raise OSError(errno.ENOTSUP, 'Operation not supported')\n"
    script += "fcntl.flock = refuse\n"
    script += "from pathlib import Path\nfrom cmmd_toolkit.common.files import atomic_path\n"
    script += "with atomic_path(Path(sys.argv[1])) as temporary:\n    temporary.write_text('x')\n"
    (tmp_path / ".x.json.abcdefgh.tmp").mkdir()
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.json")], check=True)
    assert names(tmp_path) == [".x.json.abcdefgh.tmp", "x.json"]
