"""Several processes: the numbers of one, whatever their count; one line when they fail; nothing lost when one dies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shared_scores
from launches import launched, rows_in, torchrun, wait_for_rows
from pictures import write_pictures

from cmmd_toolkit import ProcessError, shared_work
from cmmd_toolkit.common.processes import ALONE, current_processes

SCRIPT = Path(shared_scores.__file__)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A set with a damaged picture, another, and one of fewer pictures than processes."""
    folder = tmp_path_factory.mktemp("sets")
    pictures, others = write_pictures(folder / "real", 26), write_pictures(folder / "fake", 23, first_seed=50)
    damaged = pictures / "007.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    return [str(pictures), str(others), str(write_pictures(folder / "few", 2, first_seed=90))]


@pytest.fixture(scope="module")
def alone(sets: list[str]) -> dict[str, Any]:
    """What one process finds."""
    found = {**shared_scores.of_features(), **shared_scores.of_pictures(*sets)}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
def test_several_processes_find_the_numbers_of_one(tmp_path, sets, alone, count) -> None:
    finished = torchrun(count, SCRIPT, *sets, tmp_path / "found.json")
    assert finished.returncode == 0, finished.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.keys() == alone.keys()
    assert len(found["names"]) == 25
    assert [name for name, _ in found["skipped"]] == ["007.png"]
    assert_alike(found, alone, "")


def assert_alike(found: Any, wanted: Any, where: str) -> None:
    """Words and counts equal, numbers to docs/precision.md."""
    if isinstance(wanted, dict):
        for name in wanted:
            assert_alike(found[name], wanted[name], f"{where}/{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for i, (one, two) in enumerate(zip(found, wanted, strict=True)):
            assert_alike(one, two, f"{where}/{i}")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6), where
    else:
        assert found == wanted, where


def test_the_command_prints_and_writes_once(tmp_path, sets) -> None:
    command = ["-m", "cmmd_toolkit", "compare", *sets[:2], "--backbone", "mini", "--on-error", "skip"]
    finished = torchrun(2, *command, "--json", tmp_path / "report.json", "--fail-above", "fd=1e-9")
    assert finished.stdout.count("Reference: ") == 1
    assert finished.stderr.count("13/13 images") == 1
    assert finished.stderr.count(", above 0.000000001") == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert [own["n_reference"] for own in report["results"]] == [25, 25]
    assert finished.returncode == 1


def test_features_are_written_once(tmp_path, sets) -> None:
    from cmmd_toolkit import Features, embed

    out = tmp_path / "features.safetensors"
    finished = torchrun(3, "-m", "cmmd_toolkit", "embed", sets[1], "--backbone", "mini", "--out", out)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("23 pictures") == 1
    loaded, own = Features.load(out), embed(sets[1], backbone="mini")
    assert loaded.names == own.names
    np.testing.assert_allclose(loaded.values, own.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--on-error", "fail"], "cmmd: error: {0}/007.png: damaged picture"),
        (["--on-error", "skip", "--metric", "nonsense"], "cmmd: error: unknown metric 'nonsense'"),
        (["--nonsense"], "cmmd: error: No such option"),
    ],
)
def test_an_error_of_one_or_of_all_is_said_once(sets, more, line) -> None:
    finished = torchrun(2, "-m", "cmmd_toolkit", "compare", *sets[:2], "--backbone", "mini", *more)
    assert finished.returncode != 0
    assert finished.stderr.count("cmmd: ") == 1
    assert line.format(sets[0]) in finished.stderr


def test_a_dead_process_ends_the_job_and_a_restart_resumes_from_the_store(tmp_path) -> None:
    pictures, store = write_pictures(tmp_path / "real", 3000), tmp_path / "store"
    options = ["-m", "cmmd_toolkit", "embed", pictures, "--backbone", "mini", "--store", store]
    options += ["--out", tmp_path / "features.safetensors"]
    with subprocess.Popen(launched(2, *options), stderr=subprocess.PIPE, text=True, env=os.environ) as job:
        wait_for_rows(store)
        os.kill(worker_of(job.pid), signal.SIGKILL)
        _, said = job.communicate(timeout=60)
    assert job.returncode != 0
    assert "SIGKILL" in said
    assert not (tmp_path / "features.safetensors").exists()
    kept = rows_in(store)
    assert 0 < len(kept) < 3000
    assert torchrun(2, *options).returncode == 0
    whole = rows_in(store)
    assert len(whole) == 3000
    assert whole.items() >= kept.items(), "a stored picture was embedded again"


def worker_of(launcher: int) -> int:
    """The process of rank 1."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    ranks = {Path(f"/proc/{child}/environ").read_bytes().split(b"\0RANK=")[1][:1]: int(child) for child in children}
    return ranks[b"1"]


def test_one_that_waits_for_a_dead_one_says_so() -> None:
    script = (
        "import os\nfrom cmmd_toolkit import ProcessError, shared_work\n"
        "with shared_work() as processes:\n    processes.wait()\n    if not processes.is_main: os._exit(0)\n"
        "    try:\n        processes.wait()\n    except ProcessError as error:\n"
        "        print(error, flush=True)\n        os._exit(0)"
    )
    finished = torchrun(2, "--no-python", sys.executable, "-c", script)
    assert "another process of this run has ended; run the same command again to resume" in finished.stdout


def test_processes_that_do_not_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ProcessError, match="the 4 processes of WORLD_SIZE did not meet"), shared_work():
        pass


def test_a_job_of_several_processes_hears_every_error_of_the_commands_that_it_starts() -> None:
    command = [sys.executable, "-c", "from cmmd_toolkit.cli.main import main; main()", "compare"]
    script = (
        "import subprocess\n"
        "for name in ('absent-1', 'absent-2'):\n"
        f"    print(subprocess.run({command!r} + [name, name], capture_output=True, text=True).stderr)"
    )
    finished = torchrun(2, "--no-python", sys.executable, "-c", script)
    assert finished.stdout.count("cmmd: error: absent-1: no such file or folder") == 2
    assert finished.stdout.count("cmmd: error: absent-2: no such file or folder") == 2


def test_nothing_is_shared_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with shared_work() as processes:
        assert processes.count == 1
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert current_processes() is ALONE
