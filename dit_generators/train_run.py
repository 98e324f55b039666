"""A training run in a folder: begun or gone on with, logged, saved, shown and scored as it goes."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from cmmd_toolkit.report.text import number_text

from .autoencoder import Autoencoder
from .batches import Batch
from .curve import draw_curve
from .data import Pictures
from .errors import TrainingError
from .evaluation import Evaluation
from .files import locked
from .model import DiT
from .peak_memory import peak_bytes
from .run_folder import RunFolder
from .sampling import SampleSettings, sample
from .sheet import contact_sheet, save_image
from .training import MakeBatch, StepResult, TrainSettings, TrainState, train

Say = Callable[[str], None]
_SHEET_IMAGES = 16


@dataclass(frozen=True)
class Schedule:
    """After how many steps what happens; None is never."""

    steps: int
    log: int = 50
    save: int = 1000
    sample: int | None = None
    evaluate: int | None = None


@dataclass
class TrainRun:
    """One run: what is trained on what, in which folder."""

    pictures: Pictures
    state: TrainState
    settings: TrainSettings
    schedule: Schedule
    make: MakeBatch
    folder: RunFolder
    accelerator: Any
    say: Say
    show: SampleSettings
    autoencoder: Autoencoder | None = None
    evaluation: Evaluation | None = None
    compiled: bool = False
    rolled_back: bool = False
    best: float = math.inf
    board: Any = None
    losses: list[StepResult] = field(default_factory=list)

    def run(self) -> bool:
        """Train to the end. Returns False when Ctrl-C stopped it after a whole step, saved."""
        with ExitStack() as held:
            if self.main:
                self.folder.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.folder.path))
                self.folder.create()
            return self._train()

    def _train(self) -> bool:
        self._begin()
        network, self.state.optimiser = self.accelerator.prepare(self.state.model, self.state.optimiser)
        if self.compiled:
            network.compile()
        if self.state.step >= self.schedule.steps:
            self.say(f"{self.state.step} steps are done already, {self.schedule.steps} were asked for: nothing to do")
            return True
        with _stop_signal() as stopped:
            while True:
                try:
                    return self._steps(network, stopped)
                except TrainingError as error:
                    self._roll_back(error)

    def _begin(self) -> None:
        self.accelerator.wait_for_everyone()
        self.state.model.to(self.accelerator.device)
        self.state.average.to(self.accelerator.device)
        if self.folder.has_checkpoint():
            self.folder.restore(self.state, self.accelerator.scaler)
            self.best = min((e["score"] for e in self.folder.entries() if "score" in e), default=math.inf)
            self.say(f"going on after step {self.state.step}")
        self.accelerator.wait_for_everyone()
        if self.main:
            self.folder.cut_log(self.state.step)

    @property
    def main(self) -> bool:
        """Whether this process writes what is common to all."""
        return bool(self.accelerator.is_main_process)

    def _steps(self, network: Any, stopped: Callable[[], bool]) -> bool:
        for result in train(self.state, self.settings, self.make, self.schedule.steps, network, self.accelerator):
            self.losses.append(result)
            step, last = result.step, result.step == self.schedule.steps
            stopping = self._agree(stopped())
            if step % self.schedule.log == 0 or last or stopping:
                self._log(result)
            if _due(step, self.schedule.sample) and self.main:
                self._show(step)
            if _due(step, self.schedule.evaluate) and self.main:
                self._evaluate(step)
            if step % self.schedule.save == 0 or last or stopping:
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
        if self.main:
            self.folder.save(self.state, self.accelerator.scaler)
        self.accelerator.wait_for_everyone()

    def _roll_back(self, error: TrainingError) -> None:
        """Once, to the last checkpoint; a second time the reason ends the run."""
        if self.rolled_back or not self.folder.has_checkpoint():
            again = "again after going back to the last checkpoint" if self.rolled_back else "and nothing is saved yet"
            raise TrainingError(
                f"{error}, {again}; take a smaller --learning-rate, --clip 1, or --precision fp32"
            ) from error
        self.rolled_back = True
        self.folder.restore(self.state, self.accelerator.scaler)
        self.say(f"{error}; going back to step {self.state.step}, once")

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
        left = (self.schedule.steps - result.step) * seconds / len(window)
        self.say(
            f"step {result.step}/{self.schedule.steps}: loss {entry['loss']:.4f}, "
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
            if name != "step" and value is not None:
                self.board.add_scalar(name, value, entry["step"])
        self.board.flush()

    def _show(self, step: int) -> None:
        target = self.folder.path / "samples" / f"{step:08d}.png"
        target.parent.mkdir(exist_ok=True)
        pictures = sample(self.state.average, self.show, range(_SHEET_IMAGES), self.autoencoder)
        save_image(contact_sheet(list(pictures)), target)

    def _evaluate(self, step: int) -> None:
        if self.evaluation is None:
            return
        score = self.evaluation.score(self.state.average, self.settings.batch_size)
        self._write({"step": step, "score": score.value, "standard_error": score.standard_error})
        error = score.standard_error
        spread = f" +- {number_text(error, error)}" if error else ""
        self.say(f"step {step}: MMD {number_text(score.value, error)}{spread} on {self.evaluation.backbone}")
        if score.value < self.best:
            self.best = score.value
            self.folder.save_best(self.state)
        draw_curve(self.folder.entries(), self.evaluation.backbone, self.folder.path / "curve.png")


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
    """Ctrl-C and SIGTERM ask to stop after the step at hand; a second Ctrl-C stops at once."""
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
