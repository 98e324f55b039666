"""The folder of a training run: whole checkpoints, settings, and a log that is cut where a run is resumed.

RUN/run.json                      settings of the run
RUN/log.jsonl                     a line a logged step, and a line a fault
RUN/checkpoints/00000100/         see checkpoint.py; a damaged one is set aside as 00000100.damaged
RUN/best/ema.safetensors          the average with the best score, where scores are taken
RUN/evaluations/00000100.npz      the samples of a score, where they are kept: `cmmd watch` takes RUN
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.common.writing import remove_folder, remove_leftovers, replacing

from ..common.files import check_ends, read_json, remove, write_json
from ..errors import CheckpointError, OutputError
from ..sampling.folder import differences
from ..weights.checkpoint import checkpoints_in, save_checkpoint
from .checkpoint import Saved, is_regular, read_saved, settings_in, write_saved
from .faults import Faults
from .loop import TrainState

_KEPT = 2


class RunFolder:
    """Files of one run. `settings` are JSON values that must not change when it is resumed."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self._check()

    def recorded(self, name: str) -> Any:
        """What a run that was begun here wrote down as this setting; None where there is none."""
        before = self._settings_before() if self.path.is_dir() else None
        return None if before is None else before.get(name)

    def create(self) -> str | None:
        """Write the settings down, before anything else; the folder is there and held by this process.

        Returns what was wrong with run.json, where a checkpoint had to say what it should hold.
        """
        self._check()  # another run may have begun in it since
        record = self.path / "run.json"
        damaged = bool(checkpoints_in(self.path)) and read_json(record) != self.settings
        for name in ("checkpoints", "best", "samples", "evaluations"):
            remove_leftovers(self.path / name)
        write_json(self.settings, record)
        (self.path / "checkpoints").mkdir(exist_ok=True)
        return f"{record}: was missing or damaged; written again from a checkpoint" if damaged else None

    def save(self, state: TrainState, scaler: Any, *, regular: bool) -> Path:
        """Write a checkpoint of the state; it appears whole, and older ones go."""
        target = self.path / "checkpoints" / f"{state.step:08d}"
        if not target.exists():
            write_saved(target, state, scaler, self.settings, regular=regular)
        self.remove_old()
        return target

    def remove_old(self) -> None:
        """Remove all checkpoints but the last two and the last regular one.

        For the state to go back to must not depend on when a run was stopped.
        """
        saved = checkpoints_in(self.path)
        last_regular = next((path for path in reversed(saved) if is_regular(path)), None)
        for old in saved[:-_KEPT]:
            if old != last_regular:
                remove_folder(old)

    def save_best(self, state: TrainState) -> None:
        """Keep the average as the best so far."""
        (self.path / "best").mkdir(exist_ok=True)
        save_checkpoint(state.average, self.path / "best" / "ema.safetensors")

    @property
    def evaluations(self) -> Path:
        """Where the samples of scores are kept."""
        return self.path / "evaluations"

    def keep_evaluation(self, step: int, pictures: NDArray[np.uint8]) -> None:
        """Keep the samples of a score, uint8 (N, H, W, channels), as RGB; the file appears whole."""
        self.evaluations.mkdir(exist_ok=True)
        rgb = np.broadcast_to(pictures, (*pictures.shape[:3], 3))
        with replacing(self.evaluations / f"{step:08d}.npz") as temporary, temporary.open("wb") as stream:
            np.savez(stream, arr_0=rgb)

    def find(self, state: TrainState, *, regular: bool = False) -> tuple[Saved | None, dict[Path, CheckpointError]]:
        """The latest whole checkpoint (of the regular ones), and later ones with what is wrong with them."""
        damaged: dict[Path, CheckpointError] = {}
        for path in reversed(checkpoints_in(self.path)):
            if regular and not is_regular(path):
                continue
            try:
                return read_saved(path, state), damaged
            except CheckpointError as error:
                damaged[path] = error
        return None, damaged

    def remove_after(self, step: int) -> None:
        """Remove the checkpoints of later steps."""
        for path in checkpoints_in(self.path):
            if int(path.name) > step:
                remove_folder(path)

    def set_aside(self, checkpoint: Path) -> Path:
        """Rename a damaged checkpoint, so that nothing takes it for one; returns its new path."""
        aside = checkpoint.with_name(f"{checkpoint.name}.damaged")
        remove(aside)
        return checkpoint.rename(aside)

    def log(self, entry: dict[str, Any]) -> None:
        """Append one line."""
        with (self.path / "log.jsonl").open("a") as file:
            file.write(_line(entry))

    def entries(self) -> list[dict[str, Any]]:
        """The log's lines, but for damaged ones."""
        return self._read_log()[0]

    def cut_log(self, step: int, *more: dict[str, Any]) -> int:
        """Leave out what was logged after `step`: it will be logged again. Returns the number of damaged lines."""
        entries, damaged = self._read_log()
        kept = [entry for entry in entries if entry["step"] <= step]
        with replacing(self.path / "log.jsonl") as temporary:
            temporary.write_text("".join(map(_line, [*kept, *more])))
        return damaged

    def faults(self, step: int, saved: Faults) -> Faults:
        """Those of the checkpoint at `step`, and those that went back to it and were logged since."""
        found = saved
        for entry in self.entries():
            if "faults" in entry and entry["step"] <= step:
                try:
                    found = max(found, Faults.from_dict(entry["faults"]), key=lambda faults: len(faults.skipped))
                except (KeyError, TypeError, ValueError):
                    continue  # they will be found again
        return found

    def best_score(self, step: int) -> float:
        """The lowest score up to a step, or infinity."""
        entries = [entry for entry in self.entries() if entry["step"] <= step]
        scores: list[Any] = [entry.get(name) for entry in entries for name in ("score", "best_score")]
        return min((float(score) for score in scores if is_number(score)), default=math.inf)

    def _read_log(self) -> tuple[list[dict[str, Any]], int]:
        """Entries, and how many lines are none; half a line at the end is what a kill leaves."""
        path = self.path / "log.jsonl"
        check_ends(path)
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        parsed = [_parse(line) for line in lines[:-1]]
        found = [entry for entry in parsed if entry is not None]
        return found, len(parsed) - len(found)

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file; name a folder")
        if not self.path.is_dir():
            return
        before = self._settings_before()
        if before is None:
            return
        if different := differences(before, self.settings):
            raise OutputError(
                f"{self.path}: was started with different settings ({', '.join(different[:3])}); give the same "
                "settings, the `preset` too, or a new folder"
            )

    def _settings_before(self) -> dict[str, Any] | None:
        """What the folder was begun with: from a checkpoint, which is verified, else from run.json."""
        for path in reversed(checkpoints_in(self.path)):
            if (settings := settings_in(path)) is not None:
                return settings
        record = self.path / "run.json"
        if not record.exists():
            if any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise OutputError(f"{self.path}: is not empty and holds no run.json; name a new folder")
            return None
        settings = read_json(record)
        if not isinstance(settings, dict):
            raise OutputError(f"{record}: is damaged, and no checkpoint says what it held; name another folder")
        return settings


def _line(entry: dict[str, Any]) -> str:
    """JSON has no NaN and no infinity: null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in entry.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and type(entry.get("step")) is int else None


def is_number(value: Any) -> bool:
    """Whether a value of the log is a finite number."""
    return type(value) in (int, float) and abs(value) < 1e300
