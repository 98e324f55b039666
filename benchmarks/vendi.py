"""How the Vendi score and its truncated form change with the number of pictures: the table of docs/metrics.md.

cmmd embed CIFAR10.zip --backbone mini --out cifar10.safetensors
python benchmarks/vendi.py cifar10.safetensors

Means over random draws of n pictures, each without replacement.
"""

import argparse
from pathlib import Path

import numpy as np

from cmmd_toolkit import Features, vendi_score

TRUNCATIONS = (None, 32, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400, 800, 1600, 8000])
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    rows = Features.load(given.features).values
    random = np.random.default_rng(0)
    print("| n | `vendi` | t = 32 | t = 16 | standard deviations |\n|---|---|---|---|---|")
    for n in given.sizes:
        draws = [rows[random.choice(len(rows), n, replace=False)] for _ in range(given.draws)]
        scores = np.array([[vendi_score(generated=x, truncation=t).value for t in TRUNCATIONS] for x in draws])
        spread = ", ".join(f"{value:.2f}" for value in scores.std(axis=0, ddof=1))
        print(f"| {n:,} | " + " | ".join(f"{value:.2f}" for value in scores.mean(axis=0)) + f" | {spread} |")


if __name__ == "__main__":
    main()
