"""Scores of the average's samples while training, by cmmd_toolkit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.estimation.estimate import Estimate
from cmmd_toolkit.pictures.decode import Picture
from cmmd_toolkit.pictures.load import of_pixels
from cmmd_toolkit.pictures.sources import ImageSource

from ..common.processes import ALONE, Processes
from ..errors import EvaluationError, SamplingError
from ..network.model import DiT
from ..sampling.sample import SampleSettings, sample
from ..weights.autoencoder import Autoencoder

Rows = NDArray[np.float64]
Keep = Callable[[NDArray[np.uint8]], None]
TakePicture = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Evaluation:
    """What is compared, on which backbone: always the same held-out pictures, as rows of features, and seeds."""

    reference: Rows
    backbone: str
    num: int
    settings: SampleSettings
    autoencoder: Autoencoder | None

    def score(self, model: DiT, batch_size: int, processes: Processes = ALONE, keep: Keep | None = None) -> Estimate:
        """Squared MMD, unbiased, lower is better, of `num` samples; each process makes its share, and all get it.

        All pictures, uint8 (num, H, W, channels), are given to `keep` in every process.
        """
        from cmmd_toolkit import squared_mmd

        made: dict[range, NDArray[np.uint8]] = {}

        def features(mine: range) -> NDArray[np.float32]:
            made[mine] = samples(model, self.settings, mine, batch_size, self.autoencoder)
            return features_of(made[mine].__getitem__, range(len(mine)), self.backbone)

        generated = unit_rows(shared_rows(features, self.num, processes))
        if keep is not None:
            keep(shared_rows(made.__getitem__, self.num, processes))
        return squared_mmd(reference=self.reference, generated=generated)


def samples(
    model: DiT, settings: SampleSettings, indices: range, batch_size: int, autoencoder: Autoencoder | None
) -> NDArray[np.uint8]:
    """The pictures `indices` of a run, uint8 (N, H, W, C), so many at once."""
    parts = [indices[first : first + batch_size] for first in range(0, len(indices), batch_size)]
    return np.concatenate([sample(model, settings, part, autoencoder) for part in parts])


def shared_rows(work: Callable[[range], NDArray[Any]], num: int, processes: Processes) -> NDArray[Any]:
    """What `work` gives for the numbers below `num`, a row each: every process does its share, and all get all rows.

    Raises in all processes where one could not sample or embed.
    """
    mine = range(processes.rank, num, processes.count)
    found: Any = None
    try:
        found = work(mine) if mine else None
    except (SamplingError, EvaluationError) as error:
        found = error
    every = processes.gather(found)
    for own in every:
        if isinstance(own, Exception):
            raise own
    rows = np.empty((num, *every[0].shape[1:]), every[0].dtype)
    for rank, own in enumerate(every[:num]):
        rows[rank :: processes.count] = own
    return rows


def features_of(
    picture: TakePicture, numbers: Sequence[int], backbone: str, *, size: int | None = None, **options: Any
) -> NDArray[np.float32]:
    """Features (N, D) of the pictures (H, W, 1 or 3) of these numbers, of their middle of `size`, read one by one.

    Raises EvaluationError with the toolkit's reason.
    """
    from cmmd_toolkit import embed  # what only samples need nobody else waits for

    items = [(f"{number:06d}", of_pixels(partial(_middle, picture, number, size))) for number in numbers]
    try:
        return embed(ImageSource("pictures", items), backbone=backbone, store=False, **options).values
    except CmmdError as error:
        raise EvaluationError(str(error)) from error


def _middle(picture: TakePicture, number: int, size: int | None) -> Picture:
    whole = picture(number)
    size = size or len(whole)
    start = (len(whole) - size) // 2
    middle = whole[start : start + size, start : start + size]
    return Picture(np.ascontiguousarray(np.broadcast_to(middle, (*middle.shape[:2], 3))), "array")


def unit_rows(features: NDArray[np.float32]) -> Rows:
    """Features (N, D) divided by their lengths."""
    rows = np.asarray(features, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
