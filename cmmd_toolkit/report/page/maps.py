"""Maps of sets: the pictures as points on a plane, drawn in turns so that no set hides another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...common.text import printable
from ..exhibit import Map, ShownSet
from .thumbnails import COLUMNS, TILE

WIDTH, HEIGHT, EDGE = 600, 440, 14
_LAYERS = 12
_RADIUS = 3.2


@dataclass(frozen=True)
class Layer:
    """Some points of one set as one path."""

    place: int
    path: str


@dataclass(frozen=True)
class DrawnMap:
    """What the template draws, and `data` for the script: sets, and for each point x, y, set, tile and name."""

    backbone: str
    shares: tuple[str, str]
    counts: Sequence[tuple[str, int]]
    layers: Sequence[Layer]
    data: Any

    @property
    def marks(self) -> Sequence[str]:
        """For the legend: the mark of each set, around the origin."""
        return [_path(np.zeros((1, 2)), place) for place in range(len(self.counts))]


def drawn_map(own: Map, sets: Sequence[ShownSet], has_tiles: Sequence[bool]) -> DrawnMap:
    """Lay the points out; one scale for both axes, so that distances are what they are."""
    points = _placed(own.points)
    layers = [
        Layer(place, _path(points[place][k::_LAYERS], place)) for k in range(_LAYERS) for place in range(len(points))
    ]
    data = {
        "tile": TILE,
        "columns": COLUMNS,
        "sets": [
            {
                "name": printable(shown.short),
                "tiles": tiles,
                "points": [[*place, printable(name)] for place, name in zip(xy.tolist(), shown.names, strict=True)],
            }
            for shown, xy, tiles in zip(sets, points, has_tiles, strict=True)
        ],
    }
    shares = (f"{own.shares[0]:.0%}", f"{own.shares[1]:.0%}")
    counts = [(shown.short, len(shown.rows)) for shown in sets]
    return DrawnMap(own.backbone, shares, counts, [layer for layer in layers if layer.path], data)


def _placed(points: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    reach = np.maximum(high - low, 1e-12)
    scale = min((WIDTH - 2 * EDGE) / reach[0], (HEIGHT - 2 * EDGE) / reach[1])
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    return [np.round(middle + (own - (low + high) / 2) * scale * [1, -1], 1) for own in points]


def _path(points: NDArray[np.float64], place: int) -> str:
    """A circle for the reference, and for generated sets in turn a disc, a square, a triangle, a diamond."""
    return "".join(f"M{x:g} {y:g}{_SHAPES[place and 1 + (place - 1) % 4]}" for x, y in points.tolist())


def _shapes() -> tuple[str, ...]:
    r, d = _RADIUS, 2 * _RADIUS
    disc = f"m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z"
    square, triangle = f"m-{r} -{r}h{d}v{d}h-{d}z", f"m0 -{d * 0.6:g}l{r * 1.1:g} {d * 0.95:g}h-{2.2 * r:g}z"
    diamond = f"m0 -{r * 1.3:g}l{r * 1.2:g} {r * 1.3:g}l-{r * 1.2:g} {r * 1.3:g}l-{r * 1.2:g} -{r * 1.3:g}z"
    return disc, disc, square, triangle, diamond


_SHAPES = _shapes()
