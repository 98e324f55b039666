"""Make the pictures of the bundled models, of their study and of attention: from checkpoints and committed results.

    python docs/model_pictures.py [NAME ...] [--out FOLDER]

NAME is one of docs/images without .png; all of them by default, five minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from dit_generators import DiTConfig, SampleSettings, load_checkpoint, sample
from dit_generators.bench.chart import draw_bench
from dit_generators.bench.measure import Measurement
from dit_generators.bench.settings import BenchSettings
from dit_generators.common.sheet import Headings, contact_sheet, save_image
from dit_generators.study.page import draw_scores

DOCS = Path(__file__).parent
SWEEP = ("--guidance-scale", "0,1,4,10", "--steps", "50,250,500")


def landscapes(out: Path) -> None:
    """32 samples of each model from the same seeds, the setting of the study."""
    settings = SampleSettings(steps="50")
    pictures = [picture for kind in ("full", "swa") for picture in drawn(f"landscapes-{kind}", settings, 32)]
    save_image(contact_sheet(pictures, 16, Headings(rows=("full", "full", "swa", "swa"))), out)


def digits_swa(out: Path) -> None:
    """Five samples a class."""
    settings = SampleSettings(steps="100", labels=tuple(range(10)))
    save_image(contact_sheet(drawn("digits-swa", settings, 50), 10), out)


def drawn(checkpoint: str, settings: SampleSettings, num: int) -> Sequence:
    return list(sample(load_checkpoint(checkpoint), settings, range(num)))


def sweep_digits(out: Path) -> None:
    sweep(out, "digits-full", "--attention", "full,swa")


def study_sweep_full(out: Path) -> None:
    sweep(out, "landscapes-full", "--guidance-by", "window", "--guidance-window", "3")


def study_sweep_swa(out: Path) -> None:
    """Its window is 3 x 3, so the weak model sees one token."""
    sweep(out, "landscapes-swa", "--guidance-by", "window", "--guidance-window", "1")


def sweep(out: Path, checkpoint: str, *options: str) -> None:
    """The sheet of `dit-gen sweep`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dit_generators", "sweep", "--checkpoint", checkpoint, *SWEEP, *options]
        subprocess.run([*command, "--out", folder], check=True)
        out.write_bytes(Path(folder, "sweep.png").read_bytes())


def study_scores(out: Path) -> None:
    """The figure of the study, from its scores."""
    results = json.loads((DOCS / "study_results.json").read_text())
    draw_scores(results["scores"], results["few"], out)


def bench_xl4_cpu(out: Path) -> None:
    """The chart of `dit-gen bench`, from the numbers of docs/attention.md."""
    measured = json.loads((DOCS / "attention_levels.json").read_text())
    cells = measured["results"]
    results = [Measurement(**{name: cell[name] for name in Measurement.__annotations__}) for cell in cells]
    kinds, batches = (tuple(dict.fromkeys(cell[name] for cell in cells)) for name in ("attention", "batch_size"))
    config, levels = DiTConfig(**measured["config"]), ("operation", "block")
    settings = BenchSettings(measured["model"], config, kinds, batches, levels, torch.device("cpu"))
    draw_bench(settings, results, out, measured["device"])


PICTURES: tuple[Callable[[Path], None], ...] = (
    landscapes,
    digits_swa,
    sweep_digits,
    study_sweep_full,
    study_sweep_swa,
    study_scores,
    bench_xl4_cpu,
)


def main() -> None:
    names = [make.__name__ for make in PICTURES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=DOCS / "images")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(names)):
        parser.error(f"no picture {unknown[0]}; there are {', '.join(names)}")
    for make in PICTURES:
        if not given.names or make.__name__ in given.names:
            make(given.out / f"{make.__name__}.png")


if __name__ == "__main__":
    main()
