"""What each training step sees, as a pure function of the seed and the position: nothing to save, nothing to restore.

Position p counts pictures since the start of training. Everything random about it (which picture, flip, crop, timestep,
noise, dropped label) follows from (seed, p), so a run resumes exactly where it stopped, and gives the same gradients
in one process or several.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diffusion.noise import stream_seed

_ORDER, _SAMPLE = 2, 3  # streams of their own, apart from those of sampling


@dataclass(frozen=True)
class Batch:
    """Inputs of one step: x_0 and noise (B, C, H, W), timesteps and labels int64 (B,), drop bool (B,)."""

    x_0: Tensor
    noise: Tensor
    timesteps: Tensor
    labels: Tensor
    drop: Tensor

    def to(self, device: torch.device) -> "Batch":
        """All of it on a device."""
        return Batch(*(x.to(device) for x in (self.x_0, self.noise, self.timesteps, self.labels, self.drop)))


Example = Callable[[int, torch.Generator], Tensor]


def picture_at(seed: int, position: int, count: int) -> int:
    """Which of `count` pictures stands at a position: every epoch is a new permutation."""
    return int(_permutation(seed, position // count, count)[position % count])


def make_batch(
    seed: int,
    positions: Sequence[int],
    example: Example,
    labels: NDArray[np.int64],
    *,
    num_timesteps: int,
    dropout: float,
) -> Batch:
    """The batch at these positions; `example` gives picture i as x_0 (C, H, W), flipped by the generator."""
    rows = []
    for position in positions:
        index = picture_at(seed, position, len(labels))
        generator = torch.Generator().manual_seed(stream_seed(seed, _SAMPLE, position))
        timestep = torch.randint(num_timesteps, (), generator=generator)
        drop = torch.rand((), generator=generator) < dropout
        x_0 = example(index, generator)
        noise = torch.randn(x_0.shape, generator=generator)
        rows.append((x_0, noise, timestep, torch.tensor(int(labels[index])), drop))
    x_0, noise, timesteps, label, drop = (torch.stack(column) for column in zip(*rows, strict=True))
    return Batch(x_0, noise, timesteps, label, drop)


def pixel_example(pixels: NDArray[np.uint8], size: int, *, flip: bool) -> Example:
    """Pictures uint8 (N, E, E, C) as float (C, size, size) in [-1, 1], at a random place where E > size."""

    def example(index: int, generator: torch.Generator) -> Tensor:
        mirrored, row, column = torch.rand(3, generator=generator).tolist()
        places = pixels.shape[1] - size + 1
        top, left = int(row * places), int(column * places)
        picture = torch.from_numpy(pixels[index, top : top + size, left : left + size]).permute(2, 0, 1)
        picture = picture.flip(-1) if flip and mirrored < 0.5 else picture
        return picture.float() / 127.5 - 1

    return example


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(stream_seed(seed, _ORDER, epoch)).permutation(count)
