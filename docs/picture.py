"""Make the picture of a run that opens the README: `cmmd compare` for real, its terminal output as an SVG.

python docs/picture.py REFERENCE GENERATED...
"""

import argparse
import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cmmd_toolkit import compare
from cmmd_toolkit.common.progress import show_progress
from cmmd_toolkit.report.terminal import print_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("generated", nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "compare.svg")
    given = parser.parse_args()
    report = compare(given.reference, given.generated, backbone="mini", progress=show_progress)
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True, highlight=False)
    sets = " ".join([given.reference, *given.generated])
    console.print(Text(f"$ cmmd compare {sets} --backbone mini", style="bold"))
    print_report(report, console)
    given.out.write_text(console.export_svg(title="cmmd compare"), encoding="utf-8")


if __name__ == "__main__":
    main()
