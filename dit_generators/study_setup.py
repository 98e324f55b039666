"""`dit-gen study` from its options: train both models, then every other stage."""

from pathlib import Path
from typing import Any

from .config import DiTConfig
from .errors import ArgumentError, OutputError
from .files import locked, remove_leftovers
from .progress import show_progress
from .shell import listed, say
from .study import MODELS, Study, StudySettings
from .study_report import write_report
from .train_setup import make_run

_FEW = 32
_BACKBONES = ("mini", "inception", "clip", "siglip", "align", "dinov2")


def run_study(pictures: Path, out: Path, given: dict[str, Any]) -> Path | None:
    """Returns the page, or None when Ctrl-C stopped the training of a model."""
    if out.is_file():
        raise OutputError(f"{out}: is a file; name a folder")
    settings = _settings(given)
    given = {**given, "channels": int(given["channels"])}
    (out / "models").mkdir(parents=True, exist_ok=True)
    with locked(out):
        remove_leftovers(out)
        return _train_and_go_on(pictures, out, settings, given)


def _train_and_go_on(pictures: Path, out: Path, settings: StudySettings, given: dict[str, Any]) -> Path | None:
    for name in MODELS:
        run = make_run(pictures, out / "models" / name, {**given, "attention": name})
        say(f"training the {name} model")
        if not run.run():
            say(f"{out}: interrupted; the same command goes on")
            return None
    study = Study(out, settings, run.pictures, run.autoencoder, run.accelerator.device, say, show_progress)
    return write_report(study.run(), out)


def _settings(given: dict[str, Any]) -> StudySettings:
    for name in ("samples", "sweep_images", "draws"):
        if given[name] < (2 if name == "samples" else 1):
            raise ArgumentError(f"{name.replace('_', ' ')}: expected more, got {given[name]}")
    DiTConfig.preset(given["bench_model"])
    named = [text.partition("=") for text in given["backbone"]] or [(name, "", "") for name in _BACKBONES]
    backbones = {name: _embed_options(name, path, given["dims"]) for name, _, path in named}
    return StudySettings(
        samples=given["samples"],
        few=_FEW,
        draws=given["draws"],
        steps=str(given["sample_steps"]),
        scales=listed(given["guidance_scale"], "--guidance-scale", float),
        sweep_steps=tuple(given["sweep_steps"].split(",")),
        sweep_images=given["sweep_images"],
        batch_size=32,
        seed=given["seed"],
        backbones=backbones,
        bench_model=given["bench_model"],
    )


def _embed_options(name: str, path: str, dims: int) -> dict[str, Any]:
    options: dict[str, Any] = {"weights": path} if path else {}
    return options | ({"dims": dims} if name == "inception" else {})
