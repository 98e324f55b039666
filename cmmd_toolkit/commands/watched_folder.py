"""The folder of a run: which looks are in it, and which of them nobody writes to any more."""

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..pictures.sources.names import is_picture_name
from ..report.watching import step_of

RECORD = "cmmd-watch.json"
_FILES = (".zip", ".tar", ".tar.gz", ".tgz", ".npz", ".npy", ".parquet")
_KEPT = "evaluations"  # where a run of dit-gen keeps the samples it was scored on
State = tuple[int, int, float]  # files, bytes, when the last of them was written


@dataclass
class WatchedFolder:
    """A folder whose entries are looks: folders that hold pictures, and archives or batches of them.

    In a run of dit-gen that was told to keep its evaluations they are those in its folder evaluations/.

    Args:
        path: the folder; it may still be empty.
        settle: seconds for which nothing in an entry has changed before it is taken as finished; 0 takes all.

    Raises InputError where there is no such folder, or a run that keeps no samples.
    """

    path: Path
    settle: float = 0.0
    _states: dict[str, tuple[State, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            reason = "is not a folder" if self.path.exists() else "no such folder"
            raise InputError(f"{self.path}: {reason}; give the folder in which the folders of samples appear")
        if (self.path / "run.json").is_file() and (self.path / "checkpoints").is_dir():
            if not (self.path / _KEPT).is_dir():
                raise InputError(
                    f"{self.path}: a run of dit-gen that keeps no samples; train with `keep_evaluations`, or give a "
                    "folder in which folders of samples appear"
                )
            self.path = self.path / _KEPT

    def looks(self) -> list[Path]:
        """Every entry that may be a look, by its step and name."""
        found = [Path(entry.path) for entry in os.scandir(self.path) if entry.name[0] != "." and _may_be_look(entry)]
        return sorted(found, key=lambda path: (step_of(path.name, -1), path.name))

    def finished(self, known: Collection[str] = ()) -> list[Path]:
        """Those not changed for `settle` seconds, by the clock of the disk or since they were first seen so.

        Those whose names are `known` are neither looked into nor among them.
        """
        return [path for path in self.looks() if path.name not in known and self._is_finished(path)]

    def settling(self, known: Collection[str] = ()) -> list[Path]:
        """Those that hold something and have changed too lately; `known` as in `finished`."""
        new = (path for path in self.looks() if path.name not in known)
        return [path for path in new if not self._is_finished(path) and self._holds_something(path)]

    def unfinished(self) -> int:
        """How many entries are still being written, or have only just been."""
        return len(self.looks()) - len(self.finished())

    def _is_finished(self, path: Path) -> bool:
        try:
            state = _state(path)
        except OSError:  # it goes while it is looked at
            return False
        now = time.monotonic()
        before = self._states.get(path.name)
        if before is None or before[0] != state:
            self._states[path.name] = before = (state, now)
        return state[0] > 0 and (time.time() - state[2] >= self.settle or now - before[1] >= self.settle)

    def _holds_something(self, path: Path) -> bool:
        return path.name in self._states and self._states[path.name][0][0] > 0


def _may_be_look(entry: "os.DirEntry[str]") -> bool:
    try:
        if entry.is_dir():
            return any(is_picture_name(name) for name, _ in _files(Path(entry.path)))
    except OSError:
        return False
    return entry.name.lower().endswith(_FILES)


def _state(path: Path) -> State:
    if path.is_file():
        own = path.stat()
        return 1, own.st_size, _written(own)
    every = [own for _, own in _files(path)]
    return len(every), sum(own.st_size for own in every), max(map(_written, every), default=0.0)


def _written(own: os.stat_result) -> float:
    """When a file came to be as it is: a copy that keeps the times of its source (cp -p, rsync -a) has an old mtime."""
    return max(own.st_mtime, own.st_ctime)


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Names and states of all files in a folder that are not hidden; those of its temporaries are."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in names:
            if name[0] != ".":
                yield name, Path(place, name).stat()
