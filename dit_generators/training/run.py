"""A training run in a folder: begun or gone on with, logged, saved, shown and scored as it goes."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from cmmd_toolkit.common.text import number_text

from ..common.files import locked
from ..common.peak_memory import peak_bytes
from ..common.sheet import contact_sheet, save_image
from ..data.batches import Batch
from ..data.pictures import Pictures
from ..errors import CheckpointError, NotFiniteError, SamplingError, TrainingError
from ..network.model import DiT
from ..sampling.quiet import Say
from ..sampling.sample import sample
from ..weights.autoencoder import Autoencoder
from .curve import draw_curve
from .evaluation import Evaluation
from .folder import RunFolder
from .loop import MakeBatch, StepResult, TrainSettings, TrainState, train
from .options import TrainOptions

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
    initial: Callable[[], DiT]
    folder: RunFolder
    accelerator: Any
    say: Say
    autoencoder: Autoencoder | None = None
    evaluation: Evaluation | None = None
    best: float = math.inf
    board: Any = None
    losses: list[StepResult] = field(default_factory=list)
    start: tuple[dict[str, Any], dict[str, Any] | None] = ({}, None)  # optimiser and scaler before the first step

    def announce(self) -> None:
        """Say what is trained on what and, before the first step, how long it takes: all processes together."""
        self.say(self._describe())
        if not self.folder.has_checkpoint():
            told = forecast(self.state.model, self.settings, self.make, self.options.steps, self.accelerator)
            self.say(f"forecast: {told}")

    def run(self) -> bool:
        """Train to the end, or go on to it. Returns False when Ctrl-C or SIGTERM stopped it: that step is saved.

        Raises:
            TrainingError: the loss stays NaN or infinite, whatever is left out.
            CheckpointError: every checkpoint in the folder is damaged.
            OutputError: another process writes into the folder.
        """
        with ExitStack() as held:
            if self.main:
                self.folder.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.folder.path))
                if repaired := self.folder.create():
                    self.say(f"warning: {repaired}")
            return self._train()

    def _train(self) -> bool:
        self._begin()
        network, self.state.optimiser = self.accelerator.prepare(self.state.model, self.state.optimiser)
        if self.options.compiled:
            network.compile()
        if self.state.step >= self.options.steps:
            self.say(f"{self.state.step} steps are done already, {self.options.steps} were asked for: nothing to do")
            return True
        with _stop_signal() as stopped:
            while True:
                try:
                    return self._steps(network, stopped)
                except NotFiniteError as error:
                    self._go_back(error)

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
                f"{next(iter(damaged.values()))}, and no other is whole; remove {self.folder.path} to begin again"
            )
        self.state.faults = self.folder.faults(self.state.step, self.state.faults)
        self.best = self.folder.best_score(self.state.step)
        self.accelerator.wait_for_everyone()  # all have read what is changed now
        if self.main:
            self._set_aside(damaged)
            self.folder.remove_old()  # a run killed after its last checkpoint left one too many
            if lines := self.folder.cut_log(self.state.step):
                self.say(f"{self.folder.path / 'log.jsonl'}: damaged lines, {lines}, are left out")
        if saved is not None:
            self.say(f"going on after step {self.state.step}")

    def _set_aside(self, damaged: dict[Path, CheckpointError]) -> None:
        for path, error in damaged.items():
            aside = self.folder.set_aside(path)
            self.say(f"warning: {error}; renamed to {aside.name}, the checkpoint before is used")

    @property
    def settings(self) -> TrainSettings:
        """What decides the weights besides the pictures and the shape of the model."""
        return self.options.settings

    @property
    def main(self) -> bool:
        """Whether this process writes what is common to all."""
        return bool(self.accelerator.is_main_process)

    def _steps(self, network: Any, stopped: Callable[[], bool]) -> bool:
        for result in train(self.state, self.settings, self.make, self.options.steps, network, self.accelerator):
            self.losses.append(result)
            step, last = result.step, result.step == self.options.steps
            stopping = self._agree(stopped())
            if step % self.options.log_every == 0 or last or stopping:
                self._log(result)
            if _due(step, self.options.sample_every) and self.main:
                self._show(step)
            if _due(step, self.options.eval_every) and self.main:
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
        self.state.faults, self.losses = after, []
        self.accelerator.wait_for_everyone()  # all have read what is changed now
        if self.main:
            self._set_aside(damaged)
            self.folder.remove_after(self.state.step)
            self._log_fault(error, faults.batch(error.step - 1))
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

    def _log_fault(self, error: NotFiniteError, batch: int) -> None:
        step, faults, size = self.state.step, self.state.faults, self.settings.batch_size
        positions = [batch * size, (batch + 1) * size - 1]
        entry = {"step": step, "fault": str(error), "skipped_positions": positions, "learning_rate_factor": faults.rate}
        self.folder.cut_log(step, {**entry, "best_score": self.best, "faults": faults.to_dict()})
        if self.board is not None:
            self.board.close()
            self.board = None
        halved = f", with half the learning rate ({self.settings.learning_rate * faults.rate:.3g})"
        self.say(
            f"{error}; going back to {f'step {step}' if step else 'the start'} without the pictures at positions "
            f"{positions[0]} to {positions[1]}{halved if faults.in_a_row > 1 else ''}"
        )

    def _log(self, result: StepResult) -> None:
        window, self.losses = self.losses, []
        seconds = sum(r.seconds for r in window)
        entry = {
            "step": result.step,
            "loss": sum(r.loss for r in window) / len(window),
            "mse": sum(r.mse for r in window) / len(window),
            "gradient_norm": result.gradient_norm,
            "images_per_second": len(window) * self.settings.batch_size / seconds,
            "waiting_share": sum(r.waited for r in window) / seconds,
            "memory_bytes": memory_in_use(self.accelerator.device),
        }
        if not self.main:
            return
        self._write(entry)
        left = (self.options.steps - result.step) * seconds / len(window)
        self.say(
            f"step {result.step}/{self.options.steps}: loss {entry['loss']:.4f}, "
            f"{entry['images_per_second']:.3g} images/s, waiting {100 * entry['waiting_share']:.0f} %, "
            f"{entry['memory_bytes'] / 1e9:.2g} GB, {time_text(left)} left"
        )

    def _write(self, entry: dict[str, Any]) -> None:
        """A line of the log, and the same for TensorBoard."""
        from torch.utils.tensorboard import SummaryWriter

        self.folder.log(entry)
        if self.board is None:
            self.board = SummaryWriter(self.folder.path / "tensorboard", purge_step=self.state.step)
        for name, value in entry.items():
            if name != "step" and value is not None and math.isfinite(value):
                self.board.add_scalar(name, value, entry["step"])
        self.board.flush()

    def _show(self, step: int) -> None:
        target = self.folder.path / "samples" / f"{step:08d}.png"
        target.parent.mkdir(exist_ok=True)
        try:
            pictures = sample(self.state.average, self.options.sampling, range(_SHEET_IMAGES), self.autoencoder)
        except SamplingError as error:
            self.say(f"step {step}: no sheet: {error}")
            return
        save_image(contact_sheet(list(pictures)), target)

    def _evaluate(self, step: int) -> None:
        if self.evaluation is None:
            return
        try:
            score = self.evaluation.score(self.state.average, self.settings.batch_size)
        except SamplingError as error:
            self.say(f"step {step}: no score: {error}")
            return
        self._write({"step": step, "score": score.value, "standard_error": score.standard_error})
        spread = f" +- {number_text(score.standard_error, score.standard_error)}" if score.standard_error else ""
        value = number_text(score.value, score.standard_error)
        self.say(f"step {step}: MMD {value}{spread} on {self.evaluation.backbone}")
        if score.value < self.best:
            self.best = score.value
            self.folder.save_best(self.state)
        draw_curve(self.folder.entries(), self.evaluation.backbone, self.folder.path / "curve.png")

    def _describe(self) -> str:
        config, classes = self.state.model.config, len(self.pictures.classes)
        held_out = f", {len(self.evaluation.reference)} held out" if self.evaluation else ""
        return (
            f"{len(self.pictures)} pictures to train on{held_out}, {classes or 'no'} classes; "
            f"{config.depth} blocks of {config.hidden_size}, {config.num_tokens} tokens, "
            f"attention {config.attention_settings.describe()}"
        )


def forecast(model: DiT, settings: TrainSettings, make: MakeBatch, steps: int, accelerator: Any) -> str:
    """Time and memory of a run, from two steps on a copy."""
    import copy

    settings = replace(settings, learning_rate=1e-9)  # it is the time that is asked, not what is learned
    state = TrainState.start(copy.deepcopy(model).to(accelerator.device), settings)
    results = list(train(state, settings, make, 2, state.model, accelerator))
    batch: Batch = make(settings.share(0, accelerator.process_index, accelerator.num_processes)[0])
    weights = sum(p.numel() for p in model.parameters())

    def step() -> None:
        labels = batch.labels.to(accelerator.device) if model.config.num_classes else None
        out = state.model(batch.x_0.to(accelerator.device), batch.timesteps.to(accelerator.device), labels)
        out.square().mean().backward()

    memory = peak_bytes(step, accelerator.device) + 5 * 4 * weights
    seconds = results[-1].seconds
    return (
        f"{weights / 1e6:.3g} M weights, about {seconds:.2g} s a step and {memory / 1e9:.2g} GB on top of the program: "
        f"{time_text(seconds * steps)} for {steps} steps"
    )


def memory_in_use(device: torch.device) -> int:
    """Peak bytes: of the allocator on CUDA, of the process elsewhere."""
    import resource

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def time_text(seconds: float) -> str:
    """90 -> 1 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def _stop_signal() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask to stop after the step at hand; a second Ctrl-C stops at once.

    Only the main thread may take signals: a run in another is not stopped by them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[float] = []

    def ask(number: int, _frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(time.monotonic())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
