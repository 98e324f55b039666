"""Batches made at once are, to the bit, the examples that each position gives by itself."""

import numpy as np
import pytest
import torch

from dit_generators.data.batches import PixelExamples, make_batch, picture_at
from dit_generators.data.latents import LatentExamples, Latents
from dit_generators.diffusion.noise import stream_seed

LABELS = np.arange(9) % 4
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 18, 18, 3), dtype=np.uint8)
LATENTS = np.random.default_rng(1).normal(size=(9, 2, 2, 4, 6, 6)).astype(np.float32)


def pixel_by_itself(index: int, generator: torch.Generator) -> torch.Tensor:
    mirrored, row, column = torch.rand(3, generator=generator).tolist()
    top, left = int(row * 3), int(column * 3)
    picture = torch.from_numpy(PIXELS[index, top : top + 16, left : left + 16]).permute(2, 0, 1)
    return (picture.flip(-1) if mirrored < 0.5 else picture).float() / 127.5 - 1


def latent_by_itself(index: int, generator: torch.Generator) -> torch.Tensor:
    mirrored = bool(torch.rand((), generator=generator) < 0.5)
    mean, deviation = torch.from_numpy(LATENTS)[index, int(mirrored)]
    return mean + deviation * torch.randn(mean.shape, generator=generator)


@pytest.mark.parametrize(
    ("examples", "by_itself"),
    [
        (PixelExamples(PIXELS, 16, flip=True), pixel_by_itself),
        (LatentExamples(Latents([LATENTS]), flip=True), latent_by_itself),
    ],
)
def test_a_batch_is_what_each_position_gives_by_itself(examples, by_itself) -> None:
    positions = range(5, 40)
    batch = make_batch(3, positions, examples, LABELS, num_timesteps=1000, dropout=0.3)
    for row, position in enumerate(positions):
        generator = torch.Generator().manual_seed(stream_seed(3, 2 + 1, position))
        index = picture_at(3, position, 9)
        assert batch.timesteps[row] == torch.randint(1000, (), generator=generator)
        assert batch.drop[row] == (torch.rand((), generator=generator) < 0.3)
        assert torch.equal(batch.x_0[row], by_itself(index, generator))
        assert torch.equal(batch.noise[row], torch.randn(batch.noise[row].shape, generator=generator))
        assert batch.labels[row] == LABELS[index]
