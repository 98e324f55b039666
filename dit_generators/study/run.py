"""A whole study: train the models, then every other stage, then the page."""

import itertools
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cmmd_toolkit.common.progress import ShowProgress, show_no_progress

from ..common.files import locked
from ..common.processes import ALONE, Processes
from ..common.types import check_record
from ..errors import ArgumentError, OutputError
from ..network.config import DiTConfig
from ..network.model import DiT
from ..sampling.quiet import Say, say_nothing
from ..training.run import TrainRun
from ..training.start import make_run
from .options import MODELS, StudyModel, StudyOptions
from .page import write_report
from .stages import Study


def run_study(
    pictures: Any,
    out: str | os.PathLike[str],
    options: StudyOptions | None = None,
    *,
    say: Say = say_nothing,
    show_progress: ShowProgress = show_no_progress,
    processes: Processes = ALONE,
) -> Path | None:
    """Train a full and a swa model with identical settings, sample both from the same seeds, sweep and score.

        page = run_study("photographs/", "study/", StudyOptions(training=TrainOptions.preset("small")))

    Every stage stores its result in `out`, and the same call resumes after the last complete one.

    Args:
        pictures: training pictures, as `make_run` takes them.
        out: folder of the study: models, samples, sweeps, evaluation_results.json, tables.md and index.html.
        options: see `StudyOptions`; None is the report's.
        say: is called with one line for everything that a user wants to know.
        show_progress: a context manager of a name and a total, which gives a function to call with what is done.
        processes: those that share the work, one by default.

    Returns:
        The page, `out`/index.html; None when Ctrl-C stopped the training of a model.

    Raises what `make_run` and `TrainRun.run` raise; ArgumentError, before anything is trained, for samples or cells
    that the models could not make.
    """
    options, folder = StudyOptions() if options is None else options, Path(out)
    check_record("options", options, StudyOptions)
    say = say if processes.is_main else say_nothing
    with ExitStack() as held:
        study = _train(pictures, folder, options, say, show_progress, processes, held)
        if study is None:
            return None
        results = study.run()
        processes.by_main(lambda: write_report(results or {}, folder))
    return folder / "index.html"


def _train(
    pictures: Any,
    out: Path,
    options: StudyOptions,
    say: Say,
    show_progress: ShowProgress,
    processes: Processes,
    held: ExitStack,
) -> Study | None:
    """All models, by all processes as `train` does it; None when Ctrl-C stopped one."""
    is_new = not out.is_dir()
    if not is_new:
        _hold(out, processes, held)
    for model in options.models:
        run = _prepare(pictures, out, options, model, say, show_progress)
        if is_new and model == options.models[0]:
            _hold(out, processes, held)
        say(f"training the {model.name} model")
        if not run.run():
            say(f"{out}: interrupted; run the same command again to resume")
            return None
    return Study(out, options, run.pictures, run.autoencoder, run.accelerator.device, say, show_progress, processes)


def _hold(out: Path, processes: Processes, held: ExitStack) -> None:
    """No other study writes into the folder until `held` ends."""
    if processes.is_main:
        held.enter_context(locked(out))


def _prepare(
    pictures: Any, study: Path, options: StudyOptions, model: StudyModel, say: Say, show_progress: ShowProgress
) -> TrainRun:
    """A training run, once everything that is to be done with its model is found to be possible."""
    if study.exists() and not study.is_dir():
        raise OutputError(f"{study}: is a file; name a folder")
    training = replace(options.training, attention=model.method, seed=options.training.seed + model.run - 1)
    run = make_run(pictures, study / "models" / model.name, training, say=say, show_progress=show_progress)
    for each in MODELS:
        _check_models(options, replace(run.state.model.config, attention=each), each)
    (study / "models").mkdir(parents=True, exist_ok=True)
    return run


def _check_models(options: StudyOptions, config: DiTConfig, name: str) -> None:
    """Raise ArgumentError for samples or cells that this model could not make, before hours of training."""
    with torch.device("meta"):
        model = DiT(config)
    options.sampling.check(model)
    for scale, steps in itertools.product(options.scales, options.sweep_steps):
        try:
            options.sweep_cell(name, scale, steps).check(model)
        except ArgumentError as error:
            raise ArgumentError(f"sweep at guidance scale {scale:g} and {steps} steps: {error}") from error
