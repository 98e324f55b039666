"""Engines of other packages that are broken: one line with the reason, and the others go on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dit_generators.attention.engines import foreign

ROOT = Path(__file__).parents[3]
FAILURES = ["RuntimeError('wheel of another torch')", "SystemError('bad call')", "OSError('libcudart.so.9: not here')"]
CHECK = """
import torch
from dit_generators.attention.engines.xformers import check_xformers
from dit_generators.errors import AttentionError
try:
    check_xformers(torch.device("cuda"))
except AttentionError as error:
    print(error)
"""


def broken(folder: Path, package: str, source: str) -> dict[str, str]:
    """The environment of a process that finds this package before any other."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text(source)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def broken_natten(folder: Path, failure: str) -> dict[str, str]:
    return broken(folder, "natten", f"def na2d(*tensors, **options):\n    raise {failure}\n")


def run(environment: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("failure", FAILURES)
def test_xformers_that_cannot_be_imported_is_one_line_with_the_reason(tmp_path, failure) -> None:
    environment = broken(tmp_path, "xformers", f"raise {failure}\n")
    finished = run(environment, "-c", CHECK)
    assert finished.returncode == 0, finished.stderr
    assert "xformers cannot be used here" in finished.stdout
    assert failure.split("'")[1] in finished.stdout
    assert "use attention full, which computes the same" in finished.stdout
    assert len(finished.stdout.splitlines()) == 1


@pytest.mark.parametrize("failure", FAILURES[:2])
def test_an_engine_that_fails_when_called_is_refused_before_anything_is_written(tmp_path, failure) -> None:
    environment = broken_natten(tmp_path / "packages", failure)
    command = ["-m", "dit_generators", "sample", "--attention", "swa:natten", "--num", 1, "--steps", 2]
    finished = run(environment, *command, "--out", tmp_path / "out")
    assert finished.returncode == 2, finished.stderr
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert f"NATTEN failed here ({failure.split('(')[0]}: {failure.split(chr(39))[1]})" in finished.stderr
    assert "use attention swa" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_sampling_with_xformers_on_a_cpu_is_one_line_and_auto_takes_what_runs(tmp_path) -> None:
    environment = broken(tmp_path / "packages", "xformers", "raise RuntimeError('wheel of another torch')\n")
    command = ["-m", "dit_generators", "sample", "--device", "cpu", "--num", 1, "--steps", 2, "--out", tmp_path / "out"]
    refused = run(environment, *command, "--attention", "xformers")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    chosen = run(environment, *command, "--attention", "auto")
    assert chosen.returncode == 0, chosen.stderr
    assert "attention auto:" in chosen.stderr


def test_bench_prints_and_stores_the_reason_of_each_engine_that_fails(tmp_path) -> None:
    environment = broken_natten(tmp_path / "packages", "SystemError('no kernel image\\nfor this device')")
    command = ["-m", "dit_generators", "bench", "--model", "DiT-S/8", "--batch-size", "1,2", "--level", "operation"]
    command += ["--attention", "full,swa:natten", "--repeats", 1, "--device", "cpu"]
    finished = run(environment, *command, "--out", tmp_path / "bench")
    assert finished.returncode == 0, finished.stderr
    reason = "NATTEN failed here (SystemError: no kernel image)"
    lines = [line for line in finished.stderr.splitlines() if reason in line]
    assert len(lines) == 1
    assert lines[0].startswith("dit-gen: swa:natten: not measured: ")
    cells = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert all(reason in cell["note"] for cell in cells if cell["attention"] == "swa:natten")
    assert all(cell["seconds"] is not None for cell in cells if cell["attention"] == "full")


def test_an_engine_is_probed_once_for_a_device_and_a_type(monkeypatch) -> None:
    monkeypatch.setattr(foreign, "_working", set())
    calls: list[torch.dtype] = []
    for dtype in (torch.float32, torch.float32, torch.bfloat16, torch.float32):
        foreign.probe("x", "full", lambda tiny: calls.append(tiny.dtype), torch.device("cpu"), dtype)
    assert calls == [torch.float32, torch.bfloat16]


def test_an_engine_that_failed_its_probe_is_probed_again(monkeypatch) -> None:
    monkeypatch.setattr(foreign, "_working", set())

    def fail(_: torch.Tensor) -> None:
        raise SystemError("first\nsecond")

    for _ in range(2):
        with pytest.raises(foreign.AttentionError, match=r"^x failed here \(SystemError: first\); use attention full"):
            foreign.probe("x", "full", fail, torch.device("cpu"), torch.float32)


def test_a_full_memory_is_no_fault_of_an_engine() -> None:
    with pytest.raises(torch.OutOfMemoryError), foreign.reasoned("x", "full"):
        raise torch.OutOfMemoryError("CUDA out of memory")
