"""Each image has noise of its own: a stream that depends on the run's seed and the image's number alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmmd_toolkit.common.text import first_line

from ..common.files import check_ends
from ..errors import ArgumentError

Draw = Callable[[], Tensor]
_LABEL_STREAM = 1


class ImageNoise:
    """Draws of shape (B, *shape) whose row i comes from the stream of image `indices[i]`.

    Drawn on the CPU in float32, so that every device gets the same numbers.
    """

    def __init__(self, seed: int, indices: Sequence[int], shape: tuple[int, ...], device: torch.device) -> None:
        self.shape, self.device = shape, device
        self.generators = [torch.Generator().manual_seed(stream_seed(seed, index)) for index in indices]

    def __call__(self) -> Tensor:
        """The next draw of every image."""
        drawn = torch.stack([torch.randn(self.shape, generator=g) for g in self.generators])
        if self.device.type != "cuda":
            return drawn.to(self.device)
        return drawn.pin_memory().to(self.device, non_blocking=True)  # the GPU goes on computing meanwhile


class OfficialNoise:
    """The draws of the official script for one batch of `batch` images: rows `indices` of them.

    One generator on the device, seeded once; it gives (batch, *shape), then (2 batch, *shape) for every step, since the
    script guides two halves and looks at the first (facebookresearch/DiT, sample.py). On a GPU these are its numbers;
    on a CPU the script draws its weights from the same generator first.
    """

    def __init__(
        self, seed: int, batch: int, indices: Sequence[int], shape: tuple[int, ...], device: torch.device
    ) -> None:
        self.batch, self.rows, self.shape, self.device = batch, torch.tensor(indices, device=device), shape, device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.drawn = 0

    def __call__(self) -> Tensor:
        """The next draw of every image."""
        count = self.batch * (2 if self.drawn else 1)
        self.drawn += 1
        return torch.randn((count, *self.shape), generator=self.generator, device=self.device)[self.rows]


class GivenNoise:
    """Draws from an array (N, C, H, W), the noise that sampling starts from, or (N, K, C, H, W), the first K draws.

    `after` gives those that the array does not have.
    """

    def __init__(self, array: NDArray[Any], indices: Sequence[int], device: torch.device, after: Draw) -> None:
        self.array, self.indices, self.device, self.after = array, list(indices), device, after
        self.drawn = 0

    def __call__(self) -> Tensor:
        """The next draw of every image."""
        drawn, number = self.after(), self.drawn  # its streams go on as without the array
        self.drawn += 1
        if self.array.ndim == 4 and number == 0:
            rows = self.array[self.indices]
        elif self.array.ndim == 5 and number < self.array.shape[1]:
            rows = self.array[self.indices, number]
        else:
            return drawn
        return torch.from_numpy(np.array(rows, np.float32)).to(self.device)


def read_noise(path: str) -> NDArray[Any]:
    """An .npy file of noise, mapped; raises ArgumentError for what is none."""
    try:
        check_ends(Path(path))
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArgumentError(f"noise: {path} is not a readable .npy file ({first_line(error)})") from error
    if not isinstance(array, np.ndarray) or array.ndim not in (4, 5) or array.dtype.kind != "f":
        raise ArgumentError(f"noise: {path} is not an array of floats (N, C, H, W) or (N, K, C, H, W)")
    return array


@contextmanager
def drawn_ahead(draw: Draw) -> Iterator[Draw]:
    """The same draws in the same order, each made in a thread while the one before is in use; one is left over."""
    with ThreadPoolExecutor(1) as background:
        ahead = background.submit(draw)

        def next_draw() -> Tensor:
            nonlocal ahead
            drawn, ahead = ahead.result(), background.submit(draw)
            return drawn

        yield next_draw


def image_label(seed: int, index: int, num_classes: int) -> int:
    """A class for one image, uniform and independent of its noise."""
    return int(np.random.default_rng(stream_seed(seed, index, _LABEL_STREAM)).integers(num_classes))


def stream_seed(seed: int, *numbers: int) -> int:
    """A seed below 2^63 for the stream that these numbers name, a hash of all: neighbours share nothing."""
    if seed < 0:
        raise ArgumentError(f"seed: expected 0 or more, got {seed}")
    if min(numbers) < 0:
        raise ArgumentError(f"number of an image: expected 0 or more, got {min(numbers)}")
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))
