"""All peers side by side: time, peak memory, and the ratio to this package and to the machine's limit.

    pip install '.[peers]'
    python benchmarks/peers.py [--small] [--rounds 3] [--out docs/peers.json] [--chart docs/images/peers.png]

Every measurement runs in its own process, and the tools take turns, so that all see the same state of the machine; the
median of the rounds is kept. For a tool that is not installed or fails, the reason replaces the time.
`--small` is for continuous integration: a minute, ratios only, exit code 1 if one is far above its earlier value
(peer_ratios.py).
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peer_ratios import check_small
from peer_tasks import OURS, TASKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--call", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        measure(*given.call)
        return
    if given.small:
        sys.exit(check_small(TASKS, OURS, given.out))
    results = [run_task(name, given.rounds) for name in TASKS]
    report = {"machine": machine(), "tasks": results}
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n")
    if given.chart:
        draw(results, given.chart)
    print(table(results))


def measure(task: str, package: str) -> None:
    """In a process of its own: print seconds of one call and the memory that it took, as JSON."""
    chosen = TASKS[task]
    make = chosen.calls[package]
    make(*chosen.small)()  # imports, and whatever is done once
    call = make(*chosen.full)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = status("VmRSS")
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": max(0, status("VmHWM") - before)}))


def status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def run_task(name: str, rounds: int) -> dict[str, Any]:
    task = TASKS[name]
    found: dict[str, list[dict[str, float]]] = {package: [] for package in task.calls}
    reasons: dict[str, str] = {}
    for _ in range(rounds):
        for package in task.calls:
            if package in reasons:
                continue
            command = [sys.executable, __file__, "--call", name, package]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reasons[package] = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            else:
                found[package].append(json.loads(done.stdout.splitlines()[-1]))
    rows = {package: summary(own, reasons.get(package)) for package, own in found.items()}
    for package, row in rows.items():
        print(f"{name:10s} {package:24s} {row}", file=sys.stderr, flush=True)
    return {"name": name, "title": task.title.format(*task.full), "packages": rows}


def summary(measured: list[dict[str, float]], reason: str | None) -> dict[str, Any]:
    if reason is not None:
        return {"reason": reason}
    times = [own["seconds"] for own in measured]
    return {
        "seconds": round(statistics.median(times), 4),
        "spread": [round(min(times), 4), round(max(times), 4)],
        "megabytes": round(statistics.median(own["bytes"] for own in measured) / 1e6, 1),
    }


def machine() -> dict[str, Any]:
    import torch

    from cmmd_toolkit.common.versions import library_versions

    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": library_versions(),
    }


def ratio(row: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    if "seconds" not in row or "seconds" not in ours:
        return "-"
    return f"{ours['seconds'] / row['seconds']:.2f}"


def table(results: list[dict[str, Any]]) -> str:
    """Markdown; the last column is this package's time over the other's."""
    lines = ["| what | by | seconds | MB | our time / its |", "|---|---|---|---|---|"]
    for task in results:
        ours = task["packages"][OURS]
        for package, row in task["packages"].items():
            if "reason" in row:
                lines.append(f"| {task['title']} | {package} | fails: {row['reason'][:80]} | | |")
            else:
                share = "" if package == OURS else ratio(row, ours)
                lines.append(
                    f"| {task['title']} | {package} | {row['seconds']:.3g} | {row['megabytes']:.0f} | {share} |"
                )
    return "\n".join(lines)


def draw(results: list[dict[str, Any]], target: Path) -> None:
    """A bar per package and task, in units of our time, on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.32 * sum(len(task["packages"]) + 1 for task in results)), layout="constrained")
    panel = figure.subplots()
    labels: list[str] = []
    for task in results:
        ours = task["packages"][OURS].get("seconds")
        labels.append(task["title"])
        for package, row in task["packages"].items():
            labels.append(f"{package}   ")
            if ours and "seconds" in row:
                share = row["seconds"] / ours
                colour = "#0072B2" if package == OURS else "#999999"
                panel.barh(len(labels) - 1, share, color=colour)
                shown = f"{share:.0f}" if share >= 10 else f"{share:.2g}"
                panel.text(share * 1.05, len(labels) - 1, shown, va="center", fontsize=8)
    panel.set_yticks(range(len(labels)), labels, fontsize=8)
    panel.invert_yaxis()
    panel.margins(x=0.1)
    panel.set(xscale="log", xlabel="time / cmmd-toolkit's time, longer is slower")
    panel.axvline(1, color="black", linewidth=0.6)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
