"""One checkpoint of a training run: written whole, with the SHA-256 of every file, and verified before it is used.

00000100/ema.safetensors, model.safetensors    the average and the weights
00000100/optimiser.pt                          moments, and the scale of fp16
00000100/checkpoint.json                       step, faults, settings of the run, whether it was due
00000100/SHA256SUMS                            for `sha256sum -c`
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cmmd_toolkit.common.files import sha256
from cmmd_toolkit.common.text import first_line
from cmmd_toolkit.common.writing import replacing_folder

from ..common.files import read_text, write_torch
from ..errors import CheckpointError
from ..network.model import DiT
from ..weights.checkpoint import build_model, read_checkpoint, save_checkpoint
from .faults import Faults
from .loop import TrainState

_RECORD, _SUMS = "checkpoint.json", "SHA256SUMS"
_FILES = ("ema.safetensors", "model.safetensors", "optimiser.pt", _RECORD)


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds, read and checked but not yet in use."""

    model: DiT
    average: DiT
    rest: dict[str, Any]
    faults: Faults

    def put(self, state: TrainState, scaler: Any) -> None:
        """Into the state of a run."""
        state.model.load_state_dict(self.model.state_dict())
        state.average.load_state_dict(self.average.state_dict())
        state.optimiser.load_state_dict(self.rest["optimiser"])
        if scaler is not None and self.rest["scaler"] is not None:
            scaler.load_state_dict(self.rest["scaler"])
        state.step, state.faults = self.rest["step"], self.faults


def write_saved(target: Path, state: TrainState, scaler: Any, settings: dict[str, Any], *, regular: bool) -> None:
    """Write the state as a new folder that appears at once; `regular` when a run that is never stopped has it, too."""
    record = {"step": state.step, "regular": regular, "faults": state.faults.to_dict(), "settings": settings}
    with replacing_folder(target) as folder:
        save_checkpoint(state.average, folder / "ema.safetensors")
        save_checkpoint(state.model, folder / "model.safetensors")
        rest = {"step": state.step, "optimiser": state.optimiser.state_dict()}
        rest["scaler"] = scaler.state_dict() if scaler else None
        write_torch(_interned(rest), folder / "optimiser.pt")
        (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
        (folder / _SUMS).write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in _FILES))


def read_saved(folder: Path, state: TrainState) -> Saved:
    """Read and check everything against the state that it is for; raises CheckpointError for any damage."""
    try:
        if (folder / _SUMS).exists():  # checkpoints of earlier versions have none
            _verify(folder, _FILES)
        model, average = (build_model(read_checkpoint(folder / name)) for name in ("model.safetensors", _FILES[0]))
        rest = torch.load(folder / "optimiser.pt", weights_only=True, map_location="cpu")
        record = _record(folder)
        _check_rest(rest, model, state, int(folder.name))
        return Saved(model, average, rest, Faults.from_dict(record["faults"]) if "faults" in record else Faults())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # damage shows as any exception of any reader
        raise CheckpointError(f"{folder}: damaged ({first_line(error)})") from error


def is_regular(folder: Path) -> bool:
    """Whether a run that is never stopped has this checkpoint, too."""
    try:
        return _record(folder).get("regular") is not False
    except (OSError, ValueError, RecursionError):
        return False


def settings_in(folder: Path) -> dict[str, Any] | None:
    """The settings of its run, or None where they are not there whole."""
    try:
        _verify(folder, [_RECORD])
        settings = _record(folder)["settings"]
    except (OSError, ValueError, KeyError, RecursionError, CheckpointError):
        return None
    return settings if isinstance(settings, dict) else None


def _interned(value: Any) -> Any:
    """With one object for equal strings, as before any loading: pickle writes the same bytes then."""
    if isinstance(value, dict):
        return {_interned(key): _interned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_interned(item) for item in value]
    return sys.intern(value) if isinstance(value, str) else value


def _record(folder: Path) -> dict[str, Any]:
    path = folder / _RECORD
    record = json.loads(read_text(path)) if path.exists() else {}
    if not isinstance(record, dict):
        raise ValueError(f"{path}: expected the fields of a checkpoint")
    return record


def _verify(folder: Path, names: Sequence[str]) -> None:
    lines = read_text(folder / _SUMS).splitlines()
    for name in names:
        if f"{sha256(folder / name)}  {name}" not in lines:
            raise CheckpointError(f"{name} is not what was written")


def _check_rest(rest: dict[str, Any], model: DiT, state: TrainState, step: int) -> None:
    if type(rest["step"]) is not int or rest["step"] != step:
        raise ValueError(f"says step {rest['step']}")
    expected = {name: value.shape for name, value in state.model.state_dict().items()}
    if {name: value.shape for name, value in model.state_dict().items()} != expected:
        raise ValueError("is of a model of another shape")
    weights = [weight for group in state.optimiser.param_groups for weight in group["params"]]
    moments = rest["optimiser"]["state"]
    if sorted(moments) != list(range(len(weights))):
        raise ValueError("the moments are not those of the weights")
    for number, weight in enumerate(weights):
        if any(moments[number][name].shape != weight.shape for name in ("exp_avg", "exp_avg_sq")):
            raise ValueError("the moments have other shapes than the weights")
    if not isinstance(rest["optimiser"]["param_groups"], list) or "scaler" not in rest:
        raise ValueError("optimiser.pt lacks a part")
