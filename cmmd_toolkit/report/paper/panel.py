"""What a figure is made of, before it is drawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A value with its interval, None for none.

    An open mark is for a number of another kind, which the axis explains; points of one `series` share colour and mark,
    None is one of its own. `after` stands behind the label and is never shortened.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    is_open: bool = False
    series: int | None = None
    after: str = ""


@dataclass(frozen=True)
class Dots:
    """Values side by side on one axis, a line each, the first on top."""

    title: str
    axis: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Curve:
    """One line through points of x and y; without points its label alone is shown."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curves:
    """Lines on two logarithmic axes."""

    title: str
    x_axis: str
    y_axis: str
    curves: tuple[Curve, ...]


Panel = Dots | Curves
