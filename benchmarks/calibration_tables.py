"""The tables of docs/calibration.md from the results of calibration.py."""

from collections.abc import Callable, Sequence

from markdown_tables import table

Found = dict
Column = tuple[str, Callable[[Found], str]]


def share(name: str) -> Callable[[Found], str]:
    return lambda found: f"{100 * found[name]:.1f} %" if found.get(name) is not None else "-"


def plain(name: str) -> Callable[[Found], str]:
    return lambda found: str(found[name])


def ratio(found: Found) -> str:
    return f"{found['ratio']:.2f}" if "ratio" in found else "-"


def pictures(found: Found) -> str:
    return "-" if found["pictures"] is None else f"{found['pictures']:,.0f}"


TABLES: dict[str, tuple[str, Sequence[Column]]] = {
    "interval": (
        "Intervals of a distance",
        (
            ("data", plain("data")),
            ("metric", plain("metric")),
            ("n", plain("n")),
            ("coverage of 95 %", share("coverage")),
            ("standard error / spread", ratio),
            ("no interval", lambda found: f"{100 * found['refused'] / found['draws']:.1f} %"),
        ),
    ),
    "dependent": (
        "Sets that are not independent draws",
        (
            ("generated", plain("data")),
            ("metric", plain("metric")),
            ("n", plain("n")),
            ("a sentence instead of an interval", share("no interval")),
        ),
    ),
    "difference": (
        "Intervals of a difference",
        (
            ("data", plain("data")),
            ("metric", plain("metric")),
            ("n", plain("n")),
            ("coverage of 95 %", share("coverage")),
            ("standard error / spread", ratio),
        ),
    ),
    "null": (
        "Tests of a true null",
        (
            ("data", plain("data")),
            ("test", plain("test")),
            ("n", plain("n")),
            ("rejected at 5 %", share("at 5%")),
            ("at 1 %", share("at 1%")),
            ("interval of the difference covers 0", share("coverage")),
        ),
    ),
    "rank": (
        "Rankings of sets that are equally far",
        (
            ("data", plain("data")),
            ("sets", plain("sets")),
            ("metric", plain("metric")),
            ("n", plain("n")),
            ("any difference declared", share("any wrong")),
        ),
    ),
    "power": (
        "Differences found",
        (
            ("data", plain("data")),
            ("n", plain("n")),
            ("relative test", share("test")),
            ("the same with normal quantiles", share("normal")),
            ("oracle that knows the spread", share("oracle")),
            ("the two intervals do not overlap", share("apart")),
        ),
    ),
    "plan": (
        "What a plan for 80 % delivers",
        (
            ("data", plain("data")),
            ("pilot", plain("pilot")),
            ("assumed", plain("assumed")),
            ("pictures (median)", pictures),
            ("found", share("power")),
        ),
    ),
}


def markdown(results: Sequence[Found]) -> str:
    """One table a kind, in the order of TABLES."""
    lines: list[str] = []
    for kind, (title, columns) in TABLES.items():
        rows = [found for found in results if found["kind"] == kind]
        if rows:
            cells = ([cell(found) for _, cell in columns] for found in rows)
            lines += [f"**{title}**", "", *table([name for name, _ in columns], cells), ""]
    return "\n".join(lines)
