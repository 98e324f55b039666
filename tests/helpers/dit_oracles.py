"""The recorded arrays of the official implementation, its small model, and its steps as it cuts them."""

import json
from pathlib import Path
from typing import Any

import torch
from pictures import shared_path
from safetensors.torch import load_file
from torch import Tensor

from dit_generators.diffusion import samplers
from dit_generators.diffusion.guidance import combine
from dit_generators.diffusion.schedule import Schedule
from dit_generators.network.config import DiTConfig
from dit_generators.network.model import DiT


def oracle_folder() -> Path:
    return shared_path("oracles", "dit")


def oracle(name: str) -> dict[str, Tensor]:
    return load_file(oracle_folder() / f"{name}.safetensors")


def oracle_config() -> dict[str, Any]:
    return json.loads((oracle_folder() / "config.json").read_text())


def oracle_model() -> DiT:
    model = DiT(DiTConfig(**oracle_config()["model"]))
    model.load_state_dict(oracle("model"), strict=True)
    return model.eval()


def assert_rows_close(actual: Tensor, expected: Tensor, limit: float = 3e-5) -> None:
    """max |a - b| / max |b| of every row is at most the limit."""
    assert actual.shape == expected.shape
    error = (actual - expected).abs().flatten(1).amax(1) / expected.abs().flatten(1).amax(1)
    assert float(error.max()) <= limit, f"relative error {float(error.max()):.2e}, limit {limit:.0e}"


def assert_numbers_close(actual: Tensor, expected: Tensor, limit: float = 3e-5) -> None:
    assert actual.shape == expected.shape
    error = (actual - expected).abs() / expected.abs().clamp(min=1e-300)
    assert float(error.max()) <= limit, f"relative error {float(error.max()):.2e}, limit {limit:.0e}"


def ddpm_step(output: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor, noise: Tensor) -> Tensor:
    """The official p_sample: from what the network gives to the state before."""
    x_0 = samplers.predicted_x_0(output, x_t, schedule, index)
    return samplers.ddpm_step(x_0, output, x_t, schedule, index, noise)


def ddim_step(
    output: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor, noise: Tensor, eta: float = 0.0
) -> Tensor:
    """The official ddim_sample."""
    return samplers.ddim_step(samplers.predicted_x_0(output, x_t, schedule, index), x_t, schedule, index, noise, eta)


def forward_with_cfg(model: DiT, x: Tensor, timesteps: Tensor, class_labels: Tensor, cfg_scale: float) -> Tensor:
    """The official guided step on 2n rows: n labels, then n null labels; the second half of `x` is ignored.

    Channels 0, 1, 2 are guided and shared by both halves; every other channel is each half's own.
    """
    first = x[: len(x) // 2]
    conditional, unconditional = model(torch.cat([first, first]), timesteps, class_labels).chunk(2)
    guided_half = combine(conditional, unconditional, cfg_scale, "3", x.shape[1])
    count = min(3, x.shape[1])
    other_half = torch.cat([guided_half[:, :count], unconditional[:, count:]], dim=1)
    return torch.cat([guided_half, other_half])
