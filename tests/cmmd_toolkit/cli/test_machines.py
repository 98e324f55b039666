"""Several machines: what they must have in common, and the launchers of the field, really run."""

import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import torch
from launches import LAUNCHER, rows_in, torchrun, wait_for_rows
from pictures import write_pictures

from cmmd_toolkit import Features, ProcessError, Report, compare, shared_work
from cmmd_toolkit.common import processes

OPTIONS = ["--backbone", "mini", "--device", "cpu", "--no-store"]

# Rank 1 stands in another folder than rank 0, as on another machine, and asks for other things.
DISAGREEING = """
import os, sys
import numpy as np
from cmmd_toolkit import CmmdError, Features, compare, embed, shared_work
rank = int(os.environ["RANK"])
os.chdir(sys.argv[1 + rank])
mini = {"backbone": "mini", "device": "cpu", "store": False}
rows = np.random.default_rng(rank).normal(size=(40, 3))
tries = {
    "same": lambda: embed("few", **mini),
    "listing": lambda: embed("pictures", **mini),
    "options": lambda: compare("few", "few", seed=rank, **mini),
    "count": lambda: compare("few", ["few", "pictures"][: 1 + rank], **mini),
    "features": lambda: compare(Features(rows), Features(rows[:20]), metric="mmd"),
}
with shared_work() as processes:
    for name, call in tries.items():
        try:
            call()
            said = "nothing"
        except CmmdError as error:
            said = str(error)
        every = processes.gather(said)
        if processes.is_main:
            print(name, "|", " | ".join(dict.fromkeys(every)))
with shared_work() as processes:  # a second time
    if processes.is_main:
        print("again |", *processes.gather(rank))
    else:
        processes.gather(rank)
"""


def test_processes_that_hold_different_things_are_told_before_anything_is_mixed(tmp_path: Path) -> None:
    for rank, count in enumerate((8, 7)):
        write_pictures(tmp_path / str(rank) / "pictures", count)
        write_pictures(tmp_path / str(rank) / "few", 3)
    script = tmp_path / "disagreeing.py"
    script.write_text(DISAGREEING)
    finished = torchrun(2, script, tmp_path / "0", tmp_path / "1")
    assert finished.returncode == 0, finished.stderr
    said = dict(line.split(" | ", 1) for line in finished.stdout.splitlines())
    other = "the processes were started with different options or sets; start one command on every machine"
    assert said == {
        "same": "nothing",
        "listing": "pictures: the processes find different sets there; give every machine the same files",
        "options": other,
        "count": other,
        "features": "reference: the processes find different sets there; give every machine the same files",
        "again": "0 1",
    }


LATER = """
import os
from accelerate import Accelerator
from cmmd_toolkit import shared_work
before = dict(os.environ)
with shared_work() as processes:
    main = processes.is_main
unchanged = dict(os.environ) == before
own = Accelerator()
if main:
    print(unchanged, own.num_processes, own.device.type, own.distributed_type.value)
own.end_training()
"""


def test_an_accelerator_of_the_program_is_as_without_shared_work(tmp_path: Path) -> None:
    """It chooses its device and its processes for itself."""
    (tmp_path / "later.py").write_text(LATER)
    finished = torchrun(2, tmp_path / "later.py")
    assert finished.returncode == 0, finished.stderr
    alone = "2 cuda MULTI_GPU" if torch.cuda.is_available() else "1 cpu NO"
    assert finished.stdout == f"True {alone}\n"


def test_one_that_dies_before_all_have_met_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both reach the launcher's store; gloo, whose wait is that for results, is not entered by one alone."""
    from torch.distributed import TCPStore

    monkeypatch.setattr(processes, "_JOIN_WAIT", timedelta(seconds=3))
    port = free_port()
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "localhost", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    other = Thread(target=TCPStore, args=("localhost", port, 2, False, timedelta(seconds=20)))
    other.start()
    with pytest.raises(ProcessError, match="the 2 processes of WORLD_SIZE did not meet"), shared_work():
        pass
    other.join()


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sets")
    return [str(write_pictures(folder / name, 21, first_seed=seed)) for name, seed in (("real", 0), ("fake", 50))]


@pytest.mark.slow
def test_accelerate_launch_finds_the_numbers_of_one_process(tmp_path: Path, sets: list[str]) -> None:
    """`--multi_gpu` is accelerate's name for several processes, also without GPUs; `--cpu` starts one."""
    launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu"]
    launcher += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launcher += ["--main_process_port", "0", "-m"]
    command = ["cmmd_toolkit", "compare", *sets, *OPTIONS, "--json", str(tmp_path / "report.json")]
    finished = subprocess.run([*launcher, *command], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("11/11 images") == 2, "each of two processes embeds a half"
    assert_the_numbers_of_one(tmp_path / "report.json", sets)


@pytest.mark.slow
def test_two_machines_find_the_numbers_of_one_process(tmp_path: Path, sets: list[str]) -> None:
    command = ["compare", *sets, *OPTIONS, "--json", str(tmp_path / "report.json")]
    machines = start_machines(tmp_path, command)
    ends = [machine.communicate(timeout=200) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], ends
    assert [out.count("Reference: ") for out, _ in ends] == [1, 0]
    assert_the_numbers_of_one(tmp_path / "report.json", sets)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["machine", "worker"])
def test_a_dead_machine_ends_the_job_with_a_reason_and_a_restart_resumes(tmp_path: Path, whole: bool) -> None:
    """A worker that is killed, or with its launcher as when a machine goes down."""
    pictures = write_pictures(tmp_path / "real", 3000)
    out = tmp_path / "features.safetensors"
    command = ["embed", str(pictures), *OPTIONS[:4], "--out", str(out), "--store", "store"]
    machines = start_machines(tmp_path, command)
    stores = [tmp_path / str(rank) / "store" for rank in range(2)]
    wait_for_rows(stores[1])
    workers = Path(f"/proc/{machines[1].pid}/task/{machines[1].pid}/children").read_text().split()
    for process in [machines[1].pid] * whole + list(map(int, workers)):
        os.kill(process, signal.SIGKILL)
    said = "".join([machine.communicate(timeout=120)[1] for machine in machines])
    assert all(machine.returncode for machine in machines)
    assert "another process of this run has ended" in said or "SIGKILL" in said
    assert not out.exists()
    kept = [rows_in(store) for store in stores]
    again = start_machines(tmp_path, command)
    ends = [machine.communicate(timeout=200) for machine in again]
    assert [machine.returncode for machine in again] == [0, 0], ends
    assert [len(rows_in(store)) for store in stores] == [1500, 1500]
    for store, before in zip(stores, kept, strict=True):
        assert rows_in(store).items() >= before.items(), "a stored picture was embedded again"
    assert len(Features.load(out)) == 3000


@pytest.mark.slow
def test_a_launcher_that_may_restart_the_processes_ends_with_all_features(tmp_path: Path) -> None:
    """Its store keeps the keys of the first attempt, by which the second must not try to meet."""
    pictures = write_pictures(tmp_path / "real", 3000)
    store, out = tmp_path / "store", tmp_path / "features.safetensors"
    command = [*LAUNCHER[:-1], "--max-restarts", "1", "--nproc-per-node", "2", "-m", "cmmd_toolkit", "embed"]
    command += [str(pictures), *OPTIONS[:4], "--store", str(store), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        wait_for_rows(store)
        os.kill(int(Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()[1]), signal.SIGKILL)
        _, said = job.communicate(timeout=200)
    assert job.returncode == 0, said
    assert len(Features.load(out)) == 3000


def start_machines(folder: Path, command: list[str]) -> list[subprocess.Popen[str]]:
    """Two launchers of one process each, in working folders of their own, as they would be started on two machines."""
    port, machines = free_port(), []
    for rank in range(2):
        place = folder / str(rank)
        place.mkdir(exist_ok=True)
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
        launcher += ["--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}"]
        launcher += ["--rdzv-conf", f"is_host={int(rank == 0)}"]  # the first holds the store, whose end says nothing
        machines.append(
            subprocess.Popen(
                [*launcher, "-m", "cmmd_toolkit", *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=place,
            )
        )
    return machines


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


def assert_the_numbers_of_one(path: Path, sets: list[str]) -> None:
    found = Report.load(path)
    alone = compare(*sets, backbone="mini", device="cpu", store=False)
    for own, other in zip(found.results, alone.results, strict=True):
        assert own.metric == other.metric
        assert own.value == pytest.approx(other.value, rel=1e-5, abs=1e-6)
    (own,), (other,) = ([each for each in report.results if each.metric == "mmd"] for report in (found, alone))
    assert own.standard_error == pytest.approx(other.standard_error, rel=1e-4)
