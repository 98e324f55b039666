"""Memory of training and of sampling as sets grow, and how fast batches are made.

python benchmarks/training_data.py memory --json docs/training_data.json    # training from a tar, held and streamed
python benchmarks/training_data.py samples --json docs/training_data.json   # dit-gen sample --npz
python benchmarks/training_data.py batches --json docs/training_data.json

Peak memory is that of the whole command, as the system counts it, in a process of its own.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dit_generators import DiT, DiTConfig, save_checkpoint
from dit_generators.data.batches import Examples, PixelExamples, make_batch, picture_at
from dit_generators.data.latents import LatentExamples, Latents
from dit_generators.data.pictures import load_pictures
from dit_generators.data.pixels import take
from dit_generators.data.reading import Reading
from dit_generators.diffusion.noise import stream_seed

SIZES = (5_000, 50_000)
_SHAPE = ["--hidden-size", "32", "--depth", "1", "--num-heads", "2", "--device", "cpu"]


def pictures(count: int, edge: int, kind: str) -> Iterator[bytes]:
    """Encoded smooth random pictures."""
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).resize((edge, edge), Image.Resampling.BICUBIC).save(stream, kind)
        yield stream.getvalue()


def write_tar(path: Path, contents: list[bytes], count: int) -> None:
    """A tar of so many members; contents come again where there are fewer."""
    with tarfile.open(path, "w") as archive:
        for row in range(count):
            member = tarfile.TarInfo(f"{row:07d}.png")
            member.size = len(contents[row % len(contents)])
            archive.addfile(member, io.BytesIO(contents[row % len(contents)]))


def command(*arguments: object) -> dict[str, float]:
    """Peak memory in MB and seconds of a command of dit-gen."""
    start = time.perf_counter()
    full = [sys.executable, "-m", "dit_generators", *map(str, arguments)]
    process = subprocess.Popen(full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(full)}: exit code {process.returncode}")
    return {"peak_mb": round(usage.ru_maxrss / 1000), "seconds": round(time.perf_counter() - start, 1)}


def memory(folder: Path) -> dict[str, Any]:
    """Twenty steps on 64 x 64 pictures of a tar, held in memory and streamed."""
    contents = list(pictures(500, 64, "PNG"))
    found: dict[str, Any] = {"picture_bytes": 64 * 64 * 3}
    for count in SIZES:
        write_tar(folder / f"{count}.tar", contents, count)
        for name, limit in (("held", "4GB"), ("streamed", "0")):
            options = ["--preset", "small", *_SHAPE, "--image-size", 64, "--patch-size", 8, "--batch-size", 32]
            options += ["--steps", 20, "--memory", limit, "--out", folder / f"{name}-{count}"]
            found[f"{name} {count}"] = command("train", folder / f"{count}.tar", *options)
    return found


def samples(folder: Path) -> dict[str, Any]:
    """Samples of 8 x 8 pixels in two steps, with the .npz for evaluators."""
    config = DiTConfig(input_size=8, in_channels=3, num_classes=0, patch_size=2, hidden_size=32, depth=1, num_heads=2)
    torch.manual_seed(0)
    save_checkpoint(DiT(config), folder / "model.safetensors")
    options = ["--checkpoint", folder / "model.safetensors", "--steps", 2, "--batch-size", 250, "--npz"]
    return {
        f"{count}": command("sample", *options, "--num", count, "--out", folder / f"samples-{count}") for count in SIZES
    }


def batches(folder: Path) -> dict[str, Any]:
    """Processor time of batches of 256, of the same made row by row, and of pictures from JPEG files of 256 x 256."""
    random, found = np.random.default_rng(0), {}
    pixels = random.integers(0, 256, (512, 32, 32, 3), dtype=np.uint8)
    latents = random.normal(size=(512, 2, 2, 4, 32, 32)).astype(np.float32)
    cases: dict[str, tuple[Examples, Callable[[int, torch.Generator], torch.Tensor]]] = {
        "pixels 3 x 32 x 32": (PixelExamples(pixels, 32, flip=True), by_row_of(pixels)),
        "latents 4 x 32 x 32": (LatentExamples(Latents([latents]), flip=True), by_row_of_latents(latents)),
    }
    labels = np.zeros(512, dtype=np.int64)
    for name, (examples, example) in cases.items():
        make = partial(make_batch, 0, range(256), examples, labels, num_timesteps=1000, dropout=0.1)
        by_row = least(partial(row_by_row, range(256), example, labels))
        found[name] = {"ms_at_once": 1000 * least(make), "ms_row_by_row": 1000 * by_row}
    for row, data in enumerate(pictures(300, 256, "JPEG")):
        (folder / f"{row:04d}.jpg").write_bytes(data)
    reading = Reading(memory=0, workers=1, folder=folder.with_name("known"))
    streamed = load_pictures(folder, 256, reading=reading).pixels
    found["JPEG 256 x 256"] = {"ms_a_picture": 1000 * least(partial(take, streamed, range(300)), 3) / 300}
    return found


def by_row_of(pixels: Any) -> Callable[[int, torch.Generator], torch.Tensor]:
    """One example, as it was made before batches were made at once."""

    def example(index: int, generator: torch.Generator) -> torch.Tensor:
        mirrored, _, _ = torch.rand(3, generator=generator).tolist()
        picture = torch.from_numpy(pixels[index]).permute(2, 0, 1)
        return (picture.flip(-1) if mirrored < 0.5 else picture).float() / 127.5 - 1

    return example


def by_row_of_latents(latents: Any) -> Callable[[int, torch.Generator], torch.Tensor]:
    """The same of latents."""
    whole = torch.from_numpy(latents)

    def example(index: int, generator: torch.Generator) -> torch.Tensor:
        mean, deviation = whole[index, int(torch.rand((), generator=generator) < 0.5)]
        return mean + deviation * torch.randn(mean.shape, generator=generator)

    return example


def row_by_row(positions: range, example: Callable[[int, torch.Generator], torch.Tensor], labels: Any) -> None:
    """A batch of rows that are stacked in the end."""
    rows = []
    for position in positions:
        index = picture_at(0, position, len(labels))
        generator = torch.Generator().manual_seed(stream_seed(0, 3, position))
        timestep, drop = torch.randint(1000, (), generator=generator), torch.rand((), generator=generator) < 0.1
        x_0 = example(index, generator)
        noise, label = torch.randn(x_0.shape, generator=generator), torch.tensor(int(labels[index]))
        rows.append((x_0, noise, timestep, label, drop))
    for column in zip(*rows, strict=True):
        torch.stack(column)


def least(call: Callable[[], Any], repeats: int = 7) -> float:
    """The least seconds of processor time of several calls."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "samples", "batches"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        (folder := Path(name, "work")).mkdir()
        result = {"memory": memory, "samples": samples, "batches": batches}[given.what](folder)
    print(json.dumps(result, indent=1))
    if given.json:
        before = json.loads(given.json.read_text()) if given.json.exists() else {}
        given.json.write_text(json.dumps({**before, given.what: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
