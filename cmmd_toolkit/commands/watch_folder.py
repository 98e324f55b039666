"""`cmmd watch`: the looks in a run's folder, scored as they appear; a later process goes on from their record."""

import glob
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..common.files import check_writable
from ..common.locks import try_lock
from ..common.processes import current_processes
from ..common.text import any_word
from ..errors import BackboneError, CmmdError, InputError
from ..estimation.kernel_device import kernels_on
from ..features.feature_set import FeatureSet
from ..features.features import Features
from ..features.unit_rows import SomeRows
from ..metrics.mmd import Bandwidth
from ..report.watching import Look, Watching
from ..sets.embed_sets import EmbeddedSets, embed_set, embed_sets
from ..sets.open_sets import open_sets
from ..sets.recipes import find_recipe
from ..sets.run import Run
from ..sets.side import check_rows, open_side
from .watch import Watch
from .watched_folder import WatchedFolder

_PAUSE = 0.2  # seconds between two looks at the clock


@dataclass
class FolderWatch:
    """A folder that is watched: `looks` yields each look once its samples are whole, and the record is saved before.

    Both the record and what is made of it are written while it is `held`.

    Args:
        reference: as in `compare`; folder: of the run; run: how pictures are read and embedded.
        file: of the record. Where it exists its looks are not scored again.
        alpha, bandwidth: as in `Watch`.
    """

    reference: str
    folder: WatchedFolder
    run: Run
    file: Path
    alpha: float = 0.05
    bandwidth: Bandwidth | None = None
    warnings: list[str] = field(default_factory=list)
    _watch: Watch | None = None
    _before: Watching | None = None
    _embedded: FeatureSet | None = None  # the reference
    _made: Mapping[str, Any] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if current_processes().count > 1:
            raise InputError("watching is done by one process; start it without torchrun, beside the job")
        Watch([[0.0], [1.0]] * 10, alpha=self.alpha, bandwidth=self.bandwidth or "median")  # refuses in time
        check_writable(self.file)
        self._side = open_side(self.reference, find_recipe(self.run.recipe), self.run)
        check_rows([self._side], "watching")
        if self.file.exists():
            self._before = self._checked(Watching.load(self.file))
            self.warnings = list(self._before.warnings)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The record belongs to this process inside. Raises InputError where another one holds it."""
        lock = try_lock(self.file.with_name(f".{self.file.name}.lock"))
        if lock is None:
            raise InputError(f"{self.file}: another process is watching with this record; end it, or name another file")
        try:
            self._remove_old()
            yield
        finally:
            lock.release()

    @property
    def record(self) -> Watching | None:
        """What was seen so far, None before the first look of all."""
        if self._watch is None:
            return None if self._before is None else replace(self._before, warnings=tuple(self.warnings))
        return self._watch.record(self._side.label, self.warnings, self._made)

    def looks(self, *, every: float, once: bool = False, idle: float | None = None) -> Iterator[Look | str]:
        """Each new look, and sentences on what is odd about it or why it cannot be scored, until the run is over.

        Args:
            every: seconds between two visits of the folder; once: visit it once.
            idle: end when nothing new was whole for so many seconds, and nothing is being written.

        Raises:
            InputError: the reference cannot be read; the record cannot be written.
        """
        last = time.monotonic()
        while True:
            for path in self.folder.finished(self._known()):
                self.warnings = [text for text in self.warnings if not text.startswith(_not_scored(path))]
                told = len(self.warnings)
                look = self._scored(path)
                yield from self.warnings[told:]
                if look is not None:
                    yield look
                last = time.monotonic()
            is_over = idle is not None and time.monotonic() - last >= idle
            if once or (is_over and not self.folder.settling(self._known())):
                return
            _wait(every)

    def _known(self) -> set[str]:
        """The names of what was scored or refused."""
        record = self.record
        return self._refused | ({look.name for look in record.looks} if record else set())

    def _scored(self, path: Path) -> Look | None:
        """The look, saved in the record; None, and a warning that says why, where its samples are at fault."""
        with kernels_on(self.run.device):
            try:
                embedded = self._embedded_with(path)
            except CmmdError as error:
                self._refuse(path, error)
                return None
            if self._watch is None:
                self._begin(embedded)
            assert self._watch is not None
            best = self._watch.best
            try:
                look = self._watch.look(embedded.mmd_rows(1), path.name)
            except CmmdError as error:
                self._refuse(path, error)
                return None
            self._warn(embedded, path)
            self._save(embedded, new_best=self._watch.best != best)
            return look

    def _embedded_with(self, path: Path) -> EmbeddedSets:
        """A look beside the reference, which is embedded with the first of them."""
        sets = open_sets(self.reference if self._embedded is None else self._embedded, str(path), self.run)
        sets.sides[0].rename(self._side.label)
        return embed_sets(sets, self.bandwidth)

    def _refuse(self, path: Path, error: CmmdError) -> None:
        """Note why samples are not scored; raises `error` where not they but reference or options are at fault."""
        if self._watch is None and self._embedded is None:
            if not isinstance(error, (InputError, BackboneError)):
                raise error
            if self._side.source is not None:
                self._embedded = embed_set(self.reference, self.run)  # what fails here is no look's fault
        self._refused.add(path.name)
        self.warnings.append(f"{_not_scored(path)}{error}")
        if (record := self.record) is not None:
            record.save(self.file)

    def _begin(self, embedded: EmbeddedSets) -> None:
        """The reference as embedded with the first look of this process, and the looks of an earlier one."""
        recipe, seed = embedded.recipe, self.run.seed
        watch = Watch(embedded.mmd_rows(0), alpha=self.alpha, bandwidth=recipe.bandwidth_or(self.bandwidth), seed=seed)
        self._made = embedded.provenance(["mmd"])
        if self._side.source is not None:
            self._embedded = _feature_set(embedded, 0)
        if self._before is not None and self._before.looks:
            _check_same(self.file, self._before, watch.record(self._side.label))
            watch.go_on(self._before, self._kept(embedded))
        self._watch = watch

    def _kept(self, embedded: EmbeddedSets) -> dict[str, SomeRows]:
        """The features of the best look, as they were saved."""
        assert self._before is not None
        file = self._best_file(self._before)
        if not file.exists():
            raise InputError(f"{file}: is gone, and with it the features of the best look; start another record")
        kept = FeatureSet.load(file)
        return {name: embedded.recipe.mmd_rows(kept[name]) for name in embedded.backbones}

    def _save(self, embedded: EmbeddedSets, *, new_best: bool) -> None:
        """The features of a new best first, under a name of their own: killed in between, record and features agree."""
        record = self.record
        assert record is not None
        if new_best:
            _feature_set(embedded, 1).save(self._best_file(record))
        record.save(self.file)
        self._remove_old()

    def _remove_old(self) -> None:
        """The features of earlier best looks, also those that a killed process left."""
        record = self.record
        kept = None if record is None or record.best is None else self._best_file(record)
        for old in self.file.parent.glob(f"{glob.escape(self.file.stem)}.best-*.safetensors"):
            if old != kept:
                old.unlink(missing_ok=True)

    def _best_file(self, record: Watching) -> Path:
        assert record.best is not None
        place = record.looks.index(record.best) + 1
        return self.file.with_name(f"{self.file.stem}.best-{place:06d}.safetensors")

    def _checked(self, record: Watching) -> Watching:
        if record.alpha != self.alpha:
            raise InputError(
                f"{self.file}: is the record of a run at alpha {record.alpha}, not {self.alpha}; the level of a run is "
                "fixed before its first look: use the same, or name another file"
            )
        size = self._side.size if self.run.on_error == "fail" else None  # else some may be left out
        if record.looks and size is not None:
            _check_one(self.file, "reference sizes", record.n_reference, size)
        return record

    def _warn(self, embedded: EmbeddedSets, path: Path) -> None:
        """What is odd about the sets, once for all looks of which it is the same but for their names."""
        looks = () if self.record is None else self.record.looks
        nameless = partial(any_word([path.name, *(look.name for look in looks)]).sub, "")
        known = set(map(nameless, self.warnings))
        generated = embedded.sides[1].label
        for warning in embedded.warnings:
            text = warning.replace(generated, path.name)
            if nameless(text) not in known:
                self.warnings.append(text)


def _not_scored(path: Path) -> str:
    """How the warning about samples begins that could not be scored."""
    return f"{path.name} was not scored: "


def _feature_set(embedded: EmbeddedSets, side: int) -> FeatureSet:
    """The features of one set."""
    found = dict(zip(embedded.backbones, embedded.features[side], strict=True))
    return FeatureSet({name: own for name, own in found.items() if isinstance(own, Features)})


def _check_same(file: Path, before: Watching, now: Watching) -> None:
    """Raise InputError where a record was made under another ruler."""
    for name, what in (
        ("backbones", "backbones"),
        ("n_reference", "reference sizes"),
        ("bandwidths", "bandwidths"),
    ):
        _check_one(file, what, getattr(before, name), getattr(now, name))


def _check_one(file: Path, what: str, was: Any, has: Any) -> None:
    if was != has:
        raise InputError(
            f"{file}: is the record of a run started with different {what}, {was} and not {has}; use the same "
            "options and reference, or name another file"
        )


def _wait(seconds: float) -> None:
    """In short sleeps, which Ctrl-C ends."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _PAUSE))
