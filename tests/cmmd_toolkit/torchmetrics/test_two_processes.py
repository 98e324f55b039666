"""Two processes: the value of one, whoever has which images; and what a call returns."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from metric_inputs import Identity, filled, pictures, rows
from torch import Tensor

from cmmd_toolkit import ArgumentError

pytest.importorskip("torchmetrics")

from metric_cases import CASES, numbers, updated

from cmmd_toolkit.torchmetrics import CMMD, FrechetDistance, KernelDistance, PrecisionRecall


def _metrics() -> dict[str, Any]:
    return {
        "fd": FrechetDistance(Identity()),
        "mmd": CMMD(Identity()),
        "mini": CMMD(backbone="mini"),
        "kd": KernelDistance(Identity(), subsets=None),
        "kid": KernelDistance(Identity(), subsets=5, subset_size=20),
        "pr": PrecisionRecall(Identity()),
    }


def _shares() -> dict[str, tuple[Tensor, Tensor]]:
    images = pictures(30, 0), pictures(20, 1)
    return {name: images if name == "mini" else (rows(30, 0), rows(20, 1)) for name in _metrics()}


def _score_share(rank: int, metric: Any, real: Tensor, fake: Tensor) -> list[Any]:
    metric.update(real[:21] if rank == 0 else real[21:], real=True)
    with pytest.raises(ArgumentError, match="30 real and 0 fake"):
        metric.compute()
    for part in fake.split(7) if rank == 0 else ():
        metric.update(part, real=False)
    found = metric.estimate()
    estimate = found[0] if isinstance(found, tuple) else found  # of precision and recall the first
    assert metric._count(metric._states[0]) == (21 if rank == 0 else 9)  # each process goes on with its own
    return [float(estimate), estimate.n_reference, estimate.n_generated]


def _own_batches(name: str, rank: int) -> list[tuple[Any, ...]]:
    """Both ranks have real and fake batches."""
    batches = CASES[name].batches()
    return batches[:2] if rank == 0 else batches[2:]


def _forwarded(name: str, rank: int) -> dict[str, Any]:
    alone, stepped = CASES[name].make(), CASES[name].make(dist_sync_on_step=True)
    last = [[numbers(metric(*batch)) for batch in _own_batches(name, rank)][-1] for metric in (alone, stepped)]
    return {
        "alone": last[0],
        "stepped": last[1],
        "whole": numbers(alone.compute()),
        "again": numbers(stepped.compute()),
    }


def _in_process(rank: int, folder: str) -> None:
    wait = timedelta(seconds=60)
    torch.distributed.init_process_group("gloo", f"file://{folder}/store", wait, world_size=2, rank=rank)
    try:
        shares = {name: _score_share(rank, metric, *_shares()[name]) for name, metric in _metrics().items()}
        calls = {name: _forwarded(name, rank) for name in CASES}
    finally:
        torch.distributed.destroy_process_group()
    Path(folder, f"{rank}.json").write_text(json.dumps([shares, calls]))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What each process found: of uneven shares, and of calls."""
    folder = tmp_path_factory.mktemp("processes")
    script = f"import runpy, sys; sys.path[:0] = {sys.path!r}; own = runpy.run_path({__file__!r})\n"
    script += f"own['_in_process'](1, {str(folder)!r})"  # not by module: other packages are called tests, too
    other = subprocess.Popen([sys.executable, "-c", script])
    try:
        _in_process(0, str(folder))
    finally:
        assert other.wait() == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_reach_the_value_of_one(found: list[list[dict[str, Any]]]) -> None:
    assert found[0][0] == found[1][0]
    for name, metric in _metrics().items():
        whole = filled(metric, *_shares()[name]).estimate()
        expected = float(whole[0] if isinstance(whole, tuple) else whole)
        value, *counts = found[0][0][name]
        assert value == pytest.approx(expected, rel=1e-4 if name == "mini" else 1e-9)  # mini rounds with the batch
        assert counts == [30, 20]


def test_a_call_sees_its_own_process_unless_it_is_to_be_synchronised(found: list[list[dict[str, Any]]]) -> None:
    first, second = (own[1] for own in found)
    for name, case in CASES.items():
        whole = numbers(updated(name).compute())
        for own in (first[name], second[name]):
            if name not in ("kid", "is"):  # whose draws go by the order of the images
                assert own["whole"] == own["again"] == pytest.approx(whole, rel=1e-5)
        assert first[name]["whole"] == second[name]["whole"]
        assert first[name]["stepped"] == second[name]["stepped"] != first[name]["alone"]
        local = case.make()
        for batch in _own_batches(name, 0)[-1:] if name == "is" else _own_batches(name, 0):
            local.update(*batch)
        assert first[name]["alone"] == pytest.approx(numbers(local.compute()), rel=1e-5, nan_ok=True)
