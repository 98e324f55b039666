"""Pairs of sets with a known fault, for power.py: features of generated pictures beside those of real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmmd_toolkit import Features

Rows = np.ndarray
Pair = tuple[Rows, Rows]
NOISE = 0.3  # of the standard deviation of each dimension


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows with classes, from which sets are drawn without replacement; None draws from ten Gaussian classes anew."""

    name: str
    rows: Rows | None = None
    classes: Rows | None = None
    unit: bool = False  # rows of length one, as compare takes them

    def draw(self, random: np.random.Generator, n: int, m: int, leave_out: int | None = None) -> tuple[Rows, ...]:
        """Rows of the reference, of the generated set, and the class means of the latter; it may lack one class."""
        if self.rows is None:
            means = 0.7 * np.random.default_rng(5).standard_normal((10, 32))
            kinds = [random.integers(0, 10, n), random.integers(0, 10 if leave_out is None else 9, m)]
            x, y = (means[own] + random.standard_normal((len(own), 32)) for own in kinds)
            return x, y, means[kinds[1]]
        order = random.permutation(len(self.rows))
        first, rest = order[:n], order[n:]
        rest = rest[self.classes[rest] != leave_out] if leave_out is not None else rest
        chosen = rest[:m]
        return self.rows[first].copy(), self.rows[chosen].copy(), self.class_means[self.classes[chosen]]

    @property
    def class_means(self) -> Rows:
        return np.stack([self.rows[self.classes == own].mean(axis=0) for own in range(10)])

    def moments(self) -> Pair:
        """Mean and covariance of everything."""
        rows = self.rows if self.rows is not None else self.draw(np.random.default_rng(0), 2, 200_000)[1]
        return rows.mean(axis=0), np.cov(rows.T)


def pools(embeddings: Path | None) -> list[Pool]:
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    found = [Pool("ten Gaussian classes, d = 32"), Pool("digits, 64 pixels", digits, labels)]
    if embeddings is not None:
        features = Features.load(embeddings)
        names = [name.split("/")[-2] for name in features.names]
        rows = features.values.astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        found.append(Pool("mini features, d = 256", rows, np.unique(names, return_inverse=True)[1], unit=True))
    return found


# ---- faults: (pool, random, n) to a pair of sets -----------------------------------------------------


def equal(pool: Pool, random: np.random.Generator, n: int) -> Pair:
    return pool.draw(random, n, n)[:2]


def mean_shift(pool: Pool, random: np.random.Generator, n: int, by: float) -> Pair:
    """Every dimension moves by so many of its standard deviations, up or down."""
    x, y, _ = pool.draw(random, n, n)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], x.shape[1])
    return x, y + by * signs * pool_spread(pool)


def class_missing(pool: Pool, random: np.random.Generator, n: int) -> Pair:
    return pool.draw(random, n, n, leave_out=9)[:2]


def correlation(pool: Pool, random: np.random.Generator, n: int, by: float) -> Pair:
    """The spread of each dimension is right, but each takes a part of what belongs to its neighbour."""
    x, y, _ = pool.draw(random, n, n)
    mean, spread = y.mean(axis=0), np.maximum(pool_spread(pool), 1e-9)
    scaled = (y - mean) / spread
    mixed = scaled + by * np.roll(scaled, 1, axis=1)
    return x, mean + spread * mixed / np.maximum(mixed.std(axis=0), 1e-9) * scaled.std(axis=0)


def collapse(pool: Pool, random: np.random.Generator, n: int, by: float) -> Pair:
    """Within each class, rows lie so much closer to the mean of the class."""
    x, y, centres = pool.draw(random, n, n)
    return x, centres + (1 - by) * (y - centres)


def matched_gaussian(pool: Pool, random: np.random.Generator, n: int) -> Pair:
    """Mean and covariance are right, and nothing else."""
    mean, cov = pool.moments()
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return pool.draw(random, n, 2)[0], mean + random.standard_normal((n, len(mean))) @ root.T


def few_originals(pool: Pool, random: np.random.Generator, n: int, share: float) -> Pair:
    """Copies of few pictures, with noise."""
    x, y, _ = pool.draw(random, n, max(2, round(share * n)))
    return x, _noisy(pool, random, y[random.integers(0, len(y), n)])


def reference_copies(pool: Pool, random: np.random.Generator, n: int) -> Pair:
    """Every reference picture once, with noise: no independent draw."""
    x, *_ = pool.draw(random, n, 2)
    return x, _noisy(pool, random, x)


def _noisy(pool: Pool, random: np.random.Generator, rows: Rows) -> Rows:
    return rows + NOISE * pool_spread(pool) * random.standard_normal(rows.shape)


def pool_spread(pool: Pool) -> Rows:
    """Standard deviation of each dimension."""
    return np.ones(32) * np.sqrt(1.49) if pool.rows is None else pool.rows.std(axis=0)


Fault = tuple[str, Callable[..., Pair], tuple]
FAULTS: tuple[Fault, ...] = (
    ("none", equal, ()),
    ("mean shift", mean_shift, (0.12,)),
    ("class missing", class_missing, ()),
    ("correlation", correlation, (0.3,)),
    ("within-class collapse", collapse, (0.08,)),
    ("matched Gaussian", matched_gaussian, ()),
    ("few originals plus noise", few_originals, (0.7,)),
    ("copies of the reference plus noise", reference_copies, ()),
)


def pair_of(pool: Pool, fault: Fault, seed: int, n: int) -> Pair:
    """The sets of one draw."""
    _, make, arguments = fault
    pair = make(pool, np.random.default_rng([seed, n]), n, *arguments)
    return tuple(rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in pair) if pool.unit else pair
