"""`dit-gen train` from its options to the end."""

from pathlib import Path
from typing import Any

from ..common.progress import show_progress
from ..training.options import TrainOptions
from ..training.start import make_run
from .flags import say_in_flags


def train_options(*, channels: str, **given: Any) -> TrainOptions:
    """The record of what click gives; None is left to the preset."""
    return TrainOptions.preset(given.pop("preset"), channels=int(channels), **given)


def run_training(pictures: Path, out: Path, options: TrainOptions) -> bool:
    """Train to the end and say how far it came; returns False when Ctrl-C stopped it."""
    run = make_run(pictures, out, options, say=say_in_flags, show_progress=show_progress)
    run.announce()
    finished = run.run()
    run.say(f"{out}: {run.state.step} steps are done" + ("" if finished else "; the same command goes on"))
    return finished
