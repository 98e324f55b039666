"""Figures at column width: dots with their intervals, curves, nothing else.

3.3 inches wide, no text below 7 points, the colours of Okabe and Ito and a mark for each set, so that it reads in grey
and to the colour-blind. The same panels give the same bytes.
"""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...common.files import atomic_path
from ...common.outputs import figure_kind
from ...common.text import number_text, printable, shortened
from ...errors import ArgumentError
from .panel import Curves, Dots, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 3.3  # inches: a column of most papers
SMALLEST = 7.0  # points
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINE, _AROUND = 0.17, 0.62  # inches: a line of dots; title, ticks and axis label of a panel
_CURVES_HEIGHT = 2.1
_LONGEST_NAME, _LONGEST_TITLE = 26, 36
_LEAST_GAP = 0.14  # between ticks, of the length of an axis
_NOTHING = "nothing to draw: no score in this result"
_FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Arial Unicode MS", "Microsoft YaHei")
_STYLE: dict[str, Any] = {
    "font.size": SMALLEST,
    "axes.titlesize": SMALLEST + 1,
    "axes.labelsize": SMALLEST,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # TrueType: some venues refuse Type 3
    "svg.hashsalt": "cmmd-toolkit",
}
_NO_DATE = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def draw(panels: Sequence[Panel]) -> "Figure":
    """A figure with the panels below each other. Raises ArgumentError for none."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not panels:
        raise ArgumentError(_NOTHING)
    heights = [_height(panel) for panel in panels]
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_style()}):
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        for place, panel in enumerate(panels):
            axes = figure.add_subplot(grid[place])
            if isinstance(panel, Dots):
                _draw_dots(axes, panel)
            else:
                _draw_curves(axes, panel)
            (title,) = shortened([printable(panel.title)], _LONGEST_TITLE)
            axes.set_title(title, loc="left", parse_math=False)
        figure.canvas.draw()  # lays out once, in this style
        figure.set_layout_engine("none")
    return figure


def save_figure(figure: "Figure", target: Path) -> None:
    """Write a figure atomically in the format of its name. Raises ArgumentError for another; InputError."""
    kind = figure_kind(target)
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        _write(figure, stream, kind)


def svg_text(figure: "Figure") -> str:
    """The figure as the text of an SVG."""
    stream = io.BytesIO()
    _write(figure, stream, "svg")
    return stream.getvalue().decode()


def _write(figure: "Figure", stream: IO[bytes], kind: str) -> None:
    """The same bytes for the same figure: no date, no random names."""
    import matplotlib

    with matplotlib.rc_context(_style()):
        figure.savefig(stream, format=kind, dpi=300, metadata=_NO_DATE[kind])


def _style() -> dict[str, Any]:
    """The style with those fonts that are there: a name may hold letters of any script."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return {**_STYLE, "font.family": [name for name in _FONTS if name in there] or ["sans-serif"]}


def _height(panel: Panel) -> float:
    return _CURVES_HEIGHT if isinstance(panel, Curves) else _LINE * len(panel.points) + _AROUND


def _look(series: int) -> tuple[str, str]:
    return _COLOURS[series % len(_COLOURS)], _MARKS[series % len(_MARKS)]


def _draw_dots(axes: Any, panel: Dots) -> None:
    for place, point in enumerate(panel.points):
        colour, mark = _look(place if point.series is None else point.series)
        if point.interval is not None:
            low, high = point.interval
            axes.plot([low, high], [place, place], "-", color=colour, linewidth=1)
            axes.plot([low, high], [place, place], "|", color=colour, markersize=5)
        inside = "white" if point.is_open else colour
        axes.plot([point.value], [place], mark, color=colour, markersize=3.6, markerfacecolor=inside)
    axes.set_ylim(len(panel.points) - 0.4, -0.6)
    labels = shortened([printable(point.label) for point in panel.points], _LONGEST_NAME)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_xlabel(printable(panel.axis), loc="right", parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)


def _draw_curves(axes: Any, panel: Curves) -> None:
    for place, curve in enumerate(panel.curves):
        colour, mark = _look(place)
        x, y = zip(*curve.points, strict=True)
        axes.plot(x, y, "-", marker=mark, color=colour, markersize=3.6, linewidth=1, label=curve.label)
    axes.set(xscale="log", yscale="log")
    every = [point for curve in panel.curves for point in curve.points]
    _set_ticks(axes.xaxis, [x for x, _ in every], lambda x: number_text(x, significant=2))
    _set_ticks(axes.yaxis, [y for _, y in every], lambda y: f"{y:,.0f}")
    axes.set_xlabel(printable(panel.x_axis), parse_math=False)
    axes.set_ylabel(printable(panel.y_axis), parse_math=False)
    axes.grid(alpha=0.25, linewidth=0.5)
    if len(panel.curves) > 1:
        axes.legend(frameon=False)


def _set_ticks(axis: Any, values: Sequence[float], text: Callable[[float], str]) -> None:
    """Ticks of a logarithmic axis at the values themselves, as many as fit, written out: powers would be too small."""
    ordered = sorted(set(values))
    gap = _LEAST_GAP * math.log(ordered[-1] / ordered[0])
    kept = ordered[:1]
    for value in ordered[1:]:
        if math.log(value / kept[-1]) >= gap:
            kept.append(value)
    axis.set_ticks(kept, [text(value) for value in kept])
    axis.set_ticks([], minor=True)
