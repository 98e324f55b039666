"""The kinds of runs that watching.py simulates: how the reference and the samples of each look are drawn."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from calibration_data import faults
from scipy.optimize import brentq

Rows = np.ndarray
Draw = Callable[[np.random.Generator, int, int, dict], Rows]  # look (from 0), rows, what a run keeps -> samples


@dataclass(frozen=True)
class Case:
    """A kind of run: how the reference and the samples of a look are drawn; `falls` is the first worse look, from 1."""

    name: str
    draw: Draw
    rows: int = 50
    references: int = 150
    dim: int = 8
    looks: int = 100
    tails: float = 0.0  # degrees of freedom of Student's t; 0 is normal
    improves: bool = False
    falls: int = 0
    bandwidth: float | str = "median"
    pair: tuple[int, int] = (300, 100)  # rows and reference rows of two looks alone
    real: Callable[[np.random.Generator, int], Rows] | None = None  # what the reference is drawn from; None: noise

    def noise(self, random: np.random.Generator, rows: int) -> Rows:
        """Rows without a shift."""
        found = random.standard_normal((rows, self.dim))
        if self.tails:
            found /= np.sqrt(random.chisquare(self.tails, (rows, 1)) / self.tails)
        return found


def nothing(*_: object) -> Rows:
    """For a case that only makes noise."""
    return np.empty(0)


def moved(noise: Rows, distance: float, axis: int = 0) -> Rows:
    """The rows, shifted along an axis."""
    noise[:, axis % noise.shape[1]] += distance
    return noise


def cases() -> Iterator[Case]:
    """Every line."""
    yield from _flat()
    yield from _unlike()
    yield from _falling()


def _flat() -> Iterator[Case]:
    def still(case: Case, distance: float) -> Draw:
        return lambda random, _look, rows, _kept: moved(case.noise(random, rows), distance)

    for name, distance, more in (
        ("flat, equal to the reference", 0.0, {}),
        ("flat, shifted by 0.5", 0.5, {"rows": 20}),
        ("flat, shifted by 1", 1.0, {"rows": 30, "references": 30}),
        ("flat, Student's t with 1 degree, shifted by 1", 1.0, {"tails": 1.0}),
    ):
        yield Case(name, still(Case("", nothing, **more), distance), **more)
    base = Case("", nothing)
    yield Case(
        "improves for 30 looks, then flat",
        lambda random, look, rows, _kept: moved(base.noise(random, rows), max(1.5 - 0.04 * look, 0.3)),
        improves=True,
    )


def _unlike() -> Iterator[Case]:
    """Looks that fail in different ways, equally far."""

    def turning(case: Case, distance: float, same_seeds: bool) -> Draw:
        def draw(random: np.random.Generator, look: int, rows: int, kept: dict) -> Rows:
            if same_seeds:
                kept.setdefault("noise", case.noise(random, rows))
                return moved(kept["noise"].copy(), distance, look)
            return moved(case.noise(random, rows), distance, look)

        return draw

    for name, distance, seeds, more in (
        ("shifted by 0.5, another direction at each look", 0.5, False, {}),
        ("shifted by 2, another direction at each look", 2.0, False, {}),
        ("shifted by 1, another direction at each look", 1.0, False, {"rows": 100, "references": 50}),
        ("shifted by 1, another direction at each look, the same seeds", 1.0, True, {}),
        ("Student's t with 1 degree, shifted by 2, another direction at each look", 2.0, False, {"tails": 1.0}),
    ):
        yield Case(name, turning(Case("", nothing, **more), distance, seeds), **more)
    yield Case("30 % in a far cluster of its own at each look", clusters, rows=100, references=40)
    for scale in (1.1, 1.4):
        own = faults(8, scale)
        yield Case(
            f"{scale:g} times too wide and shifted in turn",
            lambda random, look, rows, _kept, own=own: own.generated[look % 2].draw(random, rows),
            bandwidth=own.bandwidth,
        )


def clusters(random: np.random.Generator, look: int, rows: int, _kept: dict) -> Rows:
    """Normal rows of which some lie close together, far out on an axis."""
    found = random.standard_normal((rows, 8))
    far = random.random(rows) < 0.3
    found[far] *= 0.1
    found[far, look % 8] += 6
    return found


def rare(share: float = 0.01, spread: float = 0.3) -> Case:
    """Collapsed onto a kind that few pictures are of, and onto none, equally far: the reference may lack that kind."""
    width, places = 4.0, (14 * np.eye(8)[1], 14 * np.eye(8)[0])

    def alike(apart: Rows, variance: float) -> float:
        """The mean kernel between two normal sets so far apart, of so much variance together."""
        total = width**2 + variance
        return (width**2 / total) ** 4 * math.exp(-apart @ apart / (2 * total))

    def distance(place: Rows, variance: float) -> float:
        to_real = (1 - share) * alike(place, 1 + variance) + share * alike(place - places[1], variance + spread**2)
        return alike(np.zeros(8), 2 * variance) - 2 * to_real

    wider = brentq(lambda own: distance(places[0], own) - distance(places[1], spread**2), 1e-4, 9.0)
    spreads = (math.sqrt(wider), spread)

    def real(random: np.random.Generator, rows: int) -> Rows:
        found, few = random.standard_normal((rows, 8)), random.random(rows) < share
        found[few] = places[1] + spread * found[few]
        return found

    def draw(random: np.random.Generator, look: int, rows: int, _kept: dict) -> Rows:
        return places[look] + spreads[look] * random.standard_normal((rows, 8))

    name = "collapsed, onto a kind of 1 % and onto none; 3,000 rows, reference of 200"
    return Case(name, draw, bandwidth=width, pair=(3000, 200), real=real)


def _falling() -> Iterator[Case]:
    """Flat for ten looks, then worse at every look, or at once."""
    base = Case("", nothing, dim=16)
    for rows in (50, 200, 1000):
        more = {"rows": rows, "references": 1000, "dim": 16, "looks": 60, "falls": 11}
        yield Case(
            f"worsens: a shift of 0.3 grows by 0.05 a look, {rows} rows a look",
            lambda random, look, count, _kept: moved(base.noise(random, count), 0.3 + 0.05 * max(look - 9, 0)),
            **more,
        )
        yield Case(
            f"collapses: half of the spread is lost at once, {rows} rows a look",
            lambda random, look, count, _kept: moved(base.noise(random, count), 0.3) * (1.0 if look < 10 else 0.5),
            **more,
        )
