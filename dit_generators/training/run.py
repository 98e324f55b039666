"""A training run in a folder: started or resumed, logged, saved, shown and scored as it goes."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..common.files import locked
from ..common.precision import float32_products
from ..common.sheet import contact_sheet
from ..data.pictures import Pictures
from ..data.pixels import StreamedPixels, quiet_pillow
from ..errors import CheckpointError, NotFiniteError, SamplingError, TrainingError
from ..sampling.quiet import Say
from ..weights.autoencoder import Autoencoder
from ..weights.checkpoint import checkpoints_in
from ..weights.young import young_average, young_share
from .accelerator import processes_of
from .curve import draw_curve
from .evaluation import Evaluation, samples, shared_rows
from .folder import RunFolder
from .forecast import forecast
from .initial import Initial
from .journal import Journal
from .loop import MakeBatch, TrainState, train
from .options import TrainOptions
from .stopping import stop_signals

_SHEET_IMAGES = 16


@dataclass
class TrainRun:
    """One run, as `make_run` gives it: what is trained on what, in which folder.

    `make` gives the batch at some positions, `initial` the model of the start again.
    """

    pictures: Pictures
    options: TrainOptions
    state: TrainState
    make: MakeBatch
    initial: Initial
    folder: RunFolder
    accelerator: Any
    say: Say
    autoencoder: Autoencoder | None = None
    evaluation: Evaluation | None = None
    best: float = math.inf
    young: bool = False  # it was said that the average is
    start: tuple[dict[str, Any], dict[str, Any] | None] = ({}, None)  # optimiser and scaler before the first step

    def __post_init__(self) -> None:
        self.steps = self.options.steps_for(len(self.pictures))
        self.journal = Journal(self.folder, self.options, self.steps)

    def run(self) -> bool:
        """Train to the end, or resume and do so. Returns False when Ctrl-C or SIGTERM stopped it: that step is saved.

        Says what is trained on what, how long it will take, how it goes, and how far it came.

        Raises:
            TrainingError: the loss stays NaN or infinite, whatever is left out.
            CheckpointError: every checkpoint in the folder is damaged.
            OutputError: another process writes into the folder.
        """
        with ExitStack() as held:
            held.enter_context(float32_products(tf32=self.options.tf32))
            held.enter_context(quiet_pillow())  # pictures may be decoded as they are needed
            self.say(self._describe())
            if not checkpoints_in(self.folder.path):
                told = forecast(self.state.model, self.options, self.make, self.steps, self.accelerator)
                self.say(f"forecast: {told}")
            if self.main:
                held.enter_context(locked(self.folder.path))
                if repaired := self.folder.create():
                    self.say(f"warning: {repaired}")
                if self.options.keep_evaluations:
                    self.folder.evaluations.mkdir(exist_ok=True)  # who watches the run knows that there will be some
            return self._train()

    def _train(self) -> bool:
        self._begin()
        network, self.state.optimiser = self.accelerator.prepare(self.state.model, self.state.optimiser)
        if self.options.compiled:
            network.compile()
        if self.state.step >= self.steps:
            self.say(f"{self.state.step} steps are done already, {self.steps} were asked for: nothing to do")
            return True
        with stop_signals() as stopped:
            while True:
                try:
                    finished = self._steps(network, stopped)
                    break
                except NotFiniteError as error:
                    self._go_back(error)
        resume = "" if finished else "; run the same command again to resume"
        self.say(f"{self.folder.path}: {self.state.step} steps are done{resume}")
        return finished

    def _begin(self) -> None:
        self.accelerator.wait_for_everyone()
        self.state.model.to(self.accelerator.device)
        self.state.average.to(self.accelerator.device)
        scaler = self.accelerator.scaler
        self.start = (self.state.optimiser.state_dict(), scaler.state_dict() if scaler else None)
        saved, damaged = self.folder.find(self.state)
        if saved is not None:
            saved.put(self.state, scaler)
        elif damaged:
            raise CheckpointError(
                f"{next(iter(damaged.values()))}, and no other checkpoint is intact; remove {self.folder.path} "
                "to start again"
            )
        self.state.faults = self.folder.faults(self.state.step, self.state.faults)
        self.best = self.folder.best_score(self.state.step)
        self.accelerator.wait_for_everyone()  # all have read what is changed now
        if self.main:
            self._set_aside(damaged)
            self.folder.remove_old()  # a run killed after its last checkpoint left one too many
            if lines := self.folder.cut_log(self.state.step):
                self.say(f"{self.folder.path / 'log.jsonl'}: {lines} damaged lines are left out")
        if saved is not None:
            self.say(f"resumed after step {self.state.step}")

    def _set_aside(self, damaged: dict[Path, CheckpointError]) -> None:
        for path, error in damaged.items():
            aside = self.folder.set_aside(path)
            self.say(f"warning: {error}; renamed to {aside.name}, the previous checkpoint is used")

    @property
    def main(self) -> bool:
        """Whether this process writes what is common to all."""
        return bool(self.accelerator.is_main_process)

    def _steps(self, network: Any, stopped: Callable[[], bool]) -> bool:
        for result in train(self.state, self.options, self.make, self.steps, network, self.accelerator):
            self.journal.since.append(result)
            step, last = result.step, result.step == self.steps
            stopping = self._agree(stopped())
            if step % self.options.log_every == 0 or last or stopping:
                entry = self.journal.averages(self.accelerator.device)
                if self.main:
                    self.say(self.journal.write_steps(entry))
            if _due(step, self.options.sample_every):
                self._show(step)
            if _due(step, self.options.eval_every):
                self._evaluate(step)
            if step % self.options.save_every == 0 or last or stopping:
                self._save()
            if stopping:
                return False
        self._save()
        return True

    def _agree(self, stopping: bool) -> bool:
        """Whether any process was told to stop."""
        if self.accelerator.num_processes == 1:
            return stopping
        flag = torch.tensor(float(stopping), device=self.accelerator.device)
        return float(self.accelerator.reduce(flag, "sum")) > 0

    def _save(self) -> None:
        step, regular = self.state.step, self.state.step % self.options.save_every == 0
        if not all(bool(torch.isfinite(weight).all()) for weight in self.state.model.parameters()):
            raise NotFiniteError(step, "the weights are not finite")
        if regular:
            self.state.faults = self.state.faults.passed(step)
        if self.main:
            self.folder.save(self.state, self.accelerator.scaler, regular=regular)
        self.accelerator.wait_for_everyone()

    def _go_back(self, error: NotFiniteError) -> None:
        """To the last regular checkpoint or the start, without the batch at fault; later with half the rate.

        Later checkpoints go first and the fault is logged last: killed in between, a run meets the same fault again.
        """
        faults = self.state.faults
        if faults.exhausted:
            raise TrainingError(
                f"{error}, again after going back to the last checkpoint {faults.in_a_row} times; "
                'take a smaller `learning_rate`, `clip=1`, or `precision="fp32"`'
            ) from error
        after = faults.after(error.step)
        self.accelerator.wait_for_everyone()
        saved, damaged = self.folder.find(self.state, regular=True)
        if saved is not None:
            saved.put(self.state, self.accelerator.scaler)
        else:
            self._start_again()
        self.state.faults, self.journal.since = after, []
        self.accelerator.wait_for_everyone()  # all have read what is changed now
        if self.main:
            self._set_aside(damaged)
            self.folder.remove_after(self.state.step)
            batch = faults.batch(error.step - 1)
            self.say(self.journal.write_fault(error, self.state.step, after, batch, self.best))
        self.accelerator.wait_for_everyone()

    def _start_again(self) -> None:
        optimiser, scale = self.start
        state = self.state
        for model in (state.model, state.average):
            model.load_state_dict(self.initial().state_dict())
        state.optimiser.load_state_dict(optimiser)
        if scale is not None:
            self.accelerator.scaler.load_state_dict(scale)
        state.step = 0

    def _show(self, step: int) -> None:
        self._warn_of_a_young_average(step)
        average, settings = self.state.average, self.options.sampling

        def draw(mine: range) -> NDArray[np.uint8]:
            return samples(average, settings, mine, _SHEET_IMAGES, self.autoencoder)

        try:
            pictures = shared_rows(draw, _SHEET_IMAGES, processes_of(self.accelerator))
        except SamplingError as error:
            self.say(f"step {step}: no sheet: {error}")
            return
        if self.main:
            self.journal.write_sheet(step, contact_sheet(list(pictures)))

    def _evaluate(self, step: int) -> None:
        if self.evaluation is None:
            return
        self._warn_of_a_young_average(step)
        try:
            processes = processes_of(self.accelerator)
            keep = partial(self._keep, step) if self.options.keep_evaluations else None
            score = self.evaluation.score(self.state.average, self.options.batch_size, processes, keep)
        except SamplingError as error:
            self.say(f"step {step}: no score: {error}")
            return
        is_best = score.value < self.best
        self.best = min(self.best, score.value)
        if not self.main:
            return
        young = young_share(step, self.folder.settings)
        self.say(self.journal.write_score(step, score, self.evaluation.backbone) + (f"; {young}" if young else ""))
        if is_best:
            self.folder.save_best(self.state)
        draw_curve(
            self.folder.entries(),
            self.evaluation.backbone,
            self.folder.path / "curve.png",
            self.state.model.process.objective,
        )

    def _keep(self, step: int, pictures: NDArray[np.uint8]) -> None:
        if self.main:
            self.folder.keep_evaluation(step, pictures)

    def _warn_of_a_young_average(self, step: int) -> None:
        """Once: its samples and scores show the random weights it started from, whatever the model has learned."""
        found = None if self.young else young_average(step, self.folder.settings)
        if found is not None:
            self.young = True
            self.say(f"warning: {found}")

    def _describe(self) -> str:
        config, classes = self.state.model.config, len(self.pictures.classes)
        streamed = isinstance(self.pictures.pixels, StreamedPixels) and self.autoencoder is None
        decoded = ", decoded as needed" if streamed else ""
        held_out = f", {len(self.evaluation.reference)} held out" if self.evaluation else ""
        return (
            f"{len(self.pictures)} pictures to train on{held_out}, {classes or 'no'} classes{decoded}; "
            f"DiT with {config.depth} blocks, width {config.hidden_size}, {config.num_tokens} tokens, "
            f"attention {config.attention_settings.describe()}; {self.initial}"
        )


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
