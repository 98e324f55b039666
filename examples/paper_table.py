r"""A paper's table and figure: several models, two networks, mean and error, bold only where a test says so.

    python examples/paper_table.py REAL MODEL MODEL ... --out FOLDER

Writes scores.tex (\input it; needs booktabs) and scores.pdf, and scores.json, from which both can be made again without
the pictures. Prints a sentence for the paper's text.
"""

import argparse
from pathlib import Path

from cmmd_toolkit import Report, compare, rank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--backbone", nargs="+", default=["clip", "dinov2"])
    parser.add_argument("--out", type=Path, default=Path())
    given = parser.parse_args()

    given.out.mkdir(parents=True, exist_ok=True)
    saved = given.out / "scores.json"
    compare(given.real, given.models, backbone=given.backbone, metric=["mmd", "fd"]).save(saved)

    report = Report.load(saved)  # as on another day
    (given.out / "scores.tex").write_text(report.to_latex(), encoding="utf-8")
    report.plot(given.out / "scores.pdf", metric="mmd")

    ranking = rank(given.real, given.models, backbone=given.backbone)  # the features are in the store by now
    for verdict in ranking.verdicts:
        print(f"On {verdict.backbone}: {verdict.text}")
    for warning in report.warnings:
        print(f"check before you print: {warning}")


if __name__ == "__main__":
    main()
