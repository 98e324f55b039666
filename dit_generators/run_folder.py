"""The folder of a training run: whole checkpoints, settings, and a log that is cut where a run goes on.

RUN/run.json                      settings of the run
RUN/log.jsonl                     a line a logged step
RUN/checkpoints/00000100/         ema.safetensors, model.safetensors, optimiser.pt
RUN/best/ema.safetensors          the average with the best score, where scores are taken
"""

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from .checkpoint import build_model, checkpoints_in, read_checkpoint, save_checkpoint
from .errors import CheckpointError, OutputError
from .files import remove_folder, remove_leftovers, replacing, replacing_folder, write_torch
from .folder import differences
from .training import TrainState

_KEPT = 2


class RunFolder:
    """Files of one run. `settings` are JSON values that must not change when it goes on."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self._check()

    def create(self) -> None:
        """Write the settings down, before anything else; the folder is there and held by this process."""
        self._check()  # another run may have begun in it since
        for folder in (self.path, *(self.path / name for name in ("checkpoints", "best", "samples"))):
            remove_leftovers(folder)
        with replacing(self.path / "run.json") as temporary:
            temporary.write_text(json.dumps(self.settings, indent=1) + "\n")
        (self.path / "checkpoints").mkdir(exist_ok=True)

    def save(self, state: TrainState, scaler: Any) -> Path:
        """Write a checkpoint of the state; it appears whole, and older ones but the last two go."""
        target = self.path / "checkpoints" / f"{state.step:08d}"
        if not target.exists():
            with replacing_folder(target) as folder:
                save_checkpoint(state.average, folder / "ema.safetensors")
                save_checkpoint(state.model, folder / "model.safetensors")
                rest = {"step": state.step, "optimiser": state.optimiser.state_dict()}
                rest["scaler"] = scaler.state_dict() if scaler else None
                write_torch(rest, folder / "optimiser.pt")
        for old in checkpoints_in(self.path)[:-_KEPT]:
            remove_folder(old)
        return target

    def save_best(self, state: TrainState) -> None:
        """Keep the average as the best so far."""
        (self.path / "best").mkdir(exist_ok=True)
        save_checkpoint(state.average, self.path / "best" / "ema.safetensors")

    def restore(self, state: TrainState, scaler: Any) -> None:
        """Put the latest checkpoint, by its step, into the state."""
        latest = checkpoints_in(self.path)[-1]
        state.model.load_state_dict(build_model(read_checkpoint(latest / "model.safetensors")).state_dict())
        state.average.load_state_dict(build_model(read_checkpoint(latest / "ema.safetensors")).state_dict())
        try:
            rest = torch.load(latest / "optimiser.pt", weights_only=True, map_location="cpu")
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{latest}: damaged; remove it to go on from the one before") from error
        state.optimiser.load_state_dict(rest["optimiser"])
        if scaler is not None and rest["scaler"] is not None:
            scaler.load_state_dict(rest["scaler"])
        state.step = rest["step"]

    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return bool(checkpoints_in(self.path))

    def log(self, entry: dict[str, Any]) -> None:
        """Append one line."""
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """The log's lines; one that a kill cut short is left out."""
        path = self.path / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def cut_log(self, step: int) -> None:
        """Leave out what was logged after `step`: it will be logged again."""
        kept = [entry for entry in self.entries() if entry["step"] <= step]
        with replacing(self.path / "log.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file; name a folder")
        record = self.path / "run.json"
        if not record.exists():
            if self.path.is_dir() and any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise OutputError(f"{self.path}: is not empty and holds no run.json; name a new folder")
            return
        try:
            before = json.loads(record.read_text())
            different = differences(before, self.settings)
        except (ValueError, AttributeError) as error:
            raise OutputError(f"{record}: is not readable ({error}); name another folder") from error
        if different:
            changes = ", ".join(different[:3])
            raise OutputError(f"{self.path}: was begun otherwise ({changes}); give the same, or a new folder")
