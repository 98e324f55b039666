"""The tables of docs/which-test.md from the results of power.py."""

from collections.abc import Iterable, Sequence

Found = dict
TITLES = {
    "power": ("data", "fault"),
    "backbones": ("data", "fault"),
    "level": ("data",),
    "cost": ("rows", "backbones", "dim", "seconds", "processor seconds"),
}
_LEFT_OUT = ("kind", "n", "draws")


def markdown(results: Sequence[Found]) -> str:
    """One table a kind; shares in per cent."""
    lines: list[str] = []
    for kind, names in TITLES.items():
        rows = [found for found in results if found["kind"] == kind]
        if not rows:
            continue
        shares = [name for name in rows[0] if name not in (*names, *_LEFT_OUT)]
        lines += [_row([*names, *shares]), _row(["---"] * (len(names) + len(shares)))]
        lines += [_row([*(str(own[name]) for name in names), *(_share(own[name]) for name in shares)]) for own in rows]
        lines.append("")
    return "\n".join(lines)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
