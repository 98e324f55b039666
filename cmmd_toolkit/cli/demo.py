"""`cmmd demo`: scores real scans of handwritten digits against copies with known faults, offline, in seconds.

And against samples of the two bundled Diffusion Transformers, with full and with sliding-window attention.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ..commands.compare import compare
from ..common.progress import ShowProgress
from ..common.text import number_text
from ..pictures.decode import Picture
from ..pictures.load import of_pixels
from ..pictures.sources import ImageSource
from ..report import Report

SIZE = 64
_SAMPLES = Path(__file__).with_name("demo_samples.npz")
Pixels = NDArray[np.uint8]


def run_demo(progress: ShowProgress | None, command: str | None, *, exhibit: bool = False) -> Report:
    """Half of the digits is the reference; the other half, faulty copies of it, and samples are the generated sets."""
    pictures, labels = digits()
    reference, rest, kept = pictures[::2], pictures[1::2], labels[1::2] < 6
    generator = np.random.default_rng(0)
    sets = {
        "the other half": rest,
        "slightly blurred": [_filtered(picture, ImageFilter.GaussianBlur(2)) for picture in rest],
        "noisy": [_noisy(picture, generator) for picture in rest],
        "digits 6 to 9 missing": [picture for picture, keep in zip(rest, kept, strict=True) if keep],
        **{_label(name): samples for name, samples in generated_digits().items()},
    }
    sources = [_source(name, images) for name, images in sets.items()]
    return compare(
        _source("real digits", reference),
        sources,
        backbone="mini",
        metric="mmd",
        exhibit=exhibit,
        progress=progress,
        command=command,
    )


def digits() -> tuple[list[Pixels], NDArray[np.int64]]:
    """scikit-learn's 1,797 scans of 8 x 8 pixels, enlarged, ink on paper, with their labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return [_enlarged(scan) for scan in data.images], data.target


def generated_digits() -> dict[str, list[Pixels]]:
    """Samples of the bundled checkpoints digits-full and digits-swa, made by benchmarks/train_bundled.py."""
    with np.load(_SAMPLES, allow_pickle=False) as archive:
        return {name: [_enlarged(sample * (16 / 255)) for sample in archive[name]] for name in ("full", "swa")}


def explanation(report: Report) -> str:
    """What the numbers mean, in two sentences."""
    by_set = {result.generated: result for result in report.results}
    full, swa = (by_set.pop(_label(name)) for name in ("full", "swa"))
    first, *faulty = by_set.values()
    worst = max(faulty, key=lambda result: result.value)
    shown = [number_text(result.value, result.standard_error) for result in (first, worst, full, swa)]
    return (
        f"Real digits against other real digits score {shown[0]}, zero up to the noise of "
        f"{first.n_generated} pictures; the faults score up to {shown[1]} ({worst.generated}).\n"
        f"Samples of the bundled models score {shown[2]} with full and {shown[3]} with swa (sliding-window) attention."
    )


def _label(attention: str) -> str:
    return f"DiT with {attention} attention"


def _enlarged(scan: NDArray[np.float64]) -> Pixels:
    ink = Image.fromarray((255 - scan * 255 / 16).astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(ink.convert("RGB"))


def _filtered(picture: Pixels, kernel: ImageFilter.Filter) -> Pixels:
    return np.asarray(Image.fromarray(picture).filter(kernel))


def _noisy(picture: Pixels, generator: np.random.Generator) -> Pixels:
    noisy = np.rint(picture + generator.normal(0, 20, picture.shape))
    return np.asarray(noisy.clip(0, 255), np.uint8)


def _source(name: str, images: list[Pixels]) -> ImageSource:
    loads = [of_pixels(partial(Picture, image, "array")) for image in images]
    return ImageSource(name, [(f"{i:04d}", load) for i, load in enumerate(loads)])
