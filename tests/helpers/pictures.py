"""Small real pictures and features made here, and the project's shared data where it is present."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

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


def gaussian(n: int, dim: int, *, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
    return shift + scale * np.random.default_rng(seed).standard_normal((n, dim))
