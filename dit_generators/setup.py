"""From the options of a command to a model that is ready to sample."""

from typing import Any

import torch

from .autoencoder import DEFAULT as DEFAULT_AUTOENCODER
from .autoencoder import Autoencoder, load_autoencoder
from .checkpoint import build_model, read_checkpoint
from .errors import ArgumentError, CheckpointError
from .guidance import Guidance
from .hub import bundled_file
from .model import DiT
from .processes import pick_device
from .sampling import SampleSettings, makes_pixels
from .shell import listed, say


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
    given: dict[str, Any], attention: str | None, settings: SampleSettings
) -> tuple[DiT, Autoencoder | None, str]:
    """The model on its device with its attention, the autoencoder where it needs one, and the checkpoint's name."""
    source = given["checkpoint"] or default_checkpoint(attention)
    checkpoint = read_checkpoint(source, num_heads=given["num_heads"], weights=given["weights"])
    model = build_model(checkpoint)
    device = pick_device(given["device"])
    if given["tf32"]:
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    model.to(device)
    switch_attention(model, attention, given)
    settings.check(model)
    if given["compiled"]:
        model.compile()
    if makes_pixels(model):
        if given["autoencoder"]:
            raise ArgumentError("--autoencoder: the model makes pixels and needs none")
        return model, None, source
    wanted = given["autoencoder"] or checkpoint.autoencoder or DEFAULT_AUTOENCODER
    return model, load_autoencoder(wanted, device), source


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
