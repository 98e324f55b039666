"""Time and memory of scores as sets grow beyond memory: linear and flat; the time of the exact MMD is quadratic.

    python benchmarks/streaming.py [--sizes 10000 100000 1000000] [--dim 768] [--json docs/streaming.json]

Every score runs in its own process on two memory-mapped files of N x D float32 features, which are written first
(8 N D bytes in --folder) and removed at the end. Memory is the process's own (RssAnon of Linux, sampled every 5 ms),
above what it held before the score: pages of mapped files are the system's, which takes them back. The exact MMD runs
up to --exact rows; above that its time is forecast from one block of pairs.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cmmd_toolkit import CostWarning, Features, frechet_distance, squared_mmd
from cmmd_toolkit.features.unit_rows import as_unit_rows
from cmmd_toolkit.metrics.mmd_cost import multiplications, seconds_of_block

EXACT = "exact MMD"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--frequencies", type=int, default=4096)
    parser.add_argument("--exact", type=int, default=100_000, help="largest number of rows for the exact MMD")
    parser.add_argument("--folder", type=Path, help="folder for the files [default: the temporary folder]")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("SCORE", "REFERENCE", "GENERATED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, *paths = arguments.child
        print(json.dumps(measured(what, *map(Path, paths), arguments.frequencies)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size in arguments.sizes:
            rows += run_size(size, arguments, Path(folder))
    if arguments.json:
        about = {"dim": arguments.dim, "frequencies": arguments.frequencies, "rows": rows}
        arguments.json.write_text(json.dumps(about, indent=2) + "\n")
    print_table(rows)


def run_size(size: int, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Every score at one size."""
    paths = [folder / "reference.safetensors", folder / "generated.safetensors"]
    for seed, path in enumerate(paths):
        write(path, size, arguments.dim, seed)
    found = []
    for what in SCORES:
        if what == EXACT and size > arguments.exact:
            count = multiplications(size, size, arguments.dim)
            seconds = count * seconds_of_block(arguments.dim) / (1024 * 1024 * arguments.dim)
            found.append({"score": what, "n": size, "forecast": seconds, "multiplications": count})
            continue
        command = [
            sys.executable,
            __file__,
            "--frequencies",
            str(arguments.frequencies),
            "--child",
            what,
            *map(str, paths),
        ]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append({"score": what, "n": size, **json.loads(finished.stdout)})
        print(found[-1], file=sys.stderr, flush=True)
    for path in paths:
        path.unlink()
    return found


def write(path: Path, size: int, dim: int, seed: int) -> None:
    """Unlike Gaussians; block by block through a file, so that this process stays small too."""
    draws, bare = np.random.default_rng(seed), path.with_suffix(".npy")
    values = np.lib.format.open_memmap(bare, "w+", np.float32, (size, dim))
    for start in range(0, size, 16_384):
        part = values[start : start + 16_384]
        part[:] = draws.standard_normal(part.shape, dtype=np.float32) + np.float32(0.02 * seed)
    values.flush()
    Features(values).save(path)
    bare.unlink()


def _exact(x: Features, y: Features, _: int) -> Any:
    return squared_mmd(reference=as_unit_rows(x.values), generated=as_unit_rows(y.values))


def _random_features(x: Features, y: Features, frequencies: int) -> Any:
    rows = as_unit_rows(x.values), as_unit_rows(y.values)
    return squared_mmd(reference=rows[0], generated=rows[1], method="random-features", num_frequencies=frequencies)


SCORES: dict[str, Callable[[Features, Features, int], Any]] = {
    "load and check": lambda x, y, _: float(len(x) + len(y)),
    "mean and covariance": lambda x, y, _: float(x.statistics().mean[0] + y.statistics().mean[0]),
    "Frechet distance": lambda x, y, _: frechet_distance(reference=x, generated=y, errors=False),
    "Frechet distance, interval": lambda x, y, _: frechet_distance(reference=x, generated=y),
    "random-features MMD": _random_features,
    EXACT: _exact,
}


def measured(what: str, reference: Path, generated: Path, frequencies: int) -> dict[str, Any]:
    """Seconds, MB above those at the start, value and standard error of one score, from files to result."""
    warnings.simplefilter("ignore", CostWarning)
    small = Features(np.random.default_rng(0).random((200, 8)))
    SCORES[what](small, small.subset(np.arange(100)), 100)  # imports
    before, highest, stop = own_memory(), [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            highest[0] = max(highest[0], own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    found = SCORES[what](Features.load(reference), Features.load(generated), frequencies)
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    error = getattr(found, "standard_error", None)
    return {"seconds": seconds, "megabytes": (highest[0] - before) / 1e6, "value": float(found), "error": error}


def own_memory() -> int:
    """Bytes of this process alone, without pages of files."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "this benchmark reads /proc/self/status of Linux"
    return int(found[1]) * 1024


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| score | rows a set | seconds | MB |\n|---|---|---|---|")
    for row in sorted(rows, key=lambda own: list(SCORES).index(own["score"])):
        seconds = f"{row['seconds']:.3g}" if "seconds" in row else f"forecast {row['forecast']:,.0f}"
        memory = f"{row['megabytes']:.0f}" if "seconds" in row else "-"
        print(f"| {row['score']} | {row['n']:,} | {seconds} | {memory} |")


if __name__ == "__main__":
    main()
