"""Checkpoints of LightningDiT: read from their weights, sampled as by their script, decoded by their statistics."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model
from flow_oracles import LIGHTNING, lightning_checkpoint, official_state
from pictures import write_pictures
from safetensors.torch import save_file
from slow_dit import slow_forward

from dit_generators import load_autoencoder, load_checkpoint, save_checkpoint
from dit_generators.diffusion.guidance import Guidance
from dit_generators.diffusion.noise import ImageNoise
from dit_generators.errors import CheckpointError
from dit_generators.network.autoencoder_record import AutoencoderRecord
from dit_generators.network.process import Flow
from dit_generators.sampling.sample import SampleSettings, sample_states
from dit_generators.weights.latent_stats import with_latent_stats


def save_vae(folder: Path, **fields: Any) -> Path:
    """A small AutoencoderKL of 32 latent channels."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4, layers_per_block=1,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=32, scaling_factor=1.0, **fields,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.mark.parametrize(
    "fields",
    [{}, {"qk_norm": True}, {"modulation_shift": False}, {"norm": "layer", "qk_norm": True, "rotary": False},
     {"feed_forward": "gelu", "mlp_ratio": 4.0}, {"hidden_size": 80, "num_heads": 2, "mlp_ratio": 2.65}],
    ids=str,
)  # fmt: skip
def test_the_weights_say_which_layers_they_are_of(tmp_path: Path, fields: dict[str, Any]) -> None:
    model = load_checkpoint(lightning_checkpoint(tmp_path / "m.pt", fields))
    expected = random_model(3, **{"num_classes": 5, **LIGHTNING, **fields})
    assert model.process == Flow("linear", "data")
    assert model.config.inner_size == expected.config.inner_size
    for name in ("num_heads", "qk_norm", "norm", "feed_forward", "rotary", "modulation_shift", "learn_sigma"):
        assert getattr(model.config, name) == getattr(expected.config, name), name
    x = torch.randn(1, 32, 4, 4)
    with torch.no_grad():
        out = model(x, torch.tensor([0.4]), torch.tensor([2]))
    slow = slow_forward(expected.state_dict(), x[0].double().numpy(), 0.4, 2, expected.config.num_heads)
    np.testing.assert_allclose(out[0].numpy(), slow, rtol=1e-3, atol=2e-5)


@torch.no_grad()
def test_it_is_sampled_as_by_its_script(tmp_path: Path) -> None:
    """Shifted times towards the data, three channels guided from time 0.125 on: 10 points are 9 steps."""
    model = load_checkpoint(lightning_checkpoint(tmp_path / "m.pt", {}))
    x = ImageNoise(0, range(2), (32, 4, 4), torch.device("cpu"))()
    times = [0.3 * t / (1 + (0.3 - 1) * t) for t in torch.linspace(0, 1, 10).tolist()]
    labels, null = torch.tensor([4, 4]), torch.tensor([5, 5])
    for now, then in pairwise(times):
        strong, weak = (model(x, torch.full((2,), now), y) for y in (labels, null))
        scale = 6.7 if now >= 0.125 else 1.0
        velocity = torch.cat([weak[:, :3] + scale * (strong[:, :3] - weak[:, :3]), strong[:, 3:]], dim=1)
        x = x + (then - now) * velocity
    guidance = Guidance(6.7, channels="3", interval=(0, 875))
    settings = SampleSettings("euler", "9", timestep_shift=0.3, guidance=guidance, labels=(4,))
    *_, last = sample_states(model, settings, range(2))
    torch.testing.assert_close(last.x, x, rtol=1e-3, atol=1e-4)


def test_our_file_keeps_layers_and_tables(tmp_path: Path, capfd: Any) -> None:
    source = lightning_checkpoint(tmp_path / "m.pt", {"qk_norm": True})
    assert dit_gen(capfd, "convert", source, tmp_path / "m.safetensors").code == 0
    first, second = load_checkpoint(source), load_checkpoint(tmp_path / "m.safetensors")
    assert second.config == first.config
    assert second.process == first.process
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    for target in ("out.pt", "folder"):
        assert_refused(
            dit_gen(capfd, "convert", source, tmp_path / target), "has no qk_norm, norm, feed_forward, rotary"
        )


def test_damage_is_named(tmp_path: Path) -> None:
    content = torch.load(lightning_checkpoint(tmp_path / "m.pt", {}), weights_only=True)
    for change, message in (
        ({"module.feat_rope.freqs_cos": torch.zeros(16, 12)}, "freqs_sin has shape"),
        ({"module.blocks.0.norm1.weight": None}, "norm1"),
        ({"module.blocks.1.mlp.w3.weight": None}, "blocks.1.mlp.w3.weight is missing"),
        ({"module.feat_rope.freqs_cos": torch.zeros(0, 16)}, "freqs_cos has shape"),
        ({"module.feat_rope.freqs_cos": torch.zeros(16, 100)}, "is of heads of 100, which do not divide 48"),
        ({"module.projectors.0.0.weight": torch.zeros(4, 48)}, "`family=repa` by its weights, `family=lightningdit`"),
    ):
        state = {k: v for k, v in (content["ema"] | change).items() if v is not None}
        torch.save({**content, "ema": state}, tmp_path / "d.pt")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "d.pt")


def test_normalised_queries_need_the_family_to_be_known(tmp_path: Path) -> None:
    state = official_state(qk_norm=True, learn_sigma=False)
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="relative of DiT with normalised queries"):
        load_checkpoint(tmp_path / "m.pt")
    model = load_checkpoint(tmp_path / "m.pt", family="repa")
    assert model.config.qk_norm
    assert model.config.num_heads == 6
    save_checkpoint(model, tmp_path / "own.safetensors")
    assert load_checkpoint(tmp_path / "own.safetensors").config.qk_norm


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_latents_are_decoded_by_their_statistics(tmp_path: Path, capfd: Any, kind: str) -> None:
    vae, generator = save_vae(tmp_path / "vae"), torch.Generator().manual_seed(1)
    mean, std = torch.randn(1, 32, 1, 1, generator=generator), torch.rand(1, 32, 1, 1, generator=generator) + 0.5
    path = tmp_path / f"latents_stats.{kind}"
    (torch.save if kind == "pt" else save_file)({"mean": mean, "std": std}, path)
    plain = load_autoencoder(vae)
    normalised, z = with_latent_stats(plain, path), torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(normalised.decode(z), plain.decode(z * std + mean))  # as in inference.py
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(normalised.encode(images)[0], (plain.encode(images)[0] - mean) / std)
    given = ["--checkpoint", lightning_checkpoint(tmp_path / "m.pt", {}), "--autoencoder", vae, "--steps", 3]
    given += ["--num", 2, "--out", tmp_path / "out"]
    for _ in range(2):  # the same run is found again
        finished = dit_gen(capfd, "sample", *given, "--latent-stats", path)
        assert finished.code == 0, finished.err
        assert "mean and std" not in finished.err
    record = json.loads((tmp_path / "out" / "samples.json").read_text())["run"]
    np.testing.assert_allclose(record["autoencoder"]["shift"], mean.flatten())
    finished = dit_gen(capfd, "sample", *given)
    assert finished.code == 2
    assert "autoencoder.scale` was [" in finished.err.splitlines()[-1]
    assert f"neither --latent-stats nor {vae} has them" in finished.err  # said before pictures are decoded without
    given[-1] = tmp_path / "swa"
    finished = dit_gen(capfd, "sample", *given, "--latent-stats", path, "--attention", "swa")
    assert finished.code == 0
    assert "runs with swa (window 3, shift)" in finished.err


def test_latents_are_trained_on_and_sampled_by_their_statistics(tmp_path: Path, capfd: Any) -> None:
    vae, stats = save_vae(tmp_path / "vae"), tmp_path / "latents_stats.pt"
    torch.save({"mean": torch.full((32,), 0.5), "std": torch.full((32,), 2.0)}, stats)
    command = ["train", write_pictures(tmp_path / "set", 4), "--init", lightning_checkpoint(tmp_path / "m.pt", {})]
    command += ["--autoencoder", vae, "--image-size", 16, "--batch-size", 2, "--steps", 1, "--device", "cpu"]
    plain = dit_gen(capfd, *command, "--out", tmp_path / "plain")
    assert plain.code == 0, plain.err
    assert f"neither --latent-stats nor {vae} has them" in plain.err
    finished = dit_gen(capfd, *command, "--latent-stats", stats, "--out", tmp_path / "run")
    assert finished.code == 0, finished.err
    assert "neither" not in finished.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())["autoencoder"]
    assert (record["scale"], record["shift"]) == ([0.5] * 32, [0.5] * 32)
    sampled = ["sample", "--checkpoint", tmp_path / "run", "--num", 1, "--steps", 2, "--out", tmp_path / "s"]
    assert dit_gen(capfd, *sampled).code == 0
    made = json.loads((tmp_path / "s" / "samples.json").read_text())["run"]["autoencoder"]
    assert made["scale"] == [0.5] * 32
    moved = save_vae(tmp_path / "elsewhere" / "vae")
    finished = dit_gen(capfd, *sampled[:-1], tmp_path / "t", "--autoencoder", moved)
    assert finished.code == 0, finished.err
    assert (tmp_path / "t" / "000000.png").read_bytes() == (tmp_path / "s" / "000000.png").read_bytes()
    again = [tmp_path / "run" if part == tmp_path / "m.pt" else part for part in command]
    refused = dit_gen(capfd, *again, "--out", tmp_path / "again")
    assert_refused(refused, "give that one by --autoencoder PATH, its mean and std by --latent-stats")
    refused = dit_gen(
        capfd, "train", tmp_path / "set", "--preset", "small", "--latent-stats", stats, "--out", tmp_path / "p"
    )
    assert_refused(refused, "--latent-stats: is for --space latent")


def test_an_autoencoder_that_says_its_statistics_is_normalised_and_recorded(tmp_path: Path) -> None:
    mean, std = [0.1 * i for i in range(32)], [1.0 + 0.1 * i for i in range(32)]
    autoencoder = load_autoencoder(save_vae(tmp_path / "vae", latents_mean=mean, latents_std=std))
    z = torch.randn(1, 32, 4, 4)
    expected = z * torch.tensor(std).reshape(1, -1, 1, 1) + torch.tensor(mean).reshape(1, -1, 1, 1)
    torch.testing.assert_close(autoencoder.decode(z), autoencoder.network.decode(expected).sample)
    record = AutoencoderRecord.of(autoencoder)
    assert AutoencoderRecord.from_dict(json.loads(record.to_json()), "x") == record
    record.check(autoencoder)
    other = load_autoencoder(save_vae(tmp_path / "other"))
    with pytest.raises(CheckpointError, match=r"has scale 1, not 1, \.\.\. for 32 channels as"):
        record.check(other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mean": torch.zeros(4), "std": torch.ones(4)}, "of 4 and 4 channels, the latents of .* have 32"),
        ({"mean": torch.zeros(32), "std": torch.zeros(32)}, "all of them finite and deviations above 0"),
        ({"mean": torch.full((32,), float("nan")), "std": torch.ones(32)}, "all of them finite"),
        ({"mean": torch.zeros(32)}, "expected a dict with the tensors mean and std"),
        ([1, 2], "expected a dict"),
    ],
)
def test_statistics_that_are_none(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "s.pt")
    autoencoder = load_autoencoder(save_vae(tmp_path / "vae"))
    with pytest.raises(CheckpointError, match=message):
        with_latent_stats(autoencoder, tmp_path / "s.pt")
    (tmp_path / "s.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="not readable"):
        with_latent_stats(autoencoder, tmp_path / "s.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        with_latent_stats(autoencoder, tmp_path / "none.pt")


def test_latents_of_other_channels_need_their_autoencoder(tmp_path: Path, capfd: Any) -> None:
    source = lightning_checkpoint(tmp_path / "m.pt", {})
    finished = dit_gen(capfd, "sample", "--checkpoint", source, "--num", 1, "--out", tmp_path / "out")
    assert_refused(finished, "makes latents of 32 channels, which stabilityai/sd-vae-ft-ema cannot decode")
