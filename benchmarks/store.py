"""The feature store: a first run, the same run again, and a run with added pictures; each in its own process.

    python benchmarks/store.py [--pictures 10000] [--added 100] [--backbone mini] [--weights PATH]

Makes smooth pictures of 64 x 64 as PNG in a temporary folder. Prints seconds of the whole command, start included.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--added", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--weights")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures, store = Path(folder, "pictures"), Path(folder, "store")
        pictures.mkdir()
        write(pictures, range(given.pictures), given.size)
        command = [sys.executable, "-m", "cmmd_toolkit", "embed", str(pictures), "--backbone", given.backbone]
        command += ["--device", "cpu", "--out", str(Path(folder, "out.npz"))]
        command += ["--weights", given.weights] if given.weights else []
        print(f"without a store      {seconds([*command, '--no-store']):7.2f} s")
        command += ["--store", str(store)]
        print(f"first run            {seconds(command):7.2f} s")
        print(f"second run           {seconds(command):7.2f} s")
        write(pictures, range(given.pictures, given.pictures + given.added), given.size)
        print(f"with {given.added:5d} added     {seconds(command):7.2f} s")
        size = sum(file.stat().st_size for file in store.iterdir())
        print(f"the store            {size / 1e6:7.1f} MB")
        print(f"the start alone      {seconds([*command[:4], str(one_picture(folder)), *command[5:]]):7.2f} s")


def write(folder: Path, numbers: range, size: int) -> None:
    for i in numbers:
        rng = np.random.default_rng(i)
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i:07d}.png")


def one_picture(folder: str) -> Path:
    alone = Path(folder, "alone")
    alone.mkdir()
    write(alone, range(2), 64)
    return alone


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
