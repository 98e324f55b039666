"""From pictures and options to a run that is ready to start."""

import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmmd_toolkit.common.progress import ShowProgress, show_no_progress

from ..common.types import check_record
from ..data.batches import Examples, PixelExamples, make_batch
from ..data.latents import LatentExamples, encode_pictures
from ..data.pictures import Pictures, load_pictures
from ..data.pixels import digest_of
from ..data.reading import Reading
from ..diffusion.paths import training_times
from ..diffusion.schedule import NUM_TRAIN_TIMESTEPS
from ..errors import ArgumentError, CheckpointError, DataError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.process import DIT_PROCESS, Flow, Process, process_fields
from ..sampling.quiet import Say, say_nothing
from ..weights.autoencoder import DEFAULT as DEFAULT_AUTOENCODER, Autoencoder, load_autoencoder
from ..weights.latent_stats import lacks_stats, with_latent_stats
from .accelerator import make_accelerator, processes_of
from .evaluation import Evaluation, features_of, shared_rows, unit_rows
from .folder import RunFolder
from .initial import Initial, initial_config, initial_process, read_initial
from .loop import MakeBatch, TrainState
from .options import LEAST_SCORED, TrainOptions
from .run import TrainRun


def make_run(
    pictures: Any,
    out: str | os.PathLike[str],
    options: TrainOptions | None = None,
    *,
    say: Say = say_nothing,
    show_progress: ShowProgress = show_no_progress,
) -> TrainRun:
    """A training run on a folder of pictures, everything checked; its `run()` trains to the end.

        run = make_run("photographs/", "run/", TrainOptions.preset("small", attention="swa"))
        finished = run.run()

    Checks every picture and keeps all in memory, uint8 (N, size, size, channels), or decodes each as needed if they
    take more than `options.memory`; the resulting weights are the same. Builds the model, and encodes latents if the
    model uses latents. An unfinished run with equal options in the folder is resumed, bit for bit on a CPU. accelerate
    keeps one device and one precision per process, and the global seed is set.

    Args:
        pictures: a folder, read with all below it, or any other set of pictures that `cmmd_toolkit` reads; with
            `conditional` the first folders of their names are the classes.
        out: folder of the run: checkpoints, run.json, log.jsonl, sheets and scores. Made by `run()`.
        options: see `TrainOptions`; None is an unconditional DiT-B/4 on latents.
        say: is called with one line for everything that a user wants to know.
        show_progress: a context manager of a name and a total, which gives a function to call with what is done.

    Raises:
        ArgumentError: options that are invalid, together or on this machine.
        DataError: pictures that are absent, unreadable or too few.
        CheckpointError: an autoencoder that cannot be read.
        EvaluationError: a backbone that cannot be used here.
        OutputError: `out` holds something else, or a run with other options.
    """
    out, options = Path(out), TrainOptions() if options is None else options
    check_record("options", options, TrainOptions)
    begun = RunFolder(out, _asked(options))  # refused before pictures or an autoencoder are looked for
    accelerator = make_accelerator(options)
    options.share(0, 0, accelerator.num_processes)
    processes = processes_of(accelerator)
    say = say if processes.is_main else say_nothing
    reading = Reading(options.memory, options.workers, _beside(out, ".pictures"), processes, show_progress)
    data, held_out = _read_pictures(pictures, options, reading, begun.recorded("picture_digests_sha256"))
    if len(set(processes.gather(data.sha256))) > 1:
        raise DataError(f"{out}: its processes see different pictures; give all of them the same set")
    _warn_of_pictures(pictures, data, out, say)
    autoencoder = _load_autoencoder(options, accelerator.device) if options.space == "latent" else None
    initial = _initial(options, data, autoencoder)
    if told := lacks_stats(initial.checkpoint, autoencoder):
        say(told)
    _check_flow(options, initial.process, initial.config.in_channels)
    run_folder = RunFolder(out, _identity(initial, options, data))
    state = TrainState.start(initial(), options)
    config = initial.config
    config.attention_settings.build(config.depth, config.grid, accelerator.device)  # or it cannot run here
    if options.sample_every or options.eval_every:
        options.sampling.check(state.model)
    examples = _examples(data, options, autoencoder, out, accelerator, show_progress)
    return TrainRun(
        pictures=data,
        options=options,
        state=state,
        make=_batches(options, examples, data, initial),
        initial=initial,
        folder=run_folder,
        accelerator=accelerator,
        say=say,
        autoencoder=autoencoder,
        evaluation=None if held_out is None else _evaluation(held_out, options, autoencoder, accelerator),
    )


def _warn_of_pictures(source: Any, data: Pictures, out: Path, say: Say) -> None:
    if data.skipped:
        first = data.skipped[0].replace(" or use `on_error='skip'`", "")  # which was done
        say(f"warning: {len(data.skipped)} pictures are left out, the first: {first}")
    if isinstance(source, (str, os.PathLike)) and out.resolve().is_relative_to(Path(source).resolve()):
        say(
            f"warning: {out} lies in {source}: images drawn there would count as training pictures when "
            "the run is resumed; name a folder outside"
        )


def _read_pictures(
    source: Any, options: TrainOptions, reading: Reading, before: str | None
) -> tuple[Pictures, Pictures | None]:
    """Those to train on, whose hash was `before` where the run is resumed, and those held out for scores."""
    name = source if isinstance(source, (str, os.PathLike)) else type(source).__name__
    found = load_pictures(
        source,
        options.image_size,
        channels=options.channels,
        crop=options.crop,
        conditional=options.conditional,
        max_pixels=options.max_pixels,
        on_error=options.on_error,
        reading=reading,
    )
    held_out = None
    if options.eval_every is not None:
        chosen = _held_out(found.labels, options.held_out, options.seed)
        # Earlier versions might hold out the whole of a class.
        earlier = _held_out(np.zeros_like(found.labels), options.held_out, options.seed)
        if digest_of(np.delete(found.digests, earlier, axis=0)).hex() == before:
            chosen = earlier
        if len(chosen) < LEAST_SCORED:
            raise DataError(
                f"{name}: `held_out={options.held_out}` of {len(found)} pictures leaves {len(chosen)} to score with"
            )
        left = sorted({*range(len(found))} - {*chosen})
        skipped, held_out = found.skipped, found.subset(chosen)
        found = dataclasses.replace(found.subset(left), skipped=skipped)
    if len(found) < options.batch_size:
        raise DataError(
            f"{name}: {len(found)} pictures are too few for a batch of {options.batch_size}; use a smaller `batch_size`"
        )
    return found, held_out


def _held_out(labels: NDArray[np.int64], share: float, seed: int) -> list[int]:
    """Places of a random share of the pictures, rising; the last picture of a class is left to train on."""
    order, wanted = np.random.default_rng(seed).permutation(len(labels)).tolist(), round(len(labels) * share)
    left, chosen = np.bincount(labels), list[int]()
    for place in order:
        if len(chosen) < wanted and left[labels[place]] > 1:
            left[labels[place]] -= 1
            chosen.append(place)
    return sorted(chosen)


def _load_autoencoder(options: TrainOptions, device: torch.device) -> Autoencoder:
    try:
        found = load_autoencoder(options.autoencoder or DEFAULT_AUTOENCODER, device)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; the latents need an autoencoder: give `autoencoder=PATH`, or train in pixels with "
            "`space='pixel'`, as `preset=small` does"
        ) from error
    return with_latent_stats(found, options.latent_stats) if options.latent_stats else found


def _initial(options: TrainOptions, data: Pictures, autoencoder: Autoencoder | None) -> Initial:
    size, channels = options.image_size, int(options.channels)
    if autoencoder is not None:
        mean, _ = autoencoder.encode(torch.zeros(1, 3, size, size, device=autoencoder.device))
        _, channels, size, _ = mean.shape
    record = None if autoencoder is None else AutoencoderRecord.of(autoencoder)
    if options.init is None:
        config = options.config(size, channels, len(data.classes))
        process = Flow() if options.objective == "velocity" else DIT_PROCESS
        return Initial(config, options.seed, None, record, process)
    checkpoint = read_initial(options.init, autoencoder)
    config = initial_config(checkpoint, options, size, channels, len(data.classes))
    return Initial(config, options.seed, checkpoint, record, initial_process(checkpoint, options))


def _batches(options: TrainOptions, examples: Examples, data: Pictures, initial: Initial) -> MakeBatch:
    make = partial(make_batch, options.seed, examples=examples, labels=data.labels)
    dropout, flow = initial.config.class_dropout_prob, initial.process
    if not isinstance(flow, Flow):
        return partial(make, num_timesteps=NUM_TRAIN_TIMESTEPS, dropout=dropout)
    times = partial(training_times, flow=flow, sampling=options.timestep_sampling)
    return partial(make, num_timesteps=None, dropout=dropout, times=times)


def _check_flow(options: TrainOptions, process: Process, channels: int) -> None:
    """Raise ArgumentError for options of a velocity where the network learns noise, or there is no direction."""
    if not isinstance(process, Flow):
        for name in ("timestep_sampling", "direction_loss"):
            if getattr(options, name) != getattr(TrainOptions, name):
                raise ArgumentError(
                    f'{name}: is for `objective="velocity"`, and this network learns noise; leave it out'
                )
    if options.direction_loss and channels == 1:
        raise ArgumentError("direction_loss: one channel has no direction; leave it out")


def _identity(initial: Initial, options: TrainOptions, data: Pictures) -> dict[str, Any]:
    """What must not change when a run is resumed."""
    identity = {
        **dataclasses.asdict(initial.config),
        **_asked(options),
        "process": process_fields(initial.process),
        "initial_weights_sha256": initial.weights_sha256,
        "pictures": len(data),
        "picture_digests_sha256": data.sha256,
        "classes": list(data.classes),
    }
    if options.learning_rate_schedule != "constant":
        identity["steps"] = options.steps_for(len(data))  # which the schedule ends at
    if initial.record:
        identity["autoencoder"] = dataclasses.asdict(initial.record)
    return identity


def _asked(options: TrainOptions) -> dict[str, Any]:
    """What of it is known before pictures are read."""
    names = ("space", "image_size", "crop", "flip", "conditional")
    return {**{name: getattr(options, name) for name in names}, **dataclasses.asdict(options.settings)}


def _examples(
    data: Pictures,
    options: TrainOptions,
    autoencoder: Autoencoder | None,
    out: Path,
    accelerator: Any,
    show_progress: ShowProgress,
) -> Examples:
    if autoencoder is None:
        return PixelExamples(data.pixels, options.image_size, flip=options.flip)
    cache = Path(options.latents or _beside(out, ".latents"))
    processes = processes_of(accelerator)
    latents = encode_pictures(
        data.pixels, autoencoder, cache, accelerator.device, show_progress, digest=data.sha256, processes=processes
    )
    return LatentExamples(latents, flip=options.flip)


def _beside(out: Path, suffix: str) -> Path:
    """run/ -> run.latents; a folder that is named by its place, as by a dot, has a name, too."""
    named = out if out.name not in ("", "..") else out.resolve()
    return named.parent / (named.name + suffix)


def _evaluation(
    held_out: Pictures, options: TrainOptions, autoencoder: Autoencoder | None, accelerator: Any
) -> Evaluation:
    def features(mine: range) -> NDArray[np.float32]:
        return features_of(held_out.pixels.__getitem__, mine, options.eval_backbone, size=options.image_size)

    reference = unit_rows(shared_rows(features, len(held_out), processes_of(accelerator)))
    return Evaluation(reference, options.eval_backbone, options.eval_images, options.sampling, autoencoder)
