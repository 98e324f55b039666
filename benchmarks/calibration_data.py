"""Where the rows of the calibration come from: models whose distances to the reference are known."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from cmmd_toolkit import Features, GaussianStatistics, frechet_distance

Rows = np.ndarray
POOL = 1000  # pictures a class
SHARED = math.sqrt(0.9)  # of a row, by the row of the other model that is its pair


@dataclass(frozen=True)
class Normal:
    """N(mean, diag(scale^2)) in d dimensions, shifted by `shift` in dimension `along`; `df` > 0 for Student's t."""

    dim: int
    shift: float = 0.0
    along: int = 0
    scale: float = 1.0
    df: int = 0

    def draw(self, random: np.random.Generator, n: int, common: Rows | None = None) -> Rows:
        rows = random.standard_normal((n, self.dim))
        if common is not None:
            rows = SHARED * common + math.sqrt(1 - SHARED**2) * rows
        if self.df:
            rows /= np.sqrt(random.chisquare(self.df, (n, 1)) / self.df)
        rows = rows * self.scale
        rows[:, self.along] += self.shift
        return rows

    def common(self, random: np.random.Generator, n: int) -> Rows:
        """What the rows of two paired models share."""
        return random.standard_normal((n, self.dim))


def normal_mmd(first: Normal, second: Normal, bandwidth: float) -> float:
    """E exp(-|d|^2 / (2 s^2)) for d ~ N(m, v I) is (1 + v / s^2)^(-D / 2) exp(-|m|^2 / (2 (s^2 + v)))."""

    def mean(a: Normal, b: Normal) -> float:
        variance, apart = a.scale**2 + b.scale**2, np.zeros(a.dim)
        apart[a.along] += a.shift
        apart[b.along] -= b.shift
        factor = math.exp(-float(apart @ apart) / (2 * (bandwidth**2 + variance)))
        return factor * (1 + variance / bandwidth**2) ** (-a.dim / 2)

    return mean(first, first) + mean(second, second) - 2 * mean(first, second)


def normal_fd(first: Normal, second: Normal) -> float:
    """Of normal rows without correlation."""
    apart = np.zeros(first.dim)
    apart[first.along] += first.shift
    apart[second.along] -= second.shift
    return float(apart @ apart) + first.dim * (first.scale - second.scale) ** 2


@dataclass(frozen=True, eq=False)
class Mixture:
    """Real features drawn with replacement, class by class with the given weights."""

    pool: Rows
    weights: Rows

    def draw(self, random: np.random.Generator, n: int, common: Rows | None = None) -> Rows:
        which = self.common(random, n) if common is None else common
        classes = np.minimum(np.searchsorted(np.cumsum(self.weights) - 1e-12, which[:, 0]), len(self.weights) - 1)
        return self.pool[classes * POOL + (which[:, 1] * POOL).astype(int)]

    def common(self, random: np.random.Generator, n: int) -> Rows:
        return random.random((n, 2))

    def moments(self) -> GaussianStatistics:
        weights = np.repeat(self.weights / POOL, POOL)
        mean = weights @ self.pool
        centred = self.pool - mean
        return GaussianStatistics(mean, (centred * weights[:, None]).T @ centred)


Model = Normal | Mixture


@dataclass(frozen=True, eq=False)
class Case:
    """A reference and generated models, with what is true of them."""

    name: str
    reference: Model
    generated: tuple[Model, ...]
    bandwidth: float
    mmd: Callable[[Model, Model, float], float]
    fd: Callable[[Model, Model], float]

    def truth(self, metric: str, which: int = 0) -> float:
        model = self.generated[which]
        return self.mmd(self.reference, model, self.bandwidth) if metric == "mmd" else self.fd(self.reference, model)

    def draw(self, random: np.random.Generator, n: int, paired: bool = False) -> list[Rows]:
        """The reference's rows, then those of every model."""
        common = self.generated[0].common(random, n) if paired else None
        return [self.reference.draw(random, n), *(model.draw(random, n, common) for model in self.generated)]


def normal_case(name: str, reference: Normal, *generated: Normal) -> Case:
    bandwidth = math.sqrt(2 * reference.dim)
    return Case(f"{name}, d = {reference.dim}", reference, generated, bandwidth, normal_mmd, normal_fd)


def equal(dim: int, count: int = 2) -> Case:
    return normal_case("all equal", Normal(dim), *[Normal(dim)] * count)


def directions(dim: int, shift: float, count: int = 2) -> Case:
    """Equal distances by symmetry."""
    models = [Normal(dim, shift, along) for along in range(count)]
    return normal_case(f"shifted by {shift:g} in different directions", Normal(dim), *models)


def faults(dim: int, scale: float) -> Case:
    """One model too wide, the other shifted so far that its MMD is the same."""
    reference, wide, bandwidth = Normal(dim), Normal(dim, scale=scale), math.sqrt(2 * dim)
    target = normal_mmd(reference, wide, bandwidth)
    shift = brentq(lambda s: normal_mmd(reference, Normal(dim, s), bandwidth) - target, 0, 20)
    return normal_case(f"{scale:g} times too wide against a shift", reference, wide, Normal(dim, shift))


@cache
def classes(path: Path) -> Rows:
    """POOL features of every class folder of stored features, class after class."""
    features = Features.load(path)
    labels = np.array([name.split("/")[-2] for name in features.names])
    return np.concatenate([features.values[labels == label][:POOL] for label in np.unique(labels)]).astype(np.float64)


@cache
def class_kernel(path: Path, bandwidth: float) -> Rows:
    """Mean kernel between classes, a row with itself included: two draws may be one picture."""
    pool = classes(path)
    count = len(pool) // POOL
    means = np.empty((count, count))
    for i in range(count):
        rows = pool[i * POOL : (i + 1) * POOL]
        squared = np.square(rows).sum(axis=1)[:, None] + np.square(pool).sum(axis=1) - 2 * rows @ pool.T
        kernel = np.exp(-np.maximum(squared, 0) / (2 * bandwidth**2))
        means[i] = kernel.reshape(POOL, count, POOL).mean(axis=(0, 2))
    return means


def real_case(path: Path, name: str, *weights: Rows, bandwidth: float = 1.18) -> Case:
    """The first weights are the reference's; the bandwidth is about the median distance of rows of length one."""
    pool, kernel = classes(path), class_kernel(path, bandwidth)

    def mmd(a: Model, b: Model, _: float) -> float:
        assert isinstance(a, Mixture)
        assert isinstance(b, Mixture)
        return float((a.weights - b.weights) @ kernel @ (a.weights - b.weights))

    def fd(a: Model, b: Model) -> float:
        assert isinstance(a, Mixture)
        assert isinstance(b, Mixture)
        return frechet_distance(reference=a.moments(), generated=b.moments()).value

    reference, *models = (Mixture(pool, own) for own in weights)
    return Case(f"mini features, {name}", reference, tuple(models), bandwidth, mmd, fd)


def without(count: int, which: int, share: float = 1.0) -> Rows:
    """Equal weights, less a share of one class."""
    weights = np.ones(count)
    weights[which] -= share
    return weights / weights.sum()


def real_equal(path: Path, count: int = 2) -> Case:
    number = len(classes(path)) // POOL
    return real_case(path, "all equal", *[np.ones(number) / number] * (count + 1))


def real_halves(path: Path) -> Case:
    """The first half of the classes against the second."""
    number = len(classes(path)) // POOL
    first = np.repeat([2 / number, 0.0], number // 2)
    return real_case(path, "half of the classes against the others", first, first[::-1])


def missing(path: Path, one: int, other: int, bandwidth: float = 1.18) -> Case:
    """One class missing against another, the easier one in part, so that both have one MMD."""
    number = len(classes(path)) // POOL
    kernel, every = class_kernel(path, bandwidth), np.ones(number) / number

    def distance(which: int, share: float) -> float:
        apart = without(number, which, share) - every
        return float(apart @ kernel @ apart)

    easy, hard = sorted((one, other), key=lambda which: distance(which, 1.0), reverse=True)
    share = brentq(lambda s: distance(easy, s) - distance(hard, 1.0), 0, 1)
    return real_case(
        path, f"class {easy} or {hard} missing", every, without(number, easy, share), without(number, hard)
    )
