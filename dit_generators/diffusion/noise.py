"""Each image has noise of its own: a stream that depends on the run's seed and the image's number alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ..errors import ArgumentError

_LABEL_STREAM = 1


class ImageNoise:
    """Draws of shape (B, *shape) whose row i comes from the stream of image `indices[i]`.

    Drawn on the CPU in float32, so that every device gets the same numbers.
    """

    def __init__(self, seed: int, indices: Sequence[int], shape: tuple[int, ...], device: torch.device) -> None:
        self.shape, self.device = shape, device
        self.generators = [torch.Generator().manual_seed(image_seed(seed, index)) for index in indices]

    def __call__(self) -> Tensor:
        """The next draw of every image."""
        drawn = torch.stack([torch.randn(self.shape, generator=g) for g in self.generators])
        if self.device.type != "cuda":
            return drawn.to(self.device)
        return drawn.pin_memory().to(self.device, non_blocking=True)  # the GPU goes on computing meanwhile


@contextmanager
def drawn_ahead(draw: Callable[[], Tensor]) -> Iterator[Callable[[], Tensor]]:
    """The same draws in the same order, each made in a thread while the one before is in use; one is left over."""
    with ThreadPoolExecutor(1) as background:
        ahead = background.submit(draw)

        def next_draw() -> Tensor:
            nonlocal ahead
            drawn, ahead = ahead.result(), background.submit(draw)
            return drawn

        yield next_draw


def image_seed(seed: int, index: int) -> int:
    """The seed of one image's stream, a hash of both numbers: neighbours share nothing."""
    return stream_seed(seed, index)


def image_label(seed: int, index: int, num_classes: int) -> int:
    """A class for one image, uniform and independent of its noise."""
    return int(np.random.default_rng(stream_seed(seed, index, _LABEL_STREAM)).integers(num_classes))


def stream_seed(seed: int, *numbers: int) -> int:
    """A seed below 2^63 for the stream that these numbers name."""
    if seed < 0:
        raise ArgumentError(f"seed: expected 0 or more, got {seed}")
    if min(numbers) < 0:
        raise ArgumentError(f"number of an image: expected 0 or more, got {min(numbers)}")
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))
