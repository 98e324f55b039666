"""The recorded arrays of the official implementation, and its small model."""

import json
from pathlib import Path
from typing import Any

from pictures import shared_path
from safetensors.torch import load_file
from torch import Tensor

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
