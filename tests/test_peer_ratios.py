"""The ratios that continuous integration keeps of benchmarks/peers.py, on tasks of a few calls."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    from peer_ratios import LIMITS, check_small, over_the_limit
    from peers import OURS, TASKS
finally:
    sys.path.remove(str(BENCHMARKS))


@dataclass(frozen=True)
class Task:
    small: tuple[int, int]
    calls: Mapping[str, Callable[[int, int], Callable[[], Any]]]


def products(times: int) -> Callable[[int, int], Callable[[], Any]]:
    def make(rows: int, columns: int) -> Callable[[], Any]:
        values = np.ones((rows, columns))
        return lambda: [values @ values.T for _ in range(times)]

    return make


def absent(_rows: int, _columns: int) -> Callable[[], Any]:
    raise ModuleNotFoundError("No module named 'absent'")


@pytest.mark.parametrize(("limit", "code"), [(0.0, 1), (1e9, 0)])
def test_a_ratio_above_its_limit_is_the_only_failure(
    limit: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = {"product": Task((60, 40), {"peer": products(20), "gone": absent, "us": products(1)})}
    (tmp_path / "limits.json").write_text(json.dumps({"product": {"peer": {"measured": 0.05, "limit": limit}}}))
    assert check_small(tasks, "us", tmp_path / "kept" / "ratios.json", tmp_path / "limits.json") == code
    kept = json.loads((tmp_path / "kept" / "ratios.json").read_text())
    assert kept["our time over theirs"]["product"].keys() == {"peer"}
    assert kept["not measured"] == ["product: gone is not measured (ModuleNotFoundError: No module named 'absent')"]
    assert ("above the limit" in capsys.readouterr().out) == bool(code)


def test_our_own_failure_is_no_missing_peer(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        check_small({"product": Task((2, 2), {"us": absent})}, "us", None)


def test_every_limit_is_of_a_task_and_a_peer_and_leaves_room() -> None:
    limits = json.loads(LIMITS.read_text())
    for name, own in limits.items():
        assert own.keys() <= TASKS[name].calls.keys() - {OURS}
        assert all(two["limit"] >= 2 * two["measured"] for two in own.values())
    assert (
        over_the_limit(
            {name: {peer: two["measured"] for peer, two in own.items()} for name, own in limits.items()}, limits
        )
        == []
    )
