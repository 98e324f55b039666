"""The tables of docs/which-test.md from the results of power.py."""

from collections.abc import Sequence
from typing import NamedTuple

from markdown_tables import table
from power_data import FAULTS

Found = dict


class Kind(NamedTuple):
    """A table: the lines it is made of, the columns as they are, the shares, None for all that are there."""

    kind: str
    names: tuple[str, ...]
    shares: tuple[str, ...] | None = None


TABLES = (
    Kind(
        "power",
        ("data", "fault", "draws"),
        ("joint", "median width", "MMD at all widths", "MMDAgg", "MMD-FUSE", "energy distance", "Frechet distance"),
    ),
    Kind(
        "power",
        ("data", "fault"),
        ("joint", "contrasts alone", "joint, Gaussian kernels", "joint, by 99 % points", "sum of kernels"),
    ),
    Kind("backbones", ("data", "fault")),
    Kind("level", ("data", "draws"), ("at 5%", "at 1%")),
    Kind("cost", ("rows", "backbones", "dim", "processor seconds"), ()),
)
NAMES = [name for name, *_ in FAULTS]
_LEFT_OUT = ("kind", "n", "draws")


def markdown(results: Sequence[Found]) -> str:
    """One table after the other; shares in per cent."""
    lines: list[str] = []
    for kind, names, chosen in TABLES:
        rows = sorted((found for found in results if found["kind"] == kind), key=_place)
        if not rows:
            continue
        shares = [name for name in rows[0] if name not in (*names, *_LEFT_OUT)] if chosen is None else chosen
        cells = [[*(str(own[name]) for name in names), *(_share(own[name]) for name in shares)] for own in rows]
        lines += [*table([*names, *shares], cells), ""]
    return "\n".join(lines)


def _place(found: Found) -> tuple:
    """Lines of one data set together, faults in their order."""
    fault = NAMES.index(found["fault"]) if "fault" in found else 0
    return found["kind"], str(found.get("data", "")), fault, found.get("rows", 0), found.get("backbones", 0)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"
