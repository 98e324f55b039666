"""Checkpoints of SiT and REPA: what they were trained for is read from them, and sampled as their code does it."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model
from flow_oracles import official_state, repa_checkpoint, sit_checkpoint
from safetensors import safe_open
from safetensors.torch import save_file

from dit_generators import load_checkpoint, save_checkpoint
from dit_generators.diffusion.noise import ImageNoise
from dit_generators.errors import ArgumentError, CheckpointError
from dit_generators.network.process import DIT_PROCESS, Flow
from dit_generators.sampling.sample import SampleSettings, sample_states

SIT, REPA = Flow(time_towards="data"), Flow(time_towards="noise")


@pytest.mark.parametrize(
    ("path_type", "expected"),
    [("Linear", "linear"), ("GVP", "cosine"), ("VP", "vp")],
)
def test_a_checkpoint_of_sit_says_its_path(tmp_path: Path, path_type: str, expected: Any) -> None:
    model = load_checkpoint(sit_checkpoint(tmp_path / "0050000.pt", path_type=path_type))
    assert model.process == Flow(path=expected, time_towards="data")
    assert torch.equal(model.blocks[0].attn.qkv.weight, official_state(2)["blocks.0.attn.qkv.weight"])
    assert model.config.num_heads == 6


@pytest.mark.parametrize(("path_type", "expected"), [("linear", "linear"), ("cosine", "cosine")])
def test_a_checkpoint_of_repa_loses_its_projectors(tmp_path: Path, path_type: str, expected: Any) -> None:
    model = load_checkpoint(repa_checkpoint(tmp_path / "0050000.pt", path_type=path_type))
    assert model.process == Flow(path=expected, time_towards="noise")
    assert not model.config.learn_sigma
    assert model.state_dict().keys() == official_state().keys()


@pytest.mark.parametrize(
    "name", ["SiT-XL-2-256x256.pt", "SiT-XL-2-256/model.pt", "000-SiT-XL-2-Linear/checkpoints/1.pt"]
)
def test_the_name_of_a_bare_file_or_its_folder_says_the_family(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(official_state(), path)
    assert load_checkpoint(path).process == SIT


def test_a_bare_file_is_of_dit_unless_its_family_is_said(tmp_path: Path) -> None:
    torch.save(official_state(), path := tmp_path / "m.pt")
    assert load_checkpoint(path).process == DIT_PROCESS
    assert load_checkpoint(path, family="sit").process == SIT
    assert load_checkpoint(path, family="repa").process == REPA
    assert load_checkpoint(path, family="dit").process == DIT_PROCESS
    with pytest.raises(ArgumentError, match="family: expected dit, sit, repa, lightningdit, got 'flux'"):
        load_checkpoint(path, family="flux")  # type: ignore[arg-type]


def test_arguments_of_an_unknown_trainer_of_flows_need_the_family(tmp_path: Path) -> None:
    content = {"ema": official_state(), "model": official_state(), "args": {"model": "DiT-S/8", "path_type": "cosine"}}
    torch.save(content, path := tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"give `family=sit` \(time 1 is the picture\) or `family=repa`"):
        load_checkpoint(path)
    assert load_checkpoint(path, family="sit").process == Flow("cosine", "data")


def test_projectors_of_a_dit_by_its_arguments_need_the_family(tmp_path: Path) -> None:
    path = repa_checkpoint(tmp_path / "m.pt")
    content = torch.load(path, weights_only=False) | {"args": {"model": "DiT-S/8", "encoder_depth": 8}}
    torch.save(content, path)
    with pytest.raises(
        CheckpointError, match="is ambiguous \\(`family=repa` by its weights, `family=dit` by its arguments\\)"
    ):
        load_checkpoint(path)
    assert load_checkpoint(path, family="dit").process == DIT_PROCESS
    assert load_checkpoint(path, family="repa").process == REPA
    torch.save(content | {"args": {"model": "SiT-S/8", "path_type": "Linear"}}, path)
    with pytest.raises(CheckpointError, match="`family=repa` by its weights, `family=sit` by its arguments"):
        load_checkpoint(path)
    assert load_checkpoint(path, family="sit").process == SIT
    plain = {"model": official_state(), "ema": official_state(), "args": {"model": "DiT-S/8", "encoder_depth": 8}}
    torch.save(plain, path)
    assert load_checkpoint(path).process == DIT_PROCESS


def test_the_first_checkpoints_of_repa_count_their_last_blocks_anew(tmp_path: Path) -> None:
    """blocks.0 to blocks.E-1, then decoder_blocks.0 and on: `load_legacy_checkpoints` of its code."""
    state = official_state(4, learn_sigma=False, depth=4)
    legacy = {name: value for name, value in state.items() if not name.startswith(("blocks.2", "blocks.3"))}
    for i in (2, 3):
        own = {name.removeprefix(f"blocks.{i}."): v for name, v in state.items() if name.startswith(f"blocks.{i}.")}
        legacy |= {f"decoder_blocks.{i - 2}.{name}": value for name, value in own.items()}
    torch.save({"ema": legacy | {"projectors.0.0.weight": torch.zeros(4, 384)}}, tmp_path / "last.pt")
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert loaded.process == REPA
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in state.items())
    torch.save({"ema": legacy}, tmp_path / "mask.pt")
    with pytest.raises(CheckpointError, match="is a MaskDiT"):
        load_checkpoint(tmp_path / "mask.pt")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"path_type": 3}, "path_type 3; linear, cosine"),
        ({"path_type": "VE"}, "path_type VE; linear, cosine"),
        ({"prediction": "score"}, "predicts score; flows are supported only with a velocity"),
        ({"prediction": "noise"}, "predicts noise; flows are supported only with a velocity"),
    ],
)
def test_flows_that_are_not_known_here_are_refused(tmp_path: Path, args: dict[str, str], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(sit_checkpoint(tmp_path / "m.pt", **args))


def test_a_family_against_the_file_is_refused(tmp_path: Path) -> None:
    repa, own = repa_checkpoint(tmp_path / "r.pt"), tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="is of the family repa, not sit; leave out `family=sit`"):
        load_checkpoint(repa, family="sit")
    save_checkpoint(random_model(), own)
    with pytest.raises(CheckpointError, match="records its own family"):
        load_checkpoint(own, family="dit")


def test_our_file_says_the_process_and_a_file_of_dit_is_as_ever(tmp_path: Path) -> None:
    model = random_model()
    save_checkpoint(model, tmp_path / "dit.safetensors")
    model.process = Flow("cosine", "data")
    save_checkpoint(model, tmp_path / "flow.safetensors")
    assert load_checkpoint(tmp_path / "flow.safetensors").process == Flow("cosine", "data")
    with safe_open(tmp_path / "dit.safetensors", "pt") as file:
        assert "dit_process" not in file.metadata()


@pytest.mark.parametrize("text", ["{}", "x", '{"objective": "velocity", "path": "VP"}'])
def test_a_process_in_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    model = random_model()
    metadata = {"dit_config": model.config.to_json(), "dit_process": text}
    save_file(model.state_dict(), tmp_path / "m.safetensors", metadata)
    with pytest.raises(CheckpointError, match="the process inside is not usable"):
        load_checkpoint(tmp_path / "m.safetensors")


@torch.no_grad()
def test_sit_is_sampled_in_its_own_time_by_its_own_output(tmp_path: Path) -> None:
    """x + dt f(x, t) from time 0, noise, to 1, picture: as its script counts; its 9 points are 8 steps."""
    model = load_checkpoint(sit_checkpoint(tmp_path / "m.pt"))
    settings = SampleSettings(steps="8", labels=(1,))
    x = ImageNoise(0, range(2), (4, 16, 16), torch.device("cpu"))()
    times = torch.linspace(0, 1, 9).tolist()
    for now, then in itertools.pairwise(times):
        out = model(x, torch.full((2,), now), torch.tensor([1, 1]))
        x = x + (then - now) * out.chunk(2, dim=1)[0]  # what would be its variance is left out
    *_, last = sample_states(model, settings, range(2))
    torch.testing.assert_close(last.x, x, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_repa_is_sampled_in_its_own_time_by_its_own_output(tmp_path: Path) -> None:
    """Its Heun sampler: from time 1, noise, to 0, picture; plain Euler in the last step."""
    model = load_checkpoint(repa_checkpoint(tmp_path / "m.pt"))
    settings = SampleSettings(sampler="heun", steps="5", labels=(1,))
    x, labels = ImageNoise(0, range(2), (4, 16, 16), torch.device("cpu"))(), torch.tensor([1, 1])
    times = torch.linspace(1, 0, 6).tolist()
    for i, (now, then) in enumerate(itertools.pairwise(times)):
        slope = model(x, torch.full((2,), now), labels)
        ahead = x + (then - now) * slope
        if i < 4:
            ahead = x + (then - now) * (slope + model(ahead, torch.full((2,), then), labels)) / 2
        x = ahead
    *_, last = sample_states(model, settings, range(2))
    torch.testing.assert_close(last.x, x, rtol=1e-4, atol=1e-5)


def test_convert_keeps_the_process_and_refuses_formats_that_lose_it(tmp_path: Path, capfd: Any) -> None:
    source = sit_checkpoint(tmp_path / "sit.pt")
    assert dit_gen(capfd, "convert", source, tmp_path / "m.safetensors").code == 0
    assert load_checkpoint(tmp_path / "m.safetensors").process == SIT
    for target in (tmp_path / "m.pt", tmp_path / "folder"):
        assert_refused(dit_gen(capfd, "convert", source, target), "cannot say what the model was trained for")
        assert not target.exists()
    torch.save(official_state(), tmp_path / "bare.pt")
    assert dit_gen(capfd, "convert", tmp_path / "bare.pt", tmp_path / "b.safetensors", "--family", "repa").code == 0
    assert load_checkpoint(tmp_path / "b.safetensors").process == REPA
