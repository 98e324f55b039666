"""The chart of a plan: pictures in each generated set for each difference, on a logarithmic axis."""

import math

from ...common.text import difference_text, large_text
from ..plan import Need, Size
from .charts import Chart, Mark, Row, chart

_SAME, _DIFFERENT = 1, 2  # colours
_END = 9  # of the axis, as a power of ten: what is larger is drawn here, and its text says so


def need_chart(need: Need) -> Chart | None:
    """A mark for each number that there is; None where there is none."""
    rows = [Row("", [mark]) for size in need.sizes for mark in _marks(need, size)]
    if not rows:
        return None
    return chart(
        f"{need.metric} on {need.backbone}: {need.about}", "pictures in each generated set", rows, decades=True
    )


def _marks(need: Need, size: Size) -> list[Mark]:
    numbers = [(_SAME, ", same way", size.alike), (_DIFFERENT, ", different ways", size.unlike)]
    if need.both:
        numbers = [(_SAME, "", size.alike)]
    name = difference_text(size.difference)
    return [
        Mark(place, f"{name}{how}", min(math.log10(n), _END), large_text(n))
        for place, how, n in numbers
        if n is not None
    ]
