"""How reliable the modes of `explain` are, by simulation: coverage of their intervals, and what they find.

python benchmarks/modes.py [--draws 200] [--out docs/modes.json]
python benchmarks/modes.py --table docs/modes.json

The true shares of the clusters that a draw found are those of 5,000 fresh pictures of either model.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markdown_tables import percent_cells, table

from cmmd_toolkit.inference.modes import find_modes
from cmmd_toolkit.inference.shares import share_difference

Rows = np.ndarray
FRESH, KINDS = 5_000, 4


@dataclass(frozen=True)
class Model:
    """Clusters in `dim` dimensions with weights; `shift` moves every picture, `df` > 0 gives heavy tails."""

    weights: tuple[float, ...] = (1.0,) * 6
    dim: int = 16
    apart: float = 1.5
    shift: float = 0.0
    df: int = 0

    def draw(self, random: np.random.Generator, n: int) -> Rows:
        centres = self.apart * np.random.default_rng(6).standard_normal((len(self.weights), self.dim))
        chosen = random.choice(len(centres), n, p=np.array(self.weights) / sum(self.weights))
        noise = random.standard_normal((n, self.dim))
        if self.df:
            noise /= np.sqrt(random.chisquare(self.df, (n, 1)) / self.df)
        rows = centres[chosen] + noise
        rows[:, 0] += self.shift
        return rows


CASES = {
    "equal, six clusters": (Model(), Model()),
    "equal, one cluster": (Model(weights=(1.0,)), Model(weights=(1.0,))),
    "equal, six clusters, heavy tails": (Model(df=3), Model(df=3)),
    "equal, six clusters, 256 dimensions": (Model(dim=256, apart=0.5), Model(dim=256, apart=0.5)),
    "one of six clusters missing": (Model(), Model(weights=(0.0, *(1.0,) * 5))),
    "one of six clusters twice as frequent": (Model(), Model(weights=(2.0, *(1.0,) * 5))),
    "a seventh cluster of 5 %": (Model(weights=(*(1.0,) * 6, 0.0)), Model(weights=(*(1.0,) * 6, 0.3))),
    "one missing, clusters overlap": (Model(apart=0.6), Model(weights=(0.0, *(1.0,) * 5), apart=0.6)),
    "no clusters, shifted by 0.5": (Model(weights=(1.0,)), Model(weights=(1.0,), shift=0.5)),
}


def line(name: str, n: int, draws: int) -> dict[str, object]:
    """Over draws: whether all intervals cover, whether any says the wrong way, whether any difference is shown; and the
    same intervals on the pictures that found the modes."""
    reference, generated = CASES[name]
    held = wrong = shown = naive = naive_shown = done = 0
    for k in range(draws):
        random = np.random.default_rng([k, n, 41])
        x, y = reference.draw(random, n), generated.draw(random, n)
        found = find_modes(x, y, KINDS, k)
        if isinstance(found, str):
            continue
        done += 1
        fresh = np.random.default_rng([k, n, 43])
        true = found.shares(generated.draw(fresh, FRESH)) - found.shares(reference.draw(fresh, FRESH))
        if reference == generated:
            true = np.zeros(len(found.modes))
        ends = np.array([own.interval for own in found.modes])
        held += bool(((ends[:, 0] <= true) & (true <= ends[:, 1])).all())
        wrong += bool((((ends[:, 0] > 0) & (true <= 0)) | ((ends[:, 1] < 0) & (true >= 0))).any())
        shown += bool(((ends[:, 0] > 0) | (ends[:, 1] < 0)).any())
        sides = [found.shares(rows[own]) for rows, own in zip((x, y), found.found, strict=True)]
        sizes = [len(own) for own in found.found]
        same = [
            share_difference((round(p * sizes[0]), sizes[0]), (round(q * sizes[1]), sizes[1]), 1 - 0.05 / len(true))
            for p, q in zip(*sides, strict=True)
        ]
        naive += all(low <= t <= high for (low, high), t in zip(same, true, strict=True))
        naive_shown += any(low > 0 or high < 0 for low, high in same)
    return {"data": name, "n": n, "draws": done, "all cover": held / done, "wrong way": wrong / done,
            "any shown": shown / done, "same pictures: all cover": naive / done,
            "same pictures: any shown": naive_shown / done}  # fmt: skip


def markdown(results: list[dict[str, object]]) -> str:
    rows = [percent_cells(found.values()) for found in results]
    return "\n".join(table(list(results[0]), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", type=int, nargs="+", default=list(range(len(CASES))), help="numbers of cases, from 0")
    parser.add_argument("--n", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, metavar="RESULTS.json", help="print the table of an earlier run")
    options = parser.parse_args()
    if options.table:
        print(markdown(json.loads(options.table.read_text())))
        return
    results = []
    for n in options.n:
        for name in [list(CASES)[number] for number in options.only]:
            results.append(line(name, n, options.draws))
            print(results[-1], flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
