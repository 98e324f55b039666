"""Small versions of the tasks of peers.py, in one process: our time over each peer's, for continuous integration.

The peers take turns, on one thread, and the least processor time counts: other load changes the
times a lot, but hardly their ratios. They are not those of real work: pytorch-fid's network, say, is slower at its
batch of 50. A limit is far above the ratio that was measured, so that only a gross loss of speed passes it.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

LIMITS = Path(__file__).with_name("peer_limits.json")
_LEAST_TURNS, _MOST_TURNS = 3, 7
_SECONDS = 3.0  # of processor time for a task, where that allows the least number of turns

Ratios = dict[str, dict[str, float]]


def small_ratios(tasks: Mapping[str, Any], ours: str) -> tuple[Ratios, list[str]]:
    """For every task and peer our time over its, and the reasons why there is none."""
    found: Ratios = {}
    absent = []
    torch.set_num_threads(1)
    for name, task in tasks.items():
        calls: dict[str, Callable[[], Any]] = {}
        for package, make in task.calls.items():
            try:
                call = make(*task.small)
                call()
                calls[package] = call
            except Exception as error:  # a peer that is not installed, or fails with these libraries
                if package == ours:
                    raise
                absent.append(f"{name}: {package} is not measured ({type(error).__name__}: {error})")
        least = least_times(calls)
        found[name] = {peer: round(least[ours] / least[peer], 3) for peer in calls if peer != ours}
    return found, absent


def least_times(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Processor time of each, the least of some turns."""
    least = dict.fromkeys(calls, float("inf"))
    begun = time.process_time()
    for turn in range(_MOST_TURNS):
        if turn >= _LEAST_TURNS and time.process_time() - begun > _SECONDS:
            break
        for package, call in calls.items():
            with threadpool_limits(1):
                start = time.process_time()
                call()
                least[package] = min(least[package], time.process_time() - start)
    return least


def over_the_limit(found: Ratios, limits: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """A line for every ratio above its limit; a peer without a limit has none."""
    lines = []
    for name, ratios in found.items():
        for peer, ratio in ratios.items():
            own = limits.get(name, {}).get(peer)
            if own is not None and ratio > own["limit"]:
                lines.append(
                    f"{name}: {ratio} of {peer}'s time, above the limit of {own['limit']} (measured: {own['measured']})"
                )
    return lines


def check_small(tasks: Mapping[str, Any], ours: str, out: Path | None, limits: Path = LIMITS) -> int:
    """Print the ratios, write them to `out`, and return 1 where one is above its limit."""
    found, absent = small_ratios(tasks, ours)
    for name, ratios in found.items():
        for peer, ratio in ratios.items():
            print(f"{name:10s} {ratio:6.3f} of the time of {peer}")
    too_slow = over_the_limit(found, json.loads(limits.read_text()))
    print("\n".join([*absent, *too_slow]))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"our time over theirs": found, "not measured": absent}, indent=1) + "\n")
    return int(bool(too_slow))
