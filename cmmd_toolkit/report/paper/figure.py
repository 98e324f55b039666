"""Figures at column width: dots with their intervals, curves, nothing else.

3.3 inches wide, no text below 7 points, the colours of Okabe and Ito and a mark for each set, so that it reads in grey
and to the colour-blind. The same panels give the same bytes.
"""

import io
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...common.files import atomic_path
from ...common.outputs import figure_kind
from ...common.text import number_text, printable
from ...errors import ArgumentError
from .fitting import Width, fitted, wrapped
from .panel import Curves, Dots, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 3.3  # inches: a column of most papers
SMALLEST = 7.0  # points
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINE, _AROUND = 0.17, 0.62  # inches: a line of dots; title, ticks and axis label of a panel
_CURVES_HEIGHT = 2.1
_NAMES, _TITLE = 1.3, 1.75  # inches: the most that names beside an axis take, and a line of a title above it
_WIDE_TITLE = 2.45  # above curves
_TEXT_LINE, _NOTE_WIDTH = 0.14, 3.1  # inches: a further line of a title or of a note below all panels
_MOST_TICKS = 5
_TINY, _HUGE = 1e-6, 1e9  # a difference, pictures: beyond them numbers beside an axis have exponents
_X_GAP, _Y_GAP = 0.14, 0.09  # between ticks of curves, of the length of an axis
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


def draw(panels: Sequence[Panel], notes: Sequence[str] = ()) -> "Figure":
    """A figure with the panels below each other, then notes. Raises ArgumentError for no panel."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from .notebook_figure import NotebookFigure

    if not panels:
        raise ArgumentError(_NOTHING)
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_style()}):
        figure = NotebookFigure(figsize=(WIDTH, WIDTH), layout="constrained")
        FigureCanvasAgg(figure)
        titles = [_title(panel, _width_of(figure, SMALLEST + 1)) for panel in panels]
        below = [line for note in notes for line in wrapped(printable(note), _NOTE_WIDTH, _width_of(figure, SMALLEST))]
        heights = [_height(panel) + _TEXT_LINE * (len(title) - 1) for panel, title in zip(panels, titles, strict=True)]
        figure.set_size_inches(WIDTH, sum(heights) + _TEXT_LINE * len(below))
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        for place, (panel, title) in enumerate(zip(panels, titles, strict=True)):
            axes = figure.add_subplot(grid[place])
            if isinstance(panel, Dots):
                _draw_dots(axes, panel, _width_of(figure, SMALLEST))
            else:
                _draw_curves(axes, panel)
            axes.set_title("\n".join(title), loc="left", parse_math=False)
        if below:
            figure.supxlabel("\n".join(below), x=0.02, ha="left", fontsize=SMALLEST, parse_math=False)
        _lay_out(figure, panels)
    return figure


def _width_of(figure: "Figure", size: float) -> Width:
    """How wide a text is, in inches."""
    from matplotlib.font_manager import FontProperties

    renderer, font = figure.canvas.get_renderer(), FontProperties(size=size)  # type: ignore[attr-defined]
    return lambda text: float(renderer.get_text_width_height_descent(text, font, False)[0]) / figure.dpi


def _title(panel: Panel, width: Width) -> list[str]:
    return wrapped(printable(panel.title), _WIDE_TITLE if isinstance(panel, Curves) else _TITLE, width)


def _lay_out(figure: "Figure", panels: Sequence[Panel]) -> None:
    """Lay out once, in this style, with as many ticks as do not touch."""
    dots = [axes for axes, panel in zip(figure.axes, panels, strict=True) if isinstance(panel, Dots)]
    for most in range(_MOST_TICKS, 0, -1):
        figure.canvas.draw()
        crowded = [axes for axes in dots if _touch(axes)]
        if not crowded:
            break
        for axes in crowded:
            axes.locator_params(axis="x", nbins=max(most - 1, 1), min_n_ticks=2)
    figure.set_layout_engine("none")


def _touch(axes: Any) -> bool:
    """Whether two labels of ticks stand closer than half a letter."""
    low, high = sorted(axes.get_xlim())
    shown = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = sorted((box.x0, box.x1) for box in (label.get_window_extent() for label in shown) if box.width > 0)
    gap = SMALLEST / 144 * axes.figure.dpi
    return any(right[0] - left[1] < gap for left, right in pairwise(boxes))


def save_figure(figure: "Figure", target: Path) -> None:
    """Write a figure atomically in the format of its name. Raises ArgumentError for another; InputError."""
    kind = figure_kind(target)
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        _write(figure, stream, kind)


def svg_text(figure: "Figure") -> str:
    """The figure as the text of an SVG."""
    return picture_bytes(figure, "svg").decode()


def picture_bytes(figure: "Figure", kind: str) -> bytes:
    """The figure as the content of a file of that kind."""
    stream = io.BytesIO()
    _write(figure, stream, kind)
    return stream.getvalue()


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
    if isinstance(panel, Dots):
        return _LINE * len(panel.points) + _AROUND
    return _CURVES_HEIGHT + (_LINE * len(panel.curves) if len(panel.curves) > 1 else 0)


def _look(series: int) -> tuple[str, str]:
    return _COLOURS[series % len(_COLOURS)], _MARKS[series % len(_MARKS)]


def _draw_dots(axes: Any, panel: Dots, width: Width) -> None:
    for place, point in enumerate(panel.points):
        colour, mark = _look(place if point.series is None else point.series)
        if point.interval is not None:
            low, high = point.interval
            axes.plot([low, high], [place, place], "-", color=colour, linewidth=1)
            axes.plot([low, high], [place, place], "|", color=colour, markersize=5)
        inside = "white" if point.is_open else colour
        axes.plot([point.value], [place], mark, color=colour, markersize=3.6, markerfacecolor=inside)
    axes.set_ylim(len(panel.points) - 0.4, -0.6)
    most = _NAMES - max(width(point.after) for point in panel.points)
    names = fitted([printable(point.label) for point in panel.points], most, width)
    labels = [name + point.after for name, point in zip(names, panel.points, strict=True)]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_xlabel(printable(panel.axis), loc="right", parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=_MOST_TICKS)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)


def _draw_curves(axes: Any, panel: Curves) -> None:
    for place, curve in enumerate(panel.curves):
        colour, mark = _look(place)
        x, y = zip(*curve.points, strict=True) if curve.points else ((), ())
        style = "-" if place == 0 else "--"  # so that one line on the other leaves both to be seen
        size = 5.5 if place == 0 else 3
        axes.plot(x, y, style, marker=mark, color=colour, markersize=size, linewidth=1, label=curve.label)
    axes.set(xscale="log", yscale="log")
    every = [point for curve in panel.curves for point in curve.points]
    _set_ticks(axes.xaxis, [x for x, _ in every], _X_GAP, _difference_text)
    _set_ticks(axes.yaxis, [y for _, y in every], _Y_GAP, _count_text)
    axes.set_xlabel(printable(panel.x_axis), parse_math=False)
    axes.set_ylabel(printable(panel.y_axis), parse_math=False)
    axes.grid(alpha=0.25, linewidth=0.5)
    if len(panel.curves) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.02, -0.26), borderaxespad=0, borderpad=0.1)


def _difference_text(difference: float) -> str:
    """To two digits, a tiny one with an exponent."""
    return number_text(difference, significant=2) if difference >= _TINY else f"{difference:.2g}"


def _count_text(count: float) -> str:
    """A number of pictures beside an axis; a huge one takes no more room than others."""
    return f"{count:,.0f}" if count < _HUGE else f"{count:.1e}".replace("e+", "e")


def _set_ticks(axis: Any, values: Sequence[float], least: float, text: Callable[[float], str]) -> None:
    """Ticks of a logarithmic axis at the values themselves, as many as fit, written out: powers would be too small."""
    ordered = sorted(set(values))
    gap = least * math.log(ordered[-1] / ordered[0])
    kept = ordered[:1]
    for value in ordered[1:]:
        if math.log(value / kept[-1]) >= gap:
            kept.append(value)
    axis.set_ticks(kept, [text(value) for value in kept])
    axis.set_ticks([], minor=True)
