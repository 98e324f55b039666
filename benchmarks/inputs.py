"""What each kind of source costs: seconds and memory to read and decode the same pictures, each in its own process.

    python benchmarks/inputs.py [--pictures 2000] [--size 256]

Makes noisy pictures as PNG (an .npz holds their pixels) in a temporary folder. The Parquet file is one row group.
Prints seconds with two threads, and by how much the process grew after it opened the source.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

READER = """
import re, sys, time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from cmmd_toolkit.pictures.sources import open_images
try:
    import pyarrow.parquet
except ImportError:
    pass
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # Linux
before, start, waiting = peak(), time.perf_counter(), deque()
with ThreadPoolExecutor(2) as pool:
    for _, load in open_images(sys.argv[1]):
        waiting.append(pool.submit(lambda load=load: load().pixels.shape))
        if len(waiting) > 16:
            waiting.popleft().result()
print(f"{time.perf_counter() - start:8.1f} s {(peak() - before) / 1024:8.0f} MB")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for place in write(Path(folder), given.pictures, given.size):
            size = sum(file.stat().st_size for file in ([place] if place.is_file() else place.iterdir())) / 1e6
            done = subprocess.run([sys.executable, "-c", READER, place], check=True, capture_output=True, text=True)
            print(f"{place.name:14} {size:8.0f} MB on disk {done.stdout.rstrip()}", flush=True)


def write(folder: Path, count: int, size: int) -> list[Path]:
    """The same pictures in every kind of source."""
    plain = folder / "folder"
    plain.mkdir()
    batch = np.lib.format.open_memmap(folder / "batch.npy", "w+", np.uint8, (count, size, size, 3))
    for i in range(count):
        small = np.random.default_rng(i).integers(0, 256, (size // 2, size // 2, 3), dtype=np.uint8)
        batch[i] = np.repeat(np.repeat(small, 2, 0), 2, 1)
        Image.fromarray(batch[i]).save(plain / f"{i:06d}.png", compress_level=1)
    np.savez(folder / "stored.npz", batch)
    np.savez_compressed(folder / "packed.npz", batch)
    files = sorted(plain.iterdir())
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    for name, mode in (("set.tar", "w"), ("set.tar.gz", "w:gz")):
        with tarfile.open(folder / name, mode, **({"compresslevel": 1} if mode == "w:gz" else {})) as archive:
            for file in files:
                archive.add(file, file.name)
    _write_parquet(folder / "set.parquet", files)
    names = ("folder", "set.zip", "set.tar", "set.tar.gz", "set.parquet", "batch.npy", "stored.npz", "packed.npz")
    return [folder / name for name in names]


def _write_parquet(path: Path, files: list[Path]) -> None:
    """One row group, however large."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": file.read_bytes(), "path": file.name} for file in files], kind)
    parquet.write_table(pa.table({"image": image}), path, row_group_size=len(files))


if __name__ == "__main__":
    main()
