"""Small real pictures and features made here, and the project's shared data where it is present."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cmmd_toolkit.pictures.sources import open_images

SHARED = Path(os.environ.get("CMMD_SHARED", Path(__file__).parents[3] / "shared"))


def shared_path(*parts: str) -> Path:
    """A path in the shared data, or a skip that says what is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} of the shared data (set CMMD_SHARED)")
    return path


def smooth_picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A smooth random RGB picture of (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def write_pictures(folder: Path, count: int, *, first_seed: int = 0, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        smooth_picture(first_seed + i).save(folder / f"{i:03d}{suffix}")
    return folder


def names_of(source: object, **options: object) -> list[str]:
    """The names of a source's pictures."""
    return [name for name, _ in open_images(source, **options)]


def pixels_of(source: object) -> list[np.ndarray]:
    """The pixels of a source's pictures."""
    return [load().pixels for _, load in open_images(source)]


def gaussian(n: int, dim: int, *, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
    return shift + scale * np.random.default_rng(seed).standard_normal((n, dim))
