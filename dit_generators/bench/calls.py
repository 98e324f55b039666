"""The call that is timed: the operation alone, one block, the whole model, or pictures from noise."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..attention.choose import views_of_qkv
from ..common.precision import autocast
from ..errors import ArgumentError
from ..network.model import DiT
from ..sampling.sample import SampleSettings, sample_states
from .settings import Arithmetic, BenchSettings, Level


def call_of(
    model: DiT, level: Level, kind: str, batch: int, arithmetic: Arithmetic, settings: BenchSettings
) -> Callable[[], object]:
    """A function that runs one cell once."""
    if level == "image":
        return _image(model, kind, batch, arithmetic, settings)
    config = model.config
    attention = model.attention_functions(replace(config.attention_settings, pattern=kind))
    like = torch.empty(0, device=model.pos_embed.device, dtype=arithmetic.weights)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=like.device, dtype=like.dtype, requires_grad=settings.backward)

    run: Callable[[], Tensor]
    if level == "operation":
        shape = (batch, config.num_heads, config.num_tokens, config.head_dim)
        inputs = views_of_qkv(shape, like.to(arithmetic.products), requires_grad=settings.backward)
        run = partial(attention[0], *inputs)
    elif level == "block":
        x, c = random(batch, config.num_tokens, config.hidden_size), random(batch, config.hidden_size)
        run = partial(model.blocks[0], x, c, attention[0], model.feat_rope)
    else:
        images = random(batch, config.in_channels, config.input_size, config.input_size)
        timesteps = torch.full((batch,), 500, device=like.device)
        labels = torch.zeros_like(timesteps) if config.num_classes else None
        run = partial(model, images, timesteps, labels, attention=attention)
    return partial(_run, run, arithmetic, settings)


def _run(run: Callable[[], Tensor], arithmetic: Arithmetic, settings: BenchSettings) -> None:
    gradients: Any = nullcontext() if settings.backward else torch.no_grad()
    with gradients, autocast(arithmetic.autocast, settings.device):
        result = run()
    if settings.backward:
        result.float().sum().backward(retain_graph=False)


def _image(model: DiT, kind: str, batch: int, arithmetic: Arithmetic, settings: BenchSettings) -> Callable[[], object]:
    """From noise to what the model makes, all steps and their noise: without files and without an autoencoder."""
    if arithmetic.weights != torch.float32:
        raise ArgumentError(f"sampling keeps its weights in float32; use precision {arithmetic.name}-autocast")
    attention = replace(model.config.attention_settings, pattern=kind)
    model.attention_functions(attention)
    sampling = SampleSettings(steps=str(settings.steps), precision=arithmetic.autocast)

    def run() -> None:
        model.attention_settings = attention
        for _ in sample_states(model, sampling, range(batch)):
            pass

    return run
