"""From the options of `dit-gen train` to a run that is ready to start."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..common.progress import show_progress
from ..common.shell import say
from ..data.batches import Example, make_batch, pixel_example
from ..data.latents import encode_pictures, latent_example
from ..data.pictures import Pictures, load_pictures
from ..diffusion.guidance import Guidance
from ..errors import ArgumentError, DataError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.config import DiTConfig
from ..network.model import DiT
from ..sampling.sample import NUM_TRAIN_TIMESTEPS, SampleSettings
from ..training.evaluation import Evaluation, features_of, unit_rows
from ..training.folder import RunFolder
from ..training.loop import TrainSettings, TrainState
from ..training.run import Schedule, TrainRun, forecast
from ..weights.autoencoder import Autoencoder, load_autoencoder

# The report trains an unconditional DiT-B/4 on 256-pixel latents; "small" is for two cores and an hour.
PRESETS: dict[str, dict[str, Any]] = {
    "report": {
        "model": "DiT-B/4", "image_size": 256, "space": "latent", "batch_size": 64, "learning_rate": 1e-4,
        "ema_decay": 0.9999, "steps": 100_000, "save_every": 1000,
    },
    "small": {
        "model": "DiT-S/2", "image_size": 32, "space": "pixel", "batch_size": 32, "learning_rate": 5e-4,
        "ema_decay": 0.999, "steps": 3000, "save_every": 200, "hidden_size": 192, "depth": 6, "num_heads": 6,
    },
}  # fmt: skip
_LEAST_SCORED = 4  # pictures a side
_AUTOENCODER = "stabilityai/sd-vae-ft-ema"


def run_training(pictures: Path, out: Path, given: dict[str, Any]) -> bool:
    """Train to the end and say how far it came; returns False when Ctrl-C stopped it."""
    run = make_run(pictures, out, given)
    finished = run.run()
    run.say(f"{out}: {run.state.step} steps are done" + ("" if finished else "; the same command goes on"))
    return finished


def make_run(pictures: Path, out: Path, given: dict[str, Any]) -> TrainRun:
    """Read the pictures, build the model, and open the folder; everything is checked before the first step."""
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    options = _with_preset(given)
    settings = _settings(options)
    if settings.precision == "fp16" and (options["device"] == "cpu" or not torch.accelerator.is_available()):
        raise ArgumentError("--precision fp16: runs on GPUs only, and this is a CPU; take bf16 or fp32")
    accelerator = Accelerator(
        cpu=options["device"] == "cpu", mixed_precision={"fp32": "no"}.get(settings.precision, settings.precision)
    )
    settings.share(0, 0, accelerator.num_processes)
    data, held_out = _read_pictures(pictures, options)
    if len(data) < settings.batch_size:
        raise DataError(
            f"{pictures}: {len(data)} pictures are too few for a batch of {settings.batch_size}; "
            "take a smaller --batch-size"
        )
    autoencoder = _autoencoder(options, accelerator.device)
    config = _config(options, data, autoencoder)
    folder = RunFolder(out, _identity(config, settings, options, data, autoencoder))

    def initial() -> DiT:
        set_seed(settings.seed)
        model = DiT(config)
        model.autoencoder_record = None if autoencoder is None else AutoencoderRecord.of(autoencoder)
        return model

    state = TrainState.start(initial(), settings)
    example = _example(data, config, options, autoencoder, out, accelerator)
    run = TrainRun(
        pictures=data,
        state=state,
        settings=settings,
        schedule=_schedule(options),
        make=lambda positions: make_batch(
            settings.seed, positions, example, data.labels,
            num_timesteps=NUM_TRAIN_TIMESTEPS, dropout=config.class_dropout_prob,
        ),
        initial=initial,
        folder=folder,
        accelerator=accelerator,
        say=say if accelerator.is_main_process else lambda _: None,
        show=SampleSettings(steps=str(options["sample_steps"]), seed=settings.seed),
        autoencoder=autoencoder,
        evaluation=_evaluation(held_out, options, settings, autoencoder),
        compiled=options["compiled"],
    )  # fmt: skip
    run.say(_describe(data, held_out, config))
    if not folder.has_checkpoint():
        run.say("forecast: " + forecast(state.model, settings, run.make, run.schedule.steps, accelerator))
    return run


def _with_preset(given: dict[str, Any]) -> dict[str, Any]:
    return PRESETS[given["preset"]] | {name: value for name, value in given.items() if value is not None}


def _settings(options: dict[str, Any]) -> TrainSettings:
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    return TrainSettings(**{name: options[name] for name in names if name in options})


def _schedule(options: dict[str, Any]) -> Schedule:
    if options["steps"] < 1:
        raise ArgumentError(f"steps: expected 1 or more, got {options['steps']}")
    for name in ("log_every", "save_every", "sample_every", "eval_every"):
        if options.get(name) is not None and options[name] < 1:
            raise ArgumentError(f"{name.replace('_', ' ')}: expected 1 or more, got {options[name]}")
    return Schedule(
        options["steps"],
        options["log_every"],
        options["save_every"],
        options.get("sample_every"),
        options.get("eval_every"),
    )


def _read_pictures(folder: Path, options: dict[str, Any]) -> tuple[Pictures, Pictures | None]:
    if options["image_size"] < 1:
        raise ArgumentError(f"image size: expected 1 or more, got {options['image_size']}")
    if not 0 < options["held_out"] < 1:
        raise ArgumentError(f"held out: expected a share between 0 and 1, got {options['held_out']}")
    if options["eval_images"] < _LEAST_SCORED:
        raise ArgumentError(f"eval images: expected {_LEAST_SCORED} or more, got {options['eval_images']}")
    if options["max_pixels"] < 1:
        raise ArgumentError(f"max pixels: expected 1 or more, got {options['max_pixels']}")
    if options["crop"] == "random" and options["space"] == "latent":
        raise ArgumentError("--crop random: latents are encoded once, from the centre; take --crop centre")
    found = load_pictures(
        folder,
        options["image_size"],
        channels=options["channels"],
        crop=options["crop"],
        by_class=options["conditional"],
        max_pixels=options["max_pixels"],
    )
    if options.get("eval_every") is None:
        return found, None
    count = round(len(found) * options["held_out"])
    if count < _LEAST_SCORED:
        raise DataError(
            f"{folder}: --held-out {options['held_out']} of {len(found)} pictures leaves {count} to score with"
        )
    order = np.random.default_rng(options["seed"]).permutation(len(found)).tolist()
    return found.subset(sorted(order[count:])), found.subset(sorted(order[:count]))


def _autoencoder(options: dict[str, Any], device: torch.device) -> Autoencoder | None:
    if options["space"] == "pixel":
        if options.get("autoencoder"):
            raise ArgumentError("--autoencoder: is for --space latent")
        return None
    return load_autoencoder(options.get("autoencoder") or _AUTOENCODER, device)


def _config(options: dict[str, Any], data: Pictures, autoencoder: Autoencoder | None) -> DiTConfig:
    size, channels = options["image_size"], options["channels"]
    if autoencoder is not None:
        mean, _ = autoencoder.encode(
            torch.zeros(1, 3, size, size, device=next(autoencoder.network.parameters()).device)
        )
        _, channels, size, _ = mean.shape
    changes = {
        "input_size": size,
        "in_channels": channels,
        "num_classes": len(data.classes),
        "learn_sigma": options["learn_sigma"],
        "attention": options["attention"],
        "window": options["window"],
        "window_border": options["border"],
        "window_dilation": options["dilation"],
    }
    shape = {name: options[name] for name in ("hidden_size", "depth", "num_heads", "patch_size") if name in options}
    return DiTConfig.preset(options["model"], **changes, **shape)


def _identity(
    config: DiTConfig,
    settings: TrainSettings,
    options: dict[str, Any],
    data: Pictures,
    autoencoder: Autoencoder | None,
) -> dict[str, Any]:
    """What must not change when a run goes on."""
    names = ("image_size", "space", "crop", "flip", "conditional")
    return {
        **dataclasses.asdict(config),
        **dataclasses.asdict(settings),
        **{name: options[name] for name in names},
        "pictures": len(data),
        "pictures_sha256": hashlib.sha256(np.ascontiguousarray(data.pixels).data).hexdigest(),
        "classes": list(data.classes),
        **({"autoencoder": dataclasses.asdict(AutoencoderRecord.of(autoencoder))} if autoencoder else {}),
    }


def _example(
    data: Pictures,
    config: DiTConfig,
    options: dict[str, Any],
    autoencoder: Autoencoder | None,
    out: Path,
    accelerator: Any,
) -> Example:
    if autoencoder is None:
        return pixel_example(data.pixels, config.input_size, flip=options["flip"])
    cache = Path(options.get("latents") or out.with_name(out.name + ".latents"))
    with accelerator.main_process_first():
        latents = encode_pictures(data.pixels, autoencoder, cache, accelerator.device, show_progress)
    return latent_example(latents, flip=options["flip"])


def _evaluation(
    held_out: Pictures | None, options: dict[str, Any], settings: TrainSettings, autoencoder: Autoencoder | None
) -> Evaluation | None:
    if held_out is None:
        return None
    size = options["image_size"]
    start = (held_out.pixels.shape[1] - size) // 2
    pixels = held_out.pixels[:, start : start + size, start : start + size]
    sampling = SampleSettings(steps=str(options["sample_steps"]), seed=settings.seed, guidance=Guidance())
    reference = unit_rows(features_of(pixels, options["eval_backbone"]))
    return Evaluation(reference, options["eval_backbone"], options["eval_images"], sampling, autoencoder)


def _describe(data: Pictures, held_out: Pictures | None, config: DiTConfig) -> str:
    held = f", {len(held_out)} held out" if held_out else ""
    classes = f"{len(data.classes)} classes" if data.classes else "no classes"
    shape = f"{config.depth} blocks of {config.hidden_size}, {config.num_tokens} tokens"
    return (
        f"{len(data)} pictures to train on{held}, {classes}; {shape}, attention {config.attention_settings.describe()}"
    )
