"""`dit-gen study` from its options: train both models, then every other stage."""

import itertools
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from cmmd_toolkit.common.writing import remove_leftovers

from ..common.files import locked
from ..common.processes import Processes, joined_processes
from ..common.progress import show_progress
from ..common.shell import INTERRUPTED, listed, say
from ..errors import ArgumentError, OutputError
from ..network.config import DiTConfig
from ..network.model import DiT
from ..study.page import write_report
from ..study.run import MODELS, Say, Study, StudySettings, sampling_settings, sweep_settings
from ..training.run import TrainRun
from .given import is_given
from .training import make_run

_FEW = 32
_BACKBONES = ("mini", "inception", "clip", "siglip", "align", "dinov2")


def run_study(pictures: Path, out: Path, given: dict[str, Any]) -> int:
    """Print the page; returns the exit code, which is another when Ctrl-C stopped the training of a model."""
    with joined_processes() as processes, ExitStack() as held:
        settings = _settings(given)
        tell = say if processes.is_main else lambda _: None
        study = _train(pictures, out, given, settings, tell, processes, held)
        if study is None:
            return INTERRUPTED
        results = study.run()
        page = processes.by_main(lambda: write_report(results or {}, out))
    if page is not None:
        click.echo(page)
    return 0


def _train(
    pictures: Path,
    out: Path,
    given: dict[str, Any],
    settings: StudySettings,
    tell: Say,
    processes: Processes,
    held: ExitStack,
) -> Study | None:
    """Both models, by all processes as `train` does it; None when Ctrl-C stopped one."""
    given = {**given, "channels": int(given["channels"])}
    is_new = not out.is_dir()
    if not is_new:
        _hold(out, processes, held)
    for name in MODELS:
        run = _prepare(pictures, out / "models" / name, given, settings, name)
        if is_new and name == MODELS[0]:
            _hold(out, processes, held)
        tell(f"training the {name} model")
        if not run.run():
            tell(f"{out}: interrupted; the same command goes on")
            return None
    return Study(out, settings, run.pictures, run.autoencoder, run.accelerator.device, tell, show_progress, processes)


def _hold(out: Path, processes: Processes, held: ExitStack) -> None:
    """No other study writes into the folder until `held` ends."""
    if processes.is_main:
        held.enter_context(locked(out))
        remove_leftovers(out)


def _prepare(pictures: Path, out: Path, given: dict[str, Any], settings: StudySettings, name: str) -> TrainRun:
    """A training run, once everything that is to be done with its model is found to be possible."""
    study = out.parent.parent
    if study.exists() and not study.is_dir():
        raise OutputError(f"{study}: is a file; name a folder")
    run = make_run(pictures, out, {**given, "attention": name})
    for each in MODELS:
        _check_plan(settings, replace(run.state.model.config, attention=each), each)
    out.parent.mkdir(parents=True, exist_ok=True)
    return run


def _check_plan(settings: StudySettings, config: DiTConfig, name: str) -> None:
    """Raise ArgumentError for samples or cells that this model could not make, before hours of training."""
    with torch.device("meta"):
        model = DiT(config)
    sampling_settings(settings).check(model)
    for scale, steps in itertools.product(settings.scales, settings.sweep_steps):
        sweep_settings(settings, name, scale, steps).check(model)


def _settings(given: dict[str, Any]) -> StudySettings:
    for name in ("samples", "sweep_images", "draws"):
        if given[name] < (2 if name == "samples" else 1):
            raise ArgumentError(f"{name.replace('_', ' ')}: expected more, got {given[name]}")
    DiTConfig.preset(given["bench_model"])
    named = [text.partition("=") for text in given["backbone"]] or [(name, "", "") for name in _BACKBONES]
    if is_given("dims") and not any(name == "inception" for name, _, _ in named):
        raise ArgumentError(f"--dims {given['dims']}: is of inception, which is not asked for")
    backbones = {name: _embed_options(name, path, given["dims"]) for name, _, path in named}
    return StudySettings(
        samples=given["samples"],
        few=_FEW,
        draws=given["draws"],
        steps=str(given["sample_steps"]),
        scales=listed(given["guidance_scale"], "--guidance-scale", float),
        sweep_steps=tuple(map(str.strip, given["sweep_steps"].split(","))),
        sweep_images=given["sweep_images"],
        batch_size=32,
        seed=given["seed"],
        backbones=backbones,
        bench_model=given["bench_model"],
    )


def _embed_options(name: str, path: str, dims: int) -> dict[str, Any]:
    options: dict[str, Any] = {"weights": path} if path else {}
    return options | ({"dims": dims} if name == "inception" else {})
