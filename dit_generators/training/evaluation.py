"""Scores of the average's samples while training, through the public names of cmmd_toolkit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.errors import CmmdError

from ..errors import EvaluationError
from ..network.model import DiT
from ..sampling.sample import SampleSettings, sample
from ..weights.autoencoder import Autoencoder

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Squared MMD between held-out and generated pictures, unbiased, lower is better, and its standard error.

    The error is None for fewer than twenty pictures per side.
    """

    value: float
    standard_error: float | None


@dataclass(frozen=True)
class Evaluation:
    """What is compared, on which backbone: always the same held-out pictures, as rows of features, and seeds."""

    reference: Rows
    backbone: str
    num: int
    settings: SampleSettings
    autoencoder: Autoencoder | None

    def score(self, model: DiT, batch_size: int) -> Score:
        """Sample `num` pictures and compare them."""
        from cmmd_toolkit import squared_mmd

        parts = [
            sample(model, self.settings, range(first, min(first + batch_size, self.num)), self.autoencoder)
            for first in range(0, self.num, batch_size)
        ]
        generated = unit_rows(features_of(np.concatenate(parts), self.backbone))
        estimate = squared_mmd(reference=self.reference, generated=generated)
        return Score(estimate.value, estimate.standard_error)


def features_of(pictures: NDArray[np.uint8], backbone: str, **options: Any) -> NDArray[np.float32]:
    """Features (N, D) of pictures (N, H, W, 1 or 3); raises EvaluationError with the toolkit's reason."""
    from cmmd_toolkit import embed  # what only samples need nobody else waits for

    rgb = np.ascontiguousarray(np.broadcast_to(pictures, (*pictures.shape[:3], 3)))
    try:
        return embed(rgb, backbone=backbone, store=False, **options).values
    except CmmdError as error:
        raise EvaluationError(str(error)) from error


def unit_rows(features: NDArray[np.float32]) -> Rows:
    """Features (N, D) divided by their lengths."""
    rows = np.asarray(features, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
