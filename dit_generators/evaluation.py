"""Scores of the average's samples while training, through the public names of cmmd_toolkit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit import CmmdError, embed, median_distance, squared_mmd

from .autoencoder import Autoencoder
from .errors import EvaluationError
from .model import DiT
from .sampling import SampleSettings, sample

Rows = NDArray[np.float64]
_GROUPS = 32


@dataclass(frozen=True)
class Score:
    """Squared MMD between held-out and generated pictures, unbiased, lower is better, and its standard error."""

    value: float
    standard_error: float


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
        parts = [
            sample(model, self.settings, range(first, min(first + batch_size, self.num)), self.autoencoder)
            for first in range(0, self.num, batch_size)
        ]
        generated = unit_rows(features_of(np.concatenate(parts), self.backbone))
        bandwidth = median_distance(self.reference)
        value = float(squared_mmd(reference=self.reference, generated=generated, bandwidth=bandwidth))
        return Score(value, jackknife_error(self.reference, generated, bandwidth))


def features_of(pictures: NDArray[np.uint8], backbone: str, **options: Any) -> NDArray[np.float32]:
    """Features (N, D) of pictures (N, H, W, 1 or 3); raises EvaluationError with the toolkit's reason."""
    rgb = np.ascontiguousarray(np.broadcast_to(pictures, (*pictures.shape[:3], 3)))
    try:
        return embed(rgb, backbone=backbone, **options).values
    except CmmdError as error:
        raise EvaluationError(str(error)) from error


def jackknife_error(reference: Rows, generated: Rows, bandwidth: float) -> float:
    """Standard error by leaving out one of at most 32 groups of each side in turn (Tukey's jackknife, per side)."""
    variance = 0.0
    for side in (0, 1):
        sides = [reference, generated]
        groups = np.array_split(np.arange(len(sides[side])), min(_GROUPS, len(sides[side]) // 2))
        values = []
        for group in groups:
            left = [*sides]
            left[side] = np.delete(sides[side], group, axis=0)
            values.append(float(squared_mmd(reference=left[0], generated=left[1], bandwidth=bandwidth)))
        variance += (len(groups) - 1) * float(np.var(values))
    return variance**0.5


def unit_rows(features: NDArray[np.float32]) -> Rows:
    """Features (N, D) divided by their lengths."""
    rows = np.asarray(features, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
