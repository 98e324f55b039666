"""What the pages of the documentation speak of: sets of pictures by name, and a cache with small published networks."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Any

from checkpoints import SAVERS, save_clip
from dit_models import save_kl, saved_model
from documents import ROOT
from pictures import smooth_picture
from PIL import ImageEnhance

from cmmd_toolkit.backbones.files import INCEPTION_NAME
from cmmd_toolkit.backbones.registry import SPECS
from dit_generators.weights.checkpoint import read_checkpoint, write_checkpoint

SETS = {"real": 1.0, "fake": 0.9, "a": 0.8, "b": 0.5, "c": 0.75, "other": 1.0, "pictures": 1.0}
SHARDS = 100
CLIP_336 = "openai/clip-vit-large-patch14-336"
LATENT: dict[str, Any] = {"num_classes": 1000, "in_channels": 4, "learn_sigma": True, "num_heads": 2}


def make_sets(folder: Path, count: int, text: str) -> None:
    """The sets that a page speaks of: folders of pictures in two classes, darker by set; two in other containers."""
    named = {name: value for name, value in SETS.items() if name in ("real", "fake") or f"{name}/" in text}
    for number, (name, brightness) in enumerate(named.items()):
        for i in range(4 * count if name == "pictures" else count):
            path = folder / name / ("cat", "dog")[i % 2] / f"{i:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            ImageEnhance.Brightness(smooth_picture(1000 * number + i, (32, 32))).enhance(brightness).save(path)
    if "looks/" in text:
        for look in range(2):
            shutil.copytree(folder / ("real", "fake")[look], folder / "looks" / f"step-{500 * (look + 1)}")
    real = sorted((folder / "real").rglob("*.png"))
    (folder / "real.txt").write_text("".join(f"{path.relative_to(folder)}\n" for path in real))
    _make_tar(folder / "fake.tar", sorted((folder / "fake").rglob("*.png")))


def make_shards(folder: Path) -> None:
    """WebDataset shards of one picture each."""
    (folder / "shards").mkdir()
    picture = folder / "shards" / "picture.png"
    for i in range(SHARDS):
        smooth_picture(i, (16, 16)).save(picture)
        _make_tar(folder / "shards" / f"train-{i:06d}.tar", [picture])
    picture.unlink()


def _make_tar(path: Path, pictures: list[Path]) -> None:
    with tarfile.open(path, "w") as archive:
        for picture in pictures:
            archive.add(picture, picture.name)


def make_hub_cache(cache: Path, scratch: Path) -> None:
    """Small networks of the real architectures where the hub's cache has the published ones."""
    for name, save in SAVERS.items():
        save(snapshot(cache, SPECS[name].default_model))
    save_clip(snapshot(cache, CLIP_336))
    folder = snapshot(cache, "facebook/DiT-XL-2-256")
    folder.rmdir()
    checkpoint = read_checkpoint(saved_model(scratch / "tiny.safetensors", **LATENT))
    write_checkpoint(checkpoint, folder, save_kl(scratch / "vae"))
    save_kl(snapshot(cache, "stabilityai/sd-vae-ft-ema"))


def snapshot(cache: Path, model: str) -> Path:
    """The folder of a model in a hub cache, as huggingface_hub lays it out."""
    root = cache / f"models--{model.replace('/', '--')}"
    folder = root / "snapshots" / ("0" * 40)
    if not folder.exists():
        folder.mkdir(parents=True)
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text(folder.name)
    return folder


def make_weights(folder: Path, caches: Path, text: str) -> None:
    """The same weights in folders and files that a reader has brought along; what a page downloads is not there yet."""
    for name, model in {"clip": SPECS["clip"].default_model, "clip-336": CLIP_336}.items():
        if f"--local-dir {name}/" not in text:
            (folder / name).symlink_to(snapshot(caches / "hub", model))
    (folder / INCEPTION_NAME).symlink_to(caches / "torch" / "hub" / "checkpoints" / INCEPTION_NAME)


def make_checkpoints(folder: Path) -> None:
    """DiTs by the names that the pages use."""
    saved_model(folder / "my.safetensors", num_classes=10)
    saved_model(folder / "DiT-XL-2-256x256.pt", **LATENT)


def make_digits(folder: Path) -> None:
    """The pictures of the study on digits, by the script that it names."""
    write_digits = runpy.run_path(str(ROOT / "benchmarks" / "train_bundled.py"), run_name="benchmark")["write_digits"]
    write_digits(folder / "digits")


def copy_package(folder: Path) -> None:
    """What pip installs from a clone, and the scripts that a clone has."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("cmmd_toolkit", "dit_generators", "tests/example_package"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))


def make_environment(folder: Path) -> dict[str, str]:
    """A virtual environment without this package, which finds what it depends on where this process does."""
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(site).iterdir():
            if not re.match(r"cmmd|dit_generators|__editable__|pip\b|__pycache__", path.name):
                (dependencies / path.name).symlink_to(path)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    path = f"{folder / 'environment' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    pip = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
    }  # 0: without it
    return {"PATH": path, "PYTHONPATH": str(dependencies), **pip}
