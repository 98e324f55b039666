"""Checkpoints that are not what they seem: other families, other files, weights that are not finite."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model

from dit_generators import load_checkpoint
from dit_generators.errors import CheckpointError, SamplingError
from dit_generators.sampling import SampleSettings, sample


def official(seed: int = 0) -> dict[str, torch.Tensor]:
    return random_model(
        seed, num_classes=4, hidden_size=384, num_heads=6, depth=1, patch_size=8, input_size=16
    ).state_dict()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"model": "SiT-S/8"}, "is a SiT"),
        ({"model": "SiT-XL/2", "path_type": "Linear"}, "is a SiT"),
        ({"model": "DiT-S/8", "path_type": "linear"}, "path_type: a SiT or a relative"),
        ({"model": "LightningDiT-XL/1"}, "is a LightningDiT"),
        ({"model": "MDTv2_S_2"}, "is a MDTv2"),
    ],
)
def test_another_family_is_refused_by_its_arguments(tmp_path: Path, args: Any, message: str) -> None:
    for kind in (args, argparse.Namespace(**args)):
        torch.save({"model": official(), "ema": official(1), "args": kind}, tmp_path / "m.pt")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("projectors.0.0.weight", "REPA"),
        ("blocks.0.mlp.w12.weight", "LightningDiT"),
        ("in_blocks.0.norm1.weight", "U-ViT"),
        ("sideblocks.0.norm1.weight", "MDT"),
        ("blocks.0.cross_attn.q_linear.weight", "PixArt"),
        ("joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
    ],
)
def test_another_family_is_refused_by_a_weight(tmp_path: Path, name: str, family: str) -> None:
    torch.save({**official(), name: torch.zeros(1)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=f"is a {family}"):
        load_checkpoint(tmp_path / "m.pt")


def test_a_dit_in_every_wrapping_loads(tmp_path: Path) -> None:
    state = official()
    for k, prefix in enumerate(("_orig_mod.module.", "module.module.", "module._orig_mod.module.")):
        prefixed = {prefix + name: value for name, value in state.items()}
        for j, content in enumerate((prefixed, {"state_dict": prefixed}, {"ema": {"state_dict": prefixed}, "best": 1})):
            torch.save(content, path := tmp_path / f"{k}{j}.pt")
            loaded = load_checkpoint(path).state_dict()
            assert all(torch.equal(value, loaded[name]) for name, value in state.items())


def test_numbers_of_numpy_are_read_beside_the_weights(tmp_path: Path) -> None:
    extra = {"best": np.float64(0.5), "step": np.int64(3), "rate": np.float32(1e-4)}
    torch.save({"ema": official(), "model": official(), **extra}, tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt").config.depth == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git-LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n <html>", "web page"),
    ],
)
@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
def test_what_was_saved_in_place_of_weights_is_named(
    tmp_path: Path, capfd: Any, content: bytes, message: str, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    arguments = ["sample", "--checkpoint", tmp_path / name, "--num", 1, "--out", tmp_path / "out"]
    assert_refused(dit_gen(capfd, *arguments), message)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="no regular file"):
        load_checkpoint(tmp_path / "m.pt")


def test_num_heads_against_what_the_file_says_is_refused(tmp_path: Path) -> None:
    content = {"ema": official(), "model": official(), "args": argparse.Namespace(model="DiT-S/8")}
    torch.save(content, tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt", num_heads=6).config.num_heads == 6
    with pytest.raises(CheckpointError, match="says that it has 6 attention heads, num_heads says 4"):
        load_checkpoint(tmp_path / "m.pt", num_heads=4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    state = {name: tensor.clone() for name, tensor in official().items()}
    state["final_layer.linear.bias"][0] = value
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"final_layer\.linear\.bias holds NaN or infinity"):
        load_checkpoint(tmp_path / "m.pt")


def test_samples_that_are_not_finite_are_no_pictures() -> None:
    model = random_model()
    with torch.no_grad():
        model.final_layer.linear.bias.fill_(float("nan"))
    with pytest.raises(SamplingError, match="the network gave NaN or infinity for 2 of 2 images"):
        sample(model, SampleSettings(steps="2"), range(2))
