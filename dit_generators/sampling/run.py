"""A run of sampling into a folder: resumable, the same pictures however it is cut up."""

import dataclasses
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.common.files import sha256
from cmmd_toolkit.common.progress import Advance, ShowProgress, show_no_progress

from ..common.agreement import check_agreement
from ..common.files import locked
from ..common.processes import Processes
from ..common.types import check_least
from ..diffusion.noise import stream_seed
from ..errors import CheckpointError
from ..network.model import DiT
from ..network.process import process_fields
from ..weights.autoencoder import Autoencoder, check_latents
from ..weights.digest import weights_digest
from .folder import SampleFolder
from .sample import SampleSettings, check_noise, makes_pixels, sample_states, to_pixels
from .writer import picture_writer

Finish = Callable[[SampleFolder], None]
_LIBRARIES = ("cmmd-toolkit", "torch", "diffusers", "numpy")


@dataclass(frozen=True)
class SampleRun:
    """What to make and where; `source` names the checkpoint for people, its weights are hashed for the record."""

    model: DiT
    settings: SampleSettings
    out: Path
    num: int
    batch_size: int
    source: str
    autoencoder: Autoencoder | None = None
    preview_every: int | None = None
    weights_sha256: str | None = None  # of the model, where the caller has it already

    def __post_init__(self) -> None:
        check_least(self, 1, "num", "batch_size", "preview_every")
        self.settings.check(self.model)
        check_noise(self.settings, self.model, self.num)
        if not makes_pixels(self.model) and self.autoencoder is None:
            raise CheckpointError("the model makes latents; give an autoencoder")
        if self.autoencoder is not None:
            check_latents(self.model, self.autoencoder)

    def identity(self) -> dict[str, Any]:
        """All that decides the pictures, as JSON."""
        settings, vae = dataclasses.asdict(self.settings), self.autoencoder
        if isinstance(self.settings.labels, tuple | list):
            settings["labels"] = list(self.settings.labels)
        noise = settings.pop("noise")
        settings["sampler"] = sampler = self.settings.sampler_for(self.model.process)
        for name in ("steps",) if sampler == "dopri5" else ("rtol", "atol"):  # which says nothing
            del settings[name]
        settings["noise_sha256"] = noise and sha256(Path(noise))
        interval = self.settings.guidance.interval
        settings["guidance"]["interval"] = None if interval is None else list(interval)
        return {
            "weights_sha256": self.weights_sha256 or weights_digest(self.model.state_dict()),
            "model": dataclasses.asdict(self.model.config),
            "process": process_fields(self.model.process),
            "attention": self.model.attention_settings.canonical(),
            **settings,
            "autoencoder": vae
            and {"weights_sha256": vae.weights_sha256, **vae.factors, "vae_precision": vae.precision},
        }


@dataclass(frozen=True)
class SampleResult:
    """What a run did: pictures made now, those that were there already, the seconds it took, and its files."""

    made: int
    found: int
    seconds: float
    folder: SampleFolder


def run_sampling(
    run: SampleRun, processes: Processes, show_progress: ShowProgress, finish: Finish | None = None
) -> SampleResult:
    """Make the pictures that are missing in the run's folder; each process takes its share of them.

    `finish` writes what stands beside the folder: in the main process, while the folder is still held.

    Raises OutputError when the folder holds another run. What is finished stays, whatever stops this.
    """
    folder = SampleFolder(run.out, run.identity(), run.source)
    processes.wait()  # every process has looked at the folder before one of them changes it
    with ExitStack() as held:
        if processes.is_main:
            held.enter_context(locked(run.out))
            folder.create(_record(run, folder))
        result = _fill(run, folder, processes, show_progress)
        if finish is not None and processes.is_main:
            finish(folder)
        return result


def remarks(run: SampleRun, result: SampleResult) -> list[str]:
    """What whoever scores the folder has to know: more images than were asked for, classes of unequal number."""
    found, classes = [], run.model.config.num_classes
    if (there := result.folder.recorded_images) > run.num:
        found.append(
            f"warning: {run.out}: holds {there} images, {there - run.num} more than `num`; a score would use all"
        )
    if run.settings.labels == "all" and run.num % classes:
        found.append(f"warning: {run.num} is not a multiple of {classes} classes: images per class differ by one")
    return found


def _fill(run: SampleRun, folder: SampleFolder, processes: Processes, show_progress: ShowProgress) -> SampleResult:
    """Make this process's share of what is missing."""
    processes.wait()
    check_agreement(run.out, folder.identity | {"num": run.num}, processes)
    missing = folder.missing(run.num)
    processes.wait()  # and has seen the same pictures before any makes new ones
    mine = missing[processes.rank :: processes.count]
    start = time.perf_counter()
    show = show_progress if mine else show_no_progress
    with show(str(run.out), len(mine)) as advance, picture_writer(folder) as write:
        for first in range(0, len(mine), run.batch_size):
            indices = mine[first : first + run.batch_size]
            write(indices, _make_batch(run, folder, indices, advance))
    processes.wait()
    seconds = time.perf_counter() - start
    if processes.is_main:
        timing = {"images": len(missing), "seconds": seconds} if missing else folder.timing
        folder.write_record(_record(run, folder) | {"complete": True, "timing": timing})
    return SampleResult(len(missing), run.num - len(missing), seconds, folder)


def _make_batch(run: SampleRun, folder: SampleFolder, indices: list[int], advance: Advance) -> NDArray[np.uint8]:
    done = 0.0  # share of the steps, whose number may be a guess
    for steps, step in enumerate(sample_states(run.model, run.settings, indices), start=1):
        last, before = step.index == 0, done
        done = max(done, steps / (steps + step.index))
        advance(len(indices) * (done - before))
        if run.preview_every and not last and steps % run.preview_every == 0:
            folder.write_preview(list(to_pixels(step.x_0, run.autoencoder)))
    return to_pixels(step.x, run.autoencoder)


def _record(run: SampleRun, folder: SampleFolder) -> dict[str, Any]:
    config, settings = run.model.config, run.settings
    images = [
        {
            "file": folder.file(i).name,
            "seed": stream_seed(settings.seed, i),
            "label": settings.label(i, config.num_classes),
        }
        for i in range(max(run.num, folder.recorded_images))
    ]
    return {
        "checkpoint": run.source,
        "autoencoder_source": run.autoencoder.source if run.autoencoder else None,
        "attention_pattern": run.model.attention_settings.pattern,
        "device": str(run.model.pos_embed.device),
        "batch_size": run.batch_size,
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
        "complete": False,
        "images": images,
    }
