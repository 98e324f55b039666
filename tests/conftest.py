"""Shared fixtures: small real pictures made here, and the project's shared data where it is present."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

# Small networks, and tests that start commands beside others: more threads only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job starts with interrupts ignored, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(os.environ.get("CMMD_SHARED", Path(__file__).parents[2] / "shared"))


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


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "real", 8)


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "fake", 6, first_seed=100)


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with all of pytorch-fid's parameter names and random values."""
    import torch
    from checkpoints import random_inception_state

    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(random_inception_state(), path)
    return path


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP of the real architecture, written by save_pretrained with its processor."""
    from checkpoints import save_clip

    return save_clip(tmp_path_factory.mktemp("clip"))
