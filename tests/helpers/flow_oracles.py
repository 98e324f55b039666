"""Flows by other roads: the velocity of Gaussian data in closed form, and checkpoints as the scripts write them."""

import argparse
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dit_models import random_model
from numpy.typing import NDArray
from torch import Tensor

from dit_generators.network.process import Flow

Array = NDArray[np.float64]
FLOWS = [Flow(path, towards) for path in ("linear", "cosine", "vp") for towards in ("noise", "data")]
PUBLISHED: dict[str, Any] = {"hidden_size": 384, "num_heads": 6, "depth": 1, "patch_size": 8, "input_size": 16}


def weights(path: str, time: float) -> tuple[float, float, float, float]:
    """alpha, sigma and their rates of change at a time, 0 the picture and 1 the noise."""
    if path == "linear":
        return 1 - time, time, -1.0, 1.0
    if path == "vp":  # beta(t) = 0.1 + 19.9 t; d alpha = - beta / 2 alpha, d sigma^2 = beta alpha^2
        beta, alpha_2 = 0.1 + 19.9 * time, math.exp(-0.1 * time - 19.9 * time**2 / 2)
        sigma = math.sqrt(1 - alpha_2)
        return math.sqrt(alpha_2), sigma, -beta / 2 * math.sqrt(alpha_2), beta * alpha_2 / (2 * sigma)
    angle = math.pi * time / 2
    return math.cos(angle), math.sin(angle), -math.pi / 2 * math.sin(angle), math.pi / 2 * math.cos(angle)


def gaussian_velocity(x: Array, time: float, mean: Array, deviation: float, path: str) -> Array:
    """E[dx_t / dt | x_t = x] for data N(mean, deviation^2): both x_0 and noise are Gaussian given x_t."""
    alpha, sigma, alpha_rate, sigma_rate = weights(path, time)
    variance = (alpha * deviation) ** 2 + sigma**2
    from_mean = x - alpha * mean
    expected_x_0 = mean + alpha * deviation**2 / variance * from_mean
    expected_noise = sigma / variance * from_mean
    return alpha_rate * expected_x_0 + sigma_rate * expected_noise


def exact_solution(noise: Array, mean: Array, deviation: float, path: str = "linear", end: float = 0.0) -> Array:
    """Where the ODE of Gaussian data leads from x_1 = noise: it keeps (x_t - alpha mean) / its deviation."""
    (first, first_sigma), (last, last_sigma) = (weights(path, time)[:2] for time in (1.0, end or 1e-12))
    kept = (noise - first * mean) / math.hypot(first * deviation, first_sigma)
    return last * mean + kept * math.hypot(last * deviation, last_sigma)


def gaussian_network(flow: Flow, mean: Array, deviation: float) -> Callable[[Tensor, Tensor], Tensor]:
    """A perfect network for such data, told the time and asked for the velocity as the flow's code does it."""

    def predict(x_t: Tensor, told: Tensor) -> Tensor:
        time = float(told[0])
        time, sign = (time, 1) if flow.time_towards == "noise" else (1 - time, -1)
        velocity = gaussian_velocity(x_t.double().numpy(), time, mean, deviation, flow.path)
        return sign * torch.from_numpy(velocity).to(x_t.dtype)

    return predict


def official_state(seed: int = 0, **fields: Any) -> dict[str, Tensor]:
    """A state dict of official names and a published width, which SiT and REPA share with DiT."""
    return random_model(seed, **{**PUBLISHED, "num_classes": 4, "in_channels": 4, **fields}).state_dict()


def sit_checkpoint(path: Path, **args: Any) -> Path:
    """As train.py of SiT writes it."""
    given = {"model": "SiT-S/8", "path_type": "Linear", "prediction": "velocity", "loss_weight": None, **args}
    content = {"model": official_state(1), "ema": official_state(2), "opt": {}, "args": argparse.Namespace(**given)}
    torch.save(content, path)
    return path


def repa_checkpoint(path: Path, **args: Any) -> Path:
    """As train.py of REPA writes it: no learned variance, and the projectors of two encoders."""
    state = official_state(2, learn_sigma=False)
    for encoder, size in enumerate((24, 40)):
        widths = (384, 64, 64, size)
        for layer, (inner, outer) in enumerate(itertools.pairwise(widths)):
            state[f"projectors.{encoder}.{2 * layer}.weight"] = torch.zeros(outer, inner)
            state[f"projectors.{encoder}.{2 * layer}.bias"] = torch.zeros(outer)
    given = {
        "model": "SiT-S/8",
        "path_type": "linear",
        "prediction": "v",
        "proj_coeff": 0.5,
        "enc_type": "dinov2-vit-b",
    }
    torch.save({"model": state, "ema": state, "args": argparse.Namespace(**{**given, **args}), "steps": 9}, path)
    return path


LIGHTNING: dict[str, Any] = {
    "norm": "rms", "feed_forward": "swiglu", "rotary": True, "learn_sigma": False, "mlp_ratio": 8 / 3,
    "hidden_size": 48, "num_heads": 3, "depth": 2, "patch_size": 1, "input_size": 4, "in_channels": 32,
}  # fmt: skip


def lightning_checkpoint(path: Path, model_fields: dict[str, Any], **transport: Any) -> Path:
    """As train.py of LightningDiT writes it: its YAML file beside the weights, DistributedDataParallel's names."""
    state = random_model(3, **{"num_classes": 5, **LIGHTNING, **model_fields}).state_dict()
    config = {
        "data": {"image_size": 64, "num_classes": 5, "latent_norm": True, "latent_multiplier": 1.0},
        "model": {"model_type": "LightningDiT-XL/1", "use_qknorm": False, "use_swiglu": True, "in_chans": 32},
        "transport": {
            "path_type": "Linear",
            "prediction": "velocity",
            "loss_weight": None,
            "use_lognorm": True,
            **transport,
        },
        "sample": {"mode": "ODE", "sampling_method": "euler", "cfg_interval_start": 0.125, "timestep_shift": 0.3},
    }
    named = {f"module.{name}": value for name, value in state.items()}
    torch.save({"model": named, "ema": named, "opt": {}, "config": config}, path)
    return path
