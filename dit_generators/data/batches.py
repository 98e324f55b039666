"""What each training step sees, as a pure function of the seed and the position: nothing to save, nothing to restore.

Position p counts pictures since the start of training. Everything random about it (which picture, flip, crop, timestep,
noise, dropped label) follows from (seed, p), so a run resumes exactly where it stopped, and gives the same gradients
in one process or several.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diffusion.noise import stream_seed
from .pixels import Pixels, take

_ORDER, _SAMPLE = 2, 3  # streams of their own, apart from those of sampling


@dataclass(frozen=True)
class Batch:
    """Inputs of one step: x_0 and noise (B, C, H, W), labels int64 (B,), drop bool (B,), and timesteps (B,).

    Timesteps are int64, or float32 in [0, 1), the times of a flow.
    """

    x_0: Tensor
    noise: Tensor
    timesteps: Tensor
    labels: Tensor
    drop: Tensor

    def to(self, device: torch.device) -> "Batch":
        """All of it on a device; to a GPU of CUDA it is copied while the caller goes on, where it is pinned."""
        return Batch(*(x.to(device, non_blocking=device.type == "cuda") for x in self._parts()))

    def pinned(self) -> "Batch":
        """In memory that a GPU reads by itself."""
        return Batch(*(x.pin_memory() for x in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.x_0, self.noise, self.timesteps, self.labels, self.drop


class Examples(Protocol):
    """Pictures as inputs of the network."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one."""

    def draw(self, generator: torch.Generator) -> Any:
        """All that is random about one."""

    def make(self, indices: Sequence[int], draws: Sequence[Any]) -> Tensor:
        """Pictures `indices` as x_0 (B, C, H, W), each by its own draw."""


def picture_at(seed: int, position: int, count: int) -> int:
    """Which of `count` pictures stands at a position: every epoch is a new permutation."""
    return int(_permutation(seed, position // count, count)[position % count])


def make_batch(
    seed: int,
    positions: Sequence[int],
    examples: Examples,
    labels: NDArray[np.int64],
    *,
    num_timesteps: int | None,
    dropout: float,
    times: Callable[[Tensor], Tensor] = lambda uniform: uniform,
) -> Batch:
    """The batch at these positions: each has a generator of its own, and all else is done for the batch at once.

    Timesteps are uniform below `num_timesteps`; where it is None, what `times` makes of uniform numbers in [0, 1).
    """
    count = len(positions)
    noise = torch.empty(count, *examples.shape)
    timesteps = torch.empty(count, dtype=torch.float32 if num_timesteps is None else torch.int64)
    chance = torch.empty(count)
    draws = []
    for row, position in enumerate(positions):
        generator = torch.Generator().manual_seed(stream_seed(seed, _SAMPLE, position))
        if num_timesteps is None:
            torch.rand((), generator=generator, out=timesteps[row])
        else:
            torch.randint(num_timesteps, (), generator=generator, out=timesteps[row])
        torch.rand((), generator=generator, out=chance[row])
        draws.append(examples.draw(generator))
        torch.randn(examples.shape, generator=generator, out=noise[row])
    if num_timesteps is None:
        timesteps = times(timesteps)
    indices = [picture_at(seed, position, len(labels)) for position in positions]
    return Batch(examples.make(indices, draws), noise, timesteps, torch.from_numpy(labels[indices]), chance < dropout)


@dataclass(frozen=True)
class PixelExamples:
    """Pictures of `pixels` as float (C, size, size) in [-1, 1], at a random place where they are larger."""

    pixels: Pixels
    size: int
    flip: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """See `Examples`."""
        return self.pixels.shape[3], self.size, self.size

    def draw(self, generator: torch.Generator) -> tuple[float, float, float]:
        """See `Examples`: whether it is mirrored, and its place."""
        mirrored, row, column = torch.rand(3, generator=generator).tolist()
        return mirrored, row, column

    def make(self, indices: Sequence[int], draws: Sequence[tuple[float, float, float]]) -> Tensor:
        """See `Examples`."""
        places = self.pixels.shape[1] - self.size + 1
        cut = np.empty((len(indices), self.size, self.size, self.pixels.shape[3]), dtype=np.uint8)
        pictures = take(self.pixels, indices)
        for own, picture, (mirrored, row, column) in zip(cut, pictures, draws, strict=True):
            top, left = int(row * places), int(column * places)
            window = picture[top : top + self.size, left : left + self.size]
            own[:] = window[:, ::-1] if self.flip and mirrored < 0.5 else window
        return torch.from_numpy(cut).permute(0, 3, 1, 2).float().contiguous().div_(127.5).sub_(1)


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(stream_seed(seed, _ORDER, epoch)).permutation(count)
