"""From the options of a command to a model that is ready to sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..common.processes import pick_device
from ..common.shell import listed, say
from ..diffusion.guidance import Guidance
from ..errors import ArgumentError, CheckpointError
from ..network.model import DiT
from ..sampling.sample import SampleSettings, makes_pixels
from ..weights.autoencoder import DEFAULT as DEFAULT_AUTOENCODER
from ..weights.autoencoder import Autoencoder, check_latents, load_autoencoder
from ..weights.checkpoint import Checkpoint, build_model, read_checkpoint
from ..weights.hub import bundled_file
from .given import check_window_options


def make_settings(given: dict[str, Any], *, steps: str, scale: float) -> SampleSettings:
    """The settings of `dit-gen sample` and of one cell of `dit-gen sweep`."""
    interval = given["guidance_interval"]
    bounds = None if interval is None else listed(interval, "--guidance-interval", int)
    if bounds is not None and len(bounds) != 2:
        raise ArgumentError(f"--guidance-interval {interval}: expected LOW,HIGH")
    labels = None if given["labels"] is None else listed(given["labels"], "--labels", int)
    guidance = Guidance(
        scale=scale,
        by=given["guidance_by"],
        channels=given["guidance_channels"],
        interval=None if bounds is None else (bounds[0], bounds[1]),
        window=given["guidance_window"],
    )
    return SampleSettings(
        sampler=given["sampler"],
        steps=steps,
        eta=given["eta"],
        guidance=guidance,
        seed=given["seed"],
        labels=labels,
        precision=given["precision"],
    )


def load_model(
    given: dict[str, Any], attention: str | None, settings: SampleSettings, kinds: Sequence[str | None] = ()
) -> tuple[DiT, Autoencoder | None, str]:
    """The model on its device with its attention, the autoencoder where it needs one, and the checkpoint's name.

    `kinds` are all that it will have, where that is more than `attention`.
    """
    source = given["checkpoint"] or default_checkpoint(attention)
    checkpoint = read_checkpoint(source, num_heads=given["num_heads"], weights=given["weights"])
    model = build_model(checkpoint)
    device = pick_device(given["device"])
    if given["tf32"]:
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        if device.type == "cpu":
            say("--tf32: says nothing on a CPU, which multiplies in float32")
    model.to(device)
    check_window_options(model, kinds or (attention,))
    switch_attention(model, attention, given)
    settings.check(model)
    if given["compiled"]:
        model.compile()
    if makes_pixels(model):
        if given["autoencoder"]:
            raise ArgumentError("--autoencoder: the model makes pixels and needs none")
        return model, None, source
    autoencoder = find_autoencoder(checkpoint, given["autoencoder"], device)
    check_latents(model, autoencoder)
    return model, autoencoder, source


def find_autoencoder(checkpoint: Checkpoint, given: str | None, device: torch.device) -> Autoencoder:
    """The autoencoder that is given, else the one that came with the checkpoint, that it names, or the official one."""
    if given is not None or checkpoint.autoencoder is not None:
        return load_autoencoder(given or str(checkpoint.autoencoder), device)
    if checkpoint.record is None:
        if checkpoint.trained_here:
            raise CheckpointError(
                f"{checkpoint.path}: does not say with which autoencoder it was trained; give it by --autoencoder PATH"
            )
        say(f"autoencoder: {DEFAULT_AUTOENCODER}, that of the official checkpoints")
        return load_autoencoder(DEFAULT_AUTOENCODER, device)
    try:
        return load_autoencoder(checkpoint.record.source, device)
    except CheckpointError as error:
        raise CheckpointError(
            f"the model was trained with the autoencoder {checkpoint.record.source}, which cannot be read here "
            f"({error}); give it by --autoencoder PATH"
        ) from error


def switch_attention(model: DiT, attention: str | None, given: dict[str, Any]) -> None:
    """Set the attention that the options ask for; `auto` says what it chose."""
    choice = model.set_attention(
        model.config.attention if attention is None else attention,
        window=given["window"],
        border=given["border"],
        dilation=given["dilation"],
        batch_size=given["batch_size"],
    )
    if choice is not None:
        say(str(choice))


def autoencoder_to_copy(model: DiT, checkpoint: Checkpoint, target: str, given: str | None) -> Path | None:
    """The folder of the autoencoder that goes into a diffusers folder, read and found to fit the model."""
    if Path(target).suffix:
        if given is not None:
            raise ArgumentError(f"--autoencoder: goes into a diffusers folder, and {target} is a file")
        return None
    folder = Path(given).expanduser() if given else checkpoint.autoencoder
    if folder is None:
        return None
    if makes_pixels(model):
        raise ArgumentError("--autoencoder: the model makes pixels and needs none")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give the save_pretrained folder of an autoencoder")
    check_latents(model, load_autoencoder(folder))
    return folder


def default_checkpoint(attention: str | None) -> str:
    """The bundled checkpoint that was trained with this attention: landscapes where it is there, else digits."""
    kind = "swa" if attention and attention.startswith("swa") else "full"
    wanted = [f"{name}-{kind}" for name in ("landscapes", "digits")]
    found = [name for name in wanted if bundled_file(name)]
    if not found:
        raise CheckpointError(
            f"--checkpoint: not given, and this version comes without {' and '.join(wanted)}, its defaults; give a "
            "file, a folder or OWNER/NAME on the hub, such as --checkpoint facebook/DiT-XL-2-256"
        )
    return found[0]
