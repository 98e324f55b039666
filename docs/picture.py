"""Make the pictures that open the README and the first page: a verdict, for real.

    python docs/picture.py PHOTOGRAPHS SNAPSHOT... [--chromium PATH]

As many photographs as a snapshot has pictures, at their size and as PNG like them, are the reference, so that nothing
but the pictures differs. docs/images/compare.svg is the terminal of `cmmd compare`, docs/images/verdict.png the top of
the page of `cmmd rank --html`, in a browser.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from cmmd_toolkit import compare
from cmmd_toolkit.common.progress import show_progress
from cmmd_toolkit.report.terminal import print_report

REFERENCE = "photographs"
WIDTH, HEIGHT = 1000, 940  # of the page's top, in pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("snapshots", type=Path, nargs="+")
    parser.add_argument("--chromium", help="Its program. [default: playwright's own]")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    given = parser.parse_args()
    out = given.out.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, given.photographs, given.snapshots)
        names = [REFERENCE, *(path.name for path in given.snapshots)]
        save_terminal(folder, names, out / "compare.svg")
        save_page(folder, names, out / "verdict.png", given.chromium)


def lay_out(folder: Path, photographs: Path, snapshots: list[Path]) -> None:
    """The sets by short names: photographs evenly over the folder, reduced, and the snapshots as they are."""
    for snapshot in snapshots:
        (folder / snapshot.name).symlink_to(snapshot.resolve())
    examples = sorted(snapshots[0].glob("*.png"))
    size = Image.open(examples[0]).size
    paths = sorted(photographs.glob("*.jpg"))
    (folder / REFERENCE).mkdir()
    for path in paths[:: len(paths) // len(examples)][: len(examples)]:
        reduced = Image.open(path).convert("RGB").resize(size, Image.Resampling.BOX)
        reduced.save(folder / REFERENCE / f"{path.stem}.png")


def save_terminal(folder: Path, names: list[str], out: Path) -> None:
    os.chdir(folder)  # so that the sets have short names
    report = compare(names[0], names[1:], backbone="mini", metric="mmd", progress=show_progress)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    sets = " ".join(f"{name}/" for name in names)
    console.print(Text(f"$ cmmd compare {sets} --backbone mini --metric mmd", style="bold"))
    print_report(report, console)
    drawn = re.sub(r"@font-face {.*?}", "", console.export_svg(title="cmmd compare"), flags=re.DOTALL)  # from a CDN
    out.write_text(drawn, encoding="utf-8")


def save_page(folder: Path, names: list[str], out: Path, chromium: str | None) -> None:
    from playwright.sync_api import sync_playwright

    page = folder / "page.html"
    command = [sys.executable, "-m", "cmmd_toolkit", "rank", *names, "--backbone", "mini", "--html", str(page)]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(page.as_uri())
        tab.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
