"""Train checkpoints that come with the package and put them there.

python benchmarks/train_bundled.py digits-full digits-swa landscapes-full landscapes-swa [--landscapes FOLDER]

digits: scikit-learn's 1,797 handwritten digits, 8 x 8, ten classes. landscapes: a folder of photographs, 24 x 24,
unconditional. Each pair, full and swa (window 3), has identical settings and seeds. The same command resumes
an interrupted run.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dit_generators import SampleSettings, load_checkpoint, sample
from dit_generators.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

TARGET = Path(__file__).parents[1] / "dit_generators" / "checkpoints"
COMMON = ["--preset", "small", "--space", "pixel", "--learning-rate", "1e-3", "--warmup", "100"]
COMMON += ["--clip", "1", "--save-every", "250", "--log-every", "50"]
DIGITS = ["--channels", "1", "--conditional", "--image-size", "8", "--no-flip", "--hidden-size", "96", "--depth", "6"]
DIGITS += ["--num-heads", "6", "--patch-size", "1", "--batch-size", "64", "--steps", "3000"]
LANDSCAPES = ["--image-size", "24", "--hidden-size", "160", "--depth", "6", "--num-heads", "5", "--patch-size", "2"]
LANDSCAPES += ["--precision", "bf16", "--batch-size", "32", "--steps", "7000"]


def write_digits(folder: Path) -> Path:
    """scikit-learn's digits as class folders of PNGs."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for i, (picture, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(picture * 255 / 16, 0, 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / str(label) / f"{i:04d}.png")
    return folder


def install(run: Path, name: str) -> None:
    """The average of the last checkpoint, in half precision, as a file of the package."""
    last = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    found = read_checkpoint(last / "ema.safetensors")
    half = {key: value.half() for key, value in found.state.items()}
    TARGET.mkdir(exist_ok=True)
    write_checkpoint(Checkpoint(found.config, half, found.path), TARGET / f"{name}.safetensors")


def write_demo_samples(num: int = 450) -> None:
    """Samples of both digits checkpoints for `cmmd demo`: classes in turn, the same seeds."""
    settings = SampleSettings(steps="100", labels=tuple(range(10)))
    samples = {}
    for name in ("full", "swa"):
        model = load_checkpoint(f"digits-{name}")
        parts = [sample(model, settings, range(i, min(i + 50, num))) for i in range(0, num, 50)]
        samples[name] = np.concatenate(parts)[..., 0]
    np.savez_compressed(TARGET.parents[1] / "cmmd_toolkit" / "cli" / "demo_samples.npz", **samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+")
    parser.add_argument("--landscapes", type=Path)
    parser.add_argument("--work", type=Path, default=Path("bundled-runs"))
    parser.add_argument("--steps", type=int, help="number of steps, instead of the usual one")
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    for name in options.names:
        kind, attention = name.rsplit("-", 1)
        digits = kind == "digits"
        pictures = write_digits(options.work / "digits") if digits else options.landscapes
        if pictures is None:
            parser.error("--landscapes FOLDER is needed for landscapes")
        steps = ["--steps", str(options.steps)] if options.steps else []
        arguments = [pictures, "--out", options.work / name, "--attention", attention, *COMMON]
        arguments += [*(DIGITS if digits else LANDSCAPES), *steps]
        command = [sys.executable, "-m", "dit_generators", "train", *map(str, arguments)]
        subprocess.run(command, check=True)
        install(options.work / name, name)
    if any(name.startswith("digits") for name in options.names):
        write_demo_samples()


if __name__ == "__main__":
    main()
