"""Engines of other packages that are broken: one line with the reason, and the others go on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dit_generators.attention.choose import views_of_qkv
from dit_generators.attention.engines import foreign, natten, xformers
from dit_generators.attention.engines.full import full_attention
from dit_generators.attention.window import window_attention

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


class Copies(TorchDispatchMode):
    """Counts operators that copy."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += operation.overloadpacket.__name__ in ("clone", "copy_", "_to_copy", "contiguous", "cat")
        return operation(*args, **(kwargs or {}))


def test_xformers_gets_the_views_of_a_qkv_layer_as_they_are(monkeypatch) -> None:
    ops = pytest.importorskip("xformers.ops")
    seen: list[Tensor] = []

    def attend(*tensors: Tensor) -> Tensor:  # its kernel needs a GPU
        seen.extend(tensors)
        return full_attention(*(x.transpose(1, 2) for x in tensors)).transpose(1, 2)

    monkeypatch.setattr(ops, "memory_efficient_attention", attend)
    views = views_of_qkv((2, 16, 64, 72), torch.zeros(1))
    with Copies() as copies:
        result = xformers._attend(*views)
    assert torch.equal(result, full_attention(*views))
    assert copies.count == 0
    assert {x.untyped_storage().data_ptr() for x in seen} == {views[0].untyped_storage().data_ptr()}
    assert [x.stride() for x in seen] == [(64 * 3 * 16 * 72, 3 * 16 * 72, 72, 1)] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [64, 72])
def test_xformers_has_nothing_against_those_strides(dtype: torch.dtype, width: int) -> None:
    pytest.importorskip("xformers.ops")
    from xformers.ops.fmha import cutlass, flash
    from xformers.ops.fmha.common import Inputs

    views = (x.transpose(1, 2) for x in views_of_qkv((2, 16, 64, width), torch.zeros(1, dtype=dtype)))
    inputs = Inputs(*views)
    for operator in (cutlass.FwOp, flash.FwOp):
        assert not [reason for reason in operator.not_supported_reasons(inputs) if "stride" in reason]


def test_xformers_gets_a_copy_of_what_it_cannot_read(monkeypatch) -> None:
    ops = pytest.importorskip("xformers.ops")
    monkeypatch.setattr(ops, "memory_efficient_attention", lambda query, key, value: query + key + value)
    apart = [torch.randn(1, 2, 8, 4).mT.contiguous().mT for _ in range(3)]
    assert apart[0].stride(-1) != 1
    torch.testing.assert_close(xformers._attend(*apart), sum(apart))


def test_natten_gets_a_dilated_window_as_one_call_on_the_whole_grid(monkeypatch) -> None:
    calls: list[dict[str, Any]] = []

    def na2d(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        calls.append({"grid": query.shape[1:3], **options})
        flat = [x.flatten(1, 2).transpose(1, 2) for x in (query, key, value)]
        size, dilation = options["kernel_size"], options["dilation"]
        out = window_attention(*flat, grid=tuple(query.shape[1:3]), window=size, dilation=dilation, engine="masked")
        return out.transpose(1, 2).unflatten(1, query.shape[1:3])

    monkeypatch.setitem(sys.modules, "natten", SimpleNamespace(na2d=na2d))
    monkeypatch.setattr(foreign, "_working", {("NATTEN", torch.device("cpu"), torch.float32)})
    views = views_of_qkv((2, 3, 9 * 8, 8), torch.zeros(1))
    for dilation in (1, 2):
        options: dict[str, Any] = {"grid": (9, 8), "window": 3, "dilation": dilation}
        result = window_attention(*views, **options, engine="natten")
        torch.testing.assert_close(result, window_attention(*views, **options), rtol=1e-5, atol=1e-6)
    assert calls == [{"grid": (9, 8), "kernel_size": (3, 3), "dilation": dilation} for dilation in (1, 2)]
    with pytest.raises(foreign.AttentionError, match="windows of 2 tokens or more"):
        window_attention(*views, grid=(9, 8), window=1, engine="natten")
    assert not natten.natten_may_work(torch.device("cpu"), natten.Window((9, 8), (3, 3), "shift"))
