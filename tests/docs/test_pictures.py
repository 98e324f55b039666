"""The pictures of the documentation: each has its command; samples of models and the scores come out again.

Sweeps are not drawn again.
"""

import re
import runpy
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from documents import ROOT
from numpy.typing import NDArray
from PIL import Image

IMAGES = ROOT / "docs" / "images"
SCRIPT = ROOT / "docs" / "model_pictures.py"


def drawn_and_kept(name: str, folder: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The pixels that come out now, and those of the documentation."""
    subprocess.run([sys.executable, SCRIPT, name, "--out", folder], check=True, cwd=ROOT)
    return pixels_of(folder / f"{name}.png"), pixels_of(IMAGES / f"{name}.png")


def pixels_of(path: Path) -> NDArray[np.int16]:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"), np.int16)


def test_every_picture_has_its_command() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("| pictures | command |")[1].split("\n\n")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| `")]
    named = [(name, command) for names, command in rows for name in re.findall(r"`([^`]+)`", names)]
    for path in IMAGES.iterdir():
        assert sum(fnmatch(path.name, name) for name, _ in named) == 1, path.name
    own = {f"{make.__name__}.png" for make in runpy.run_path(str(SCRIPT))["PICTURES"]}
    asked = [name for name, command in named if "model_pictures.py" in command]
    assert {path.name for path in IMAGES.iterdir() if any(fnmatch(path.name, name) for name in asked)} == own


@pytest.mark.parametrize("name", ["study_scores", "bench_xl4_cpu"])
def test_figures_are_drawn_from_their_numbers(name: str, tmp_path: Path) -> None:
    """To two levels on average, since another matplotlib sets letters otherwise; both models swapped are at five."""
    one, two = drawn_and_kept(name, tmp_path)
    assert one.shape == two.shape
    assert np.abs(one - two).mean() < 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["landscapes", "digits_swa"])
def test_the_samples_of_the_bundled_models_come_out_again(name: str, tmp_path: Path) -> None:
    """To a level on average: another processor rounds otherwise."""
    one, two = drawn_and_kept(name, tmp_path)
    assert one.shape == two.shape
    assert np.abs(one - two).mean() < 1
