"""Shared fixtures."""

import os
import signal
from pathlib import Path

import pytest
from pictures import write_pictures

# Small networks, and tests that start commands beside others: more threads only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test finds features of another, nor writes into the user's cache folder; tests of the store name their own.
os.environ["CMMD_STORE"] = "off"

# A shell's background job starts with interrupts ignored, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
