"""References, backbones of two halves, and models with a fault in one of them, for joint_ranking.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from calibration_data import SHARED

Rows = np.ndarray
Backbone = Callable[[Rows], Rows]
HALF, SEEN = 8, 2  # dimensions of a half, and how many of the other half a backbone sees


def linear(rows: Rows) -> Rows:
    return rows


def layer(rows: Rows) -> Rows:
    """32 random units that saturate."""
    weights = np.random.default_rng(1).standard_normal((rows.shape[1], 32)) / math.sqrt(rows.shape[1])
    return np.tanh(2 * rows @ weights)


def embedding(rows: Rows) -> Rows:
    """64 random rectified units, divided by the length: as networks end."""
    weights = np.random.default_rng(2).standard_normal((rows.shape[1], 64))
    units = np.maximum(rows @ weights, 0) + 0.1
    return units / np.linalg.norm(units, axis=1, keepdims=True)


def wide(rows: Rows) -> Rows:
    """256 dimensions."""
    return np.hstack([rows, np.cos(rows @ np.random.default_rng(3).standard_normal((rows.shape[1], 246)))])


KINDS: dict[str, Backbone] = {"linear": linear, "saturating": layer, "unit length": embedding, "256 wide": wide}


def plain(random: np.random.Generator, n: int) -> Rows:
    return random.standard_normal((n, 2 * HALF))


def heavy(random: np.random.Generator, n: int) -> Rows:
    """Student's t with 3 degrees of freedom in each half."""
    scales = np.sqrt(random.chisquare(3, (n, 2)) / 3).repeat(HALF, axis=1)
    return plain(random, n) / scales


def clusters(random: np.random.Generator, n: int) -> Rows:
    """Each half in one of five clusters."""
    centres = 2.5 * np.random.default_rng(4).standard_normal((5, HALF))
    return np.hstack([centres[random.integers(0, 5, n)] for _ in (0, 1)]) + 0.7 * plain(random, n)


REFERENCES = {"normal": plain, "heavy tails": heavy, "clusters": clusters}


def fault(rows: Rows, half: int, kind: str, size: float, random: np.random.Generator) -> Rows:
    """The rows with a fault in one half."""
    own = rows.copy()
    part = own[:, half * HALF : (half + 1) * HALF]
    if kind == "shift":
        part[:, 0] += size
    elif kind == "scale":
        part *= size
    elif kind == "blur":  # a share of rows lies near zero
        part[random.random(len(rows)) < size] *= 0.2
    elif kind == "copies":  # a share of rows repeats twenty kinds
        chosen = random.random(len(rows)) < size
        kinds = 1.2 * np.random.default_rng(5).standard_normal((20, HALF))
        part[chosen] = kinds[random.integers(0, 20, int(chosen.sum()))] + 0.05 * part[chosen]
    return own


@dataclass(frozen=True)
class Case:
    """A reference, what backbones do, and models that have a fault of one kind in one half each."""

    kind: str
    size: float = 0.0
    halves: tuple[int, ...] = (0, 1)
    backbone: str = "linear"
    reference: str = "normal"
    paired: bool = False
    far: int = 0  # further models, twice as faulty in both halves

    @property
    def name(self) -> str:
        what = f"{self.kind} {self.size:g} in either half" if self.kind != "none" else "all equal"
        far = f", {self.far} further one{'s' if self.far > 1 else ''}" if self.far else ""
        return f"{what}, {self.reference}, {self.backbone}{far}{', paired' if self.paired else ''}"

    def draw(self, random: np.random.Generator, n: int) -> tuple[Rows, list[Rows]]:
        make = REFERENCES[self.reference]
        common = make(random, n) if self.paired else None
        models = []
        for half in self.halves:
            rows = make(random, n)
            if common is not None:
                rows = SHARED * common + math.sqrt(1 - SHARED**2) * rows
            models.append(fault(rows, half, self.kind, self.size, random))
        for _ in range(self.far):
            models.append(fault(fault(make(random, n), 0, "shift", 1.0, random), 1, "shift", 1.0, random))
        return make(random, n), models

    def views(self, rows: Rows) -> list[Rows]:
        first, second = rows[:, :HALF], rows[:, HALF:]
        see = KINDS[self.backbone]
        return [see(np.hstack([first, second[:, :SEEN]])), see(np.hstack([second, first[:, :SEEN]]))]
