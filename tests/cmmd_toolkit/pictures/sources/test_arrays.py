"""Batches, arrays and tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import pixels_of


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_batches_hold_nhwc_images(suffix: str, tmp_path: Path) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    path = tmp_path / f"batch{suffix}"
    np.save(path, batch) if suffix == ".npy" else np.savez(path, arr_0=batch)
    assert np.array_equal(np.stack(pixels_of(path)), batch)


def test_tensors_are_nchw_and_arrays_either_way() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    turned = batch.transpose(0, 3, 1, 2)
    for source in (batch, turned, torch.from_numpy(turned.copy())):
        assert np.array_equal(np.stack(pixels_of(source)), batch)
    square = batch[:, :3, :3]
    assert np.array_equal(np.stack(pixels_of(torch.from_numpy(square.copy()))), square.transpose(0, 2, 3, 1))
