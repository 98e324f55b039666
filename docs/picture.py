"""Make the picture of a run that opens the README: `cmmd compare` for real, its terminal output as an SVG.

python docs/picture.py REFERENCE GENERATED... --weights inception-fid-768.safetensors
"""

import argparse
import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cmmd_toolkit import compare
from cmmd_toolkit.progress import show_progress
from cmmd_toolkit.report.terminal import print_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("generated", nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "compare.svg")
    given = parser.parse_args()
    report = compare(
        given.reference,
        given.generated,
        backbone="inception",
        dims=768,
        weights=given.weights,
        metric=["fd", "mmd"],
        progress=show_progress,
    )
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True, highlight=False)
    sets = " ".join([given.reference, *given.generated])
    weights = Path(given.weights).name
    command = f"cmmd compare {sets} --backbone inception --dims 768 --weights {weights} --metric fd --metric mmd"
    console.print(Text(f"$ {command}", style="bold"))
    print_report(report, console)
    given.out.write_text(console.export_svg(title="cmmd compare"), encoding="utf-8")


if __name__ == "__main__":
    main()
