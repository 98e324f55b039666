"""The rates that decide how long many pictures take on many processes, measured on the machine that runs this.

    torchrun --nproc-per-node 2 benchmarks/many_rates.py --json rates.json [--backbone clip=WEIGHTS] [--device cuda]

Every rate is the best of --repeats, in one process while the others wait, except for what they send each other. Without
torchrun nothing is sent, and those rates are null. On a CPU networks and sums run in one thread and processor time is
measured, so the rates are per core and independent of other load. `benchmarks/many.py` turns them into a budget.
"""

import argparse
import io
import json
import pickle
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from cmmd_toolkit import Features, frechet_distance, load_backbone, shared_work
from cmmd_toolkit.backbones.base import Backbone
from cmmd_toolkit.common.processes import Processes
from cmmd_toolkit.estimation.blocks import BLOCK
from cmmd_toolkit.estimation.kernel_device import kernels_on
from cmmd_toolkit.estimation.kernels import GaussianRows, sums_between
from cmmd_toolkit.features.record import Kind, RecordBuilder
from cmmd_toolkit.metrics.random_features import FREQUENCIES, Waves
from cmmd_toolkit.pictures.decode import MAX_PIXELS
from cmmd_toolkit.pictures.sources import open_images
from cmmd_toolkit.store.store import FeatureStore
from cmmd_toolkit.store.table import Row

PIXELS = 512  # of a side of the pictures
SENT = 1 << 26  # bytes
ROWS = 2000
Clock = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--backbone", action="append", metavar="NAME[=WEIGHTS]", help="repeatable [default: mini]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dim", type=int, default=768, help="dimensions of the sums")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with shared_work() as processes:
        found = processes.by_main(lambda: of_one(given))
        sent = between(processes, given.repeats)
        if found is not None:
            found["rates"] |= sent
            found["machine"]["processes"] = processes.count
            given.json.write_text(json.dumps(found, indent=1) + "\n")
            print(json.dumps(found, indent=1))


def of_one(given: argparse.Namespace) -> dict[str, Any]:
    """Everything that one process does by itself."""
    if given.device == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, kernels_on(given.device), threadpool_limits(1):
        folder = Path(name)
        size = write_pictures(folder / "pictures", given.pictures)
        rates: dict[str, Any] = {"list": listing(folder / "names", given.repeats)}
        rates |= of_pictures(folder / "pictures", given)
        rates |= of_store(folder / "store", given.dim)
        rates["record"] = joining(given.repeats)
        rates |= of_sums(given.dim, given.repeats, given.device)
    machine = {"cpu": processor(), "device": given.device, "date": date.today().isoformat()}
    return {"machine": machine, "dim": given.dim, "picture_bytes": size, "rates": rates}


def best(work: Callable[[], object], repeats: int, clock: Clock = time.process_time) -> float:
    """Seconds of the fastest run: of the processor, or of the clock for what it waits for."""
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def write_pictures(folder: Path, count: int) -> int:
    """Smooth noisy JPEGs; returns their mean size in bytes."""
    folder.mkdir()
    for i in range(count):
        draws = np.random.default_rng(i)
        smooth = Image.fromarray(draws.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((PIXELS, PIXELS))
        noisy = np.asarray(smooth, np.int16) + draws.integers(-12, 13, (PIXELS, PIXELS, 3), dtype=np.int16)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{i:06d}.jpg", quality=90)
    return sum(path.stat().st_size for path in folder.iterdir()) // count


def listing(folder: Path, repeats: int) -> float:
    """Names a second of a folder on this disk, once it is in the system's cache."""
    folder.mkdir()
    for i in range(20_000):
        (folder / f"{i:06d}.jpg").touch()
    return 20_000 / best(lambda: open_images(folder), repeats)


def of_pictures(folder: Path, given: argparse.Namespace) -> dict[str, float]:
    """Pictures a second: decoded by a core, prepared for each backbone by a core, seen by each on the device."""
    loads = [load for _, load in open_images(folder)]
    pixels = [np.ascontiguousarray(load().pixels) for load in loads]
    rates = {"decode": len(loads) / best(lambda: [load() for load in loads], given.repeats)}
    for text in given.backbone or ["mini"]:
        name, _, weights = text.partition("=")
        width = {"dims": given.dim} if name == "inception" else {}
        backbone = load_backbone(name, weights=weights or None, device=given.device, **width)
        rates |= of_backbone(backbone, pixels, given.repeats)
    return rates


def of_backbone(backbone: Backbone, pixels: list[Any], repeats: int) -> dict[str, float]:
    """Its preprocessing and its network."""
    inputs, names = [backbone.preprocess(own) for own in pixels], [str(i) for i in range(len(pixels))]
    prepare = best(lambda: [backbone.preprocess(own) for own in pixels], repeats)
    network = best(lambda: backbone.embed(inputs, names), repeats, clock_of(backbone.device))
    return {f"prepare {backbone.name}": len(pixels) / prepare, f"network {backbone.name}": len(pixels) / network}


def clock_of(device: str) -> Clock:
    """A GPU works while the processor waits."""
    return time.process_time if device == "cpu" else time.perf_counter


def of_store(folder: Path, dim: int) -> dict[str, float]:
    """Rows a second that are kept and found; both on this disk."""
    base = load_backbone("mini", device="cpu")
    wide = Backbone(**{**vars(base), "dim": dim})
    rows = np.random.default_rng(0).standard_normal((ROWS, dim), dtype=np.float32)
    keys = [i.to_bytes(32, "big") for i in range(ROWS)]
    kind = Kind("JPEG", ())

    def keep() -> None:
        with FeatureStore(folder, [wide], "upright", MAX_PIXELS) as store:
            for key, row in zip(keys, rows, strict=True):
                store.put(0, key, Row(row, kind, (PIXELS, PIXELS), bytes(16)))

    def find() -> None:
        with FeatureStore(folder, [wide], "upright", MAX_PIXELS) as store:
            assert all(store.find(key)[0] is not None for key in keys)

    return {"store keep": ROWS / best(keep, 3, time.perf_counter), "store find": ROWS / best(find, 3)}


def joining(repeats: int, count: int = 20_000) -> float:
    """Pictures a second whose records come from two processes, are unpacked and put in order."""
    parts = [RecordBuilder(), RecordBuilder()]
    for i in range(count):
        parts[i % 2].add(i, f"{i:028d}.jpg", Kind("JPEG", ()), (PIXELS, PIXELS), bytes(16))
    packed = [pickle.dumps(part) for part in parts]
    return count / best(lambda: RecordBuilder.joined([pickle.load(io.BytesIO(own)) for own in packed]), repeats)


def of_sums(dim: int, repeats: int, device: str) -> dict[str, float]:
    """Multiplications a second of exact MMD, random features and covariances; seconds of one Frechet distance."""
    rows = np.random.default_rng(0).standard_normal((4 * BLOCK, dim), dtype=np.float32)
    clock, first = clock_of(device), GaussianRows(rows[:BLOCK], 0.5 / dim)
    kernel = partial(sums_between, first, GaussianRows(rows[BLOCK:], 0.5 / dim))
    waves = Waves(np.zeros(dim), 1.0, FREQUENCIES, 0, np.float32)
    statistics = Features(rows).statistics()
    return {
        "kernel": 3 * BLOCK**2 * dim / best(kernel, repeats, clock),
        "waves": len(rows) * dim * FREQUENCIES / best(lambda: waves.means(rows), repeats),
        "covariance": len(rows) * dim * dim / best(lambda: Features(rows).statistics(), repeats, clock),
        "frechet seconds": best(
            lambda: frechet_distance(reference=statistics, generated=statistics, errors=False), repeats
        ),
    }


def between(processes: Processes, repeats: int) -> dict[str, float | None]:
    """Bytes a second over one link: a broadcast goes by a tree of log2 P steps, a sum by twice as many."""
    if processes.count == 1:
        return {"broadcast": None, "sum": None}
    rows, steps = np.ones((SENT // 4096, 1024), np.float32), ceil(log2(processes.count))

    def send() -> None:
        for _ in processes.gather_rows(rows, [len(rows)] + [0] * (processes.count - 1)):
            pass

    values, rates = np.ones(SENT // 8), {}
    for name, work, times in (("broadcast", send, steps), ("sum", lambda: processes.sum(values), 2 * steps)):
        processes.wait()
        rates[name] = SENT * times / max(processes.gather(best(work, repeats, time.perf_counter)))
    return dict(rates)


def processor() -> str:
    told = Path("/proc/cpuinfo").read_text().split("model name\t: ") if Path("/proc/cpuinfo").exists() else []
    return f"{told[1].splitlines()[0] if len(told) > 1 else platform.processor()}, {len(told) - 1 or 1} cores"


if __name__ == "__main__":
    main()
