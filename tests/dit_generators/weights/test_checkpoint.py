"""Checkpoints: every published layout loads to the same network, both ways, and damage is named."""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel
from dit_models import assert_refused, dit_gen, random_model, save_kl
from dit_oracles import assert_rows_close, oracle, oracle_config, oracle_folder
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dit_generators.errors import CheckpointError
from dit_generators.network.config import DiTConfig
from dit_generators.network.model import DiT
from dit_generators.weights.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint, write_checkpoint
from dit_generators.weights.files import CONFIG_KEY
from dit_generators.weights.hub import bundled_file, bundled_names


@pytest.fixture
def model() -> DiT:
    return random_model(num_classes=10, in_channels=4, input_size=8)


def assert_same(first: DiT, second: DiT) -> None:
    assert first.state_dict().keys() == second.state_dict().keys()
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
def test_a_changed_byte_of_the_weights_is_damage(tmp_path: Path, model: DiT, name: str) -> None:
    save_checkpoint(model, tmp_path / name)
    whole, needle = (tmp_path / name).read_bytes(), model.state_dict()["pos_embed"].numpy().tobytes()[:64]
    at = whole.index(needle) + 3
    (tmp_path / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path / name, num_heads=model.config.num_heads if name == "m.pt" else None)


def test_our_file_holds_weights_and_configuration(tmp_path: Path) -> None:
    model = random_model(attention="swa*1,full", window=5, window_border="truncate", num_classes=3)
    save_checkpoint(model, tmp_path / "m.safetensors")
    loaded = load_checkpoint(tmp_path / "m.safetensors")
    assert_same(loaded, model)
    assert loaded.config == model.config
    assert not loaded.training
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("name", ["flat.pt", "flat.safetensors"])
def test_an_official_flat_state_dict_tells_its_shape(tmp_path: Path, model: DiT, name: str) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(model.state_dict(), tmp_path / name)
    with pytest.raises(CheckpointError, match="number of attention heads is not in the file and width 32"):
        load_checkpoint(tmp_path / name)
    loaded = load_checkpoint(tmp_path / name, num_heads=2)
    assert loaded.config == model.config
    assert_same(loaded, model)
    assert_same(load_checkpoint(tmp_path / name, model.config), model)


def test_the_recorded_official_weights_give_the_recorded_output() -> None:
    loaded = load_checkpoint(oracle_folder() / "model.safetensors", num_heads=4)
    assert loaded.config == DiTConfig(**oracle_config()["model"])
    f = oracle("forward")
    with torch.no_grad():
        assert_rows_close(loaded(f["x"], f["t"], f["y"]), f["out"])


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_a_training_checkpoint_gives_its_ema(tmp_path: Path, prefix: str) -> None:
    plain, ema = (
        random_model(seed, num_classes=4, hidden_size=384, num_heads=6, depth=12, patch_size=8, input_size=16)
        for seed in (1, 2)
    )
    content = {
        "model": {prefix + name: value for name, value in plain.state_dict().items()},
        "ema": {prefix + name: value for name, value in ema.state_dict().items()},
        "opt": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "args": argparse.Namespace(model="DiT-S/8", num_classes=4, results_dir="results"),
    }
    torch.save(content, tmp_path / "0400000.pt")
    assert_same(load_checkpoint(tmp_path / "0400000.pt"), ema)
    assert_same(load_checkpoint(tmp_path / "0400000.pt", weights="model"), plain)
    del content["ema"]
    torch.save(content, tmp_path / "no-ema.pt")
    with pytest.raises(CheckpointError, match="has no 'ema' weights, only model, opt, args"):
        load_checkpoint(tmp_path / "no-ema.pt")


def test_a_table_of_one_label_has_no_null_label(tmp_path: Path) -> None:
    model = random_model(num_classes=1, class_dropout_prob=0.0)
    torch.save(model.state_dict(), tmp_path / "one.pt")
    assert load_checkpoint(tmp_path / "one.pt", num_heads=2).config == model.config


def test_half_precision_weights_load_as_float32(tmp_path: Path, model: DiT) -> None:
    torch.save({name: value.half() for name, value in model.state_dict().items()}, tmp_path / "half.pt")
    loaded = load_checkpoint(tmp_path / "half.pt", num_heads=2)
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    torch.testing.assert_close(loaded.final_layer.linear.weight, model.final_layer.linear.weight, rtol=1e-3, atol=1e-4)


def test_conversion_to_diffusers_and_back_keeps_every_weight(tmp_path: Path, model: DiT, capfd: Any) -> None:
    torch.save(model.state_dict(), tmp_path / "official.pt")
    vae = save_kl(tmp_path / "vae")
    arguments = ("convert", tmp_path / "official.pt", tmp_path / "folder", "--num-heads", 2, "--autoencoder", vae)
    assert dit_gen(capfd, *arguments).code == 0
    assert_same(load_checkpoint(tmp_path / "folder"), model)
    assert_same(load_checkpoint(tmp_path / "folder" / "transformer"), model)
    assert dit_gen(capfd, "convert", tmp_path / "folder", tmp_path / "back.pt").code == 0
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in back.items())
    assert dit_gen(capfd, "convert", tmp_path / "back.pt", tmp_path / "ours.safetensors", "--num-heads", 2).code == 0
    assert_same(load_checkpoint(tmp_path / "ours.safetensors"), model)


def test_diffusers_reads_the_folder_and_computes_the_same_but_for_its_own_embedding(tmp_path: Path, model: DiT) -> None:
    """At t = 0 the two timestep embeddings agree; eps 1e-5 of its second norm is the rest."""
    write_checkpoint(read_checkpoint_of(model, tmp_path), tmp_path / "folder")
    peer = DiTTransformer2DModel.from_pretrained(tmp_path / "folder", subfolder="transformer", low_cpu_mem_usage=False)
    x, t, y = torch.randn(4, 4, 8, 8), torch.zeros(4, dtype=torch.int64), torch.tensor([0, 3, 9, 5])
    with torch.no_grad():
        theirs = peer.eval()(x, timestep=t, class_labels=y).sample
        torch.testing.assert_close(model(x, t, y), theirs, rtol=1e-3, atol=1e-4)


def test_the_folder_with_a_vae_is_a_pipeline_of_diffusers(tmp_path: Path, model: DiT) -> None:
    from diffusers import DiTPipeline

    write_checkpoint(read_checkpoint_of(model, tmp_path), tmp_path / "folder", save_kl(tmp_path / "vae"))
    pipe = DiTPipeline.from_pretrained(tmp_path / "folder", low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    # Guidance in that pipeline needs exactly 1000 classes: its null label is written into it.
    images = pipe(class_labels=[1], guidance_scale=1.0, num_inference_steps=2, output_type="np").images
    assert images.shape == (1, 16, 16, 3)


def read_checkpoint_of(model: DiT, folder: Path) -> Any:
    save_checkpoint(model, folder / "m.safetensors")
    return read_checkpoint(folder / "m.safetensors")


def test_a_network_of_diffusers_with_one_embedder_loads_and_with_several_is_refused(tmp_path: Path) -> None:
    peer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        num_embeds_ada_norm=10,
    )  # fmt: skip
    peer.save_pretrained(tmp_path / "several")
    with pytest.raises(CheckpointError, match="differs from that of block 0. It was trained in diffusers"):
        load_checkpoint(tmp_path / "several")
    blocks = peer.transformer_blocks
    blocks[1].norm1.emb.load_state_dict(blocks[0].norm1.emb.state_dict())
    peer.save_pretrained(tmp_path / "one")
    loaded = load_checkpoint(tmp_path / "one")
    assert loaded.config.num_classes == 10
    assert loaded.config.depth == 2
    assert torch.equal(loaded.blocks[1].attn.qkv.weight[32:64], blocks[1].attn1.to_k.weight)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 0}, "an unconditional model cannot be written"),
        ({"num_classes": 3, "attention": "swa"}, "full attention only; this model was trained with windows"),
        ({"num_classes": 3, "mlp_ratio": 2.0}, "mlp_ratio 4 only"),
        ({"num_classes": 3, "class_dropout_prob": 0.0}, "always has a null label"),
    ],
)
def test_what_diffusers_cannot_hold_is_refused(tmp_path: Path, capfd: Any, fields: Any, message: str) -> None:
    save_checkpoint(random_model(**fields), tmp_path / "m.safetensors")
    assert_refused(dit_gen(capfd, "convert", tmp_path / "m.safetensors", tmp_path / "folder"), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors"]


def test_a_missing_an_unknown_and_a_misshapen_key_are_named(tmp_path: Path, model: DiT) -> None:
    state = dict(model.state_dict())
    cases = {
        "blocks.1.mlp.fc2.bias is missing": {k: v for k, v in state.items() if k != "blocks.1.mlp.fc2.bias"},
        "unknown weights blocks.0.extra": state | {"blocks.0.extra": torch.zeros(1)},
        "blocks.0.attn.proj.weight has shape (32, 31), the configuration needs (32, 32)": state
        | {"blocks.0.attn.proj.weight": torch.zeros(32, 31)},
    }
    for message, changed in cases.items():
        torch.save(changed, tmp_path / "m.pt")
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / "m.pt", model.config)
        assert message in str(caught.value)
        assert str(tmp_path / "m.pt") in str(caught.value)


def test_another_input_size_names_pos_embed(tmp_path: Path, model: DiT) -> None:
    torch.save(model.state_dict(), tmp_path / "m.pt")
    bigger = DiTConfig.from_dict({**json.loads(model.config.to_json()), "input_size": 16})
    with pytest.raises(CheckpointError, match=r"pos_embed has shape \(1, 16, 32\), the configuration needs \(1, 64"):
        load_checkpoint(tmp_path / "m.pt", bigger)


class _Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


class _Shell(_Evil):
    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.target}",)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path, capfd: Any) -> None:
    trap = tmp_path / "trap"
    for name, kind in (("evil.pt", _Evil), ("evil.bin", _Evil), ("shell.pt", _Shell)):
        torch.save({"ema": {"x": kind(trap)}}, tmp_path / name)
        finished = dit_gen(capfd, "sample", "--checkpoint", tmp_path / name, "--out", tmp_path / "out")
        assert_refused(finished, "could run code; it was not opened")
    assert not trap.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, capfd: Any, model: DiT, name: str, kept: float) -> None:
    path = tmp_path / name
    write_checkpoint(read_checkpoint_of(model, tmp_path), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    finished = dit_gen(capfd, "sample", "--checkpoint", path, "--out", tmp_path / "out")
    assert_refused(finished, f"{path}: ")


def test_files_that_are_no_checkpoint(tmp_path: Path, capfd: Any) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pt")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    messages = {
        "list.pt": "expected a state dict, found list",
        "other.pt": "has no pos_embed; expected the weights of a DiT, found a",
        "other.safetensors": "has no pos_embed",
        "text.txt": "expected a .safetensors or .pt file, or a folder",
        "empty": "no checkpoint is in this folder",
        "broken": "not readable JSON",
        "absent.pt": "no such file or folder; give a path",
    }
    for name, message in messages.items():
        finished = dit_gen(capfd, "sample", "--checkpoint", tmp_path / name, "--out", tmp_path / "out")
        assert_refused(finished, message)


def test_bundled_checkpoints_come_in_pairs_that_differ_in_attention_only() -> None:
    names = bundled_names()
    assert set(names) == {"digits-full", "digits-swa", "landscapes-full", "landscapes-swa"}
    assert sum(bundled_file(name).stat().st_size for name in names) <= 20_000_000
    for full in (name for name in names if name.endswith("-full")):
        configs = [vars(load_checkpoint(name).config) for name in (full, full.replace("-full", "-swa"))]
        assert {key for key in configs[0] if configs[0][key] != configs[1][key]} == {"attention"}


def test_a_hub_id_that_is_not_here_names_the_cache(tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    finished = dit_gen(capfd, "sample", "--checkpoint", "facebook/DiT-XL-2-256", "--out", tmp_path / "out")
    assert_refused(finished, "facebook/DiT-XL-2-256 is not a path here, not in ")


def test_a_cached_hub_model_loads_without_a_network(tmp_path: Path, model: DiT, monkeypatch: Any) -> None:
    write_checkpoint(read_checkpoint_of(model, tmp_path), tmp_path / "folder")
    root = tmp_path / "cache" / "models--someone--dit"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("a" * 40)
    shutil.copytree(tmp_path / "folder", root / "snapshots" / ("a" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert_same(load_checkpoint("someone/dit"), model)


def test_converting_loses_nothing_when_it_cannot_write(tmp_path: Path, capfd: Any, model: DiT) -> None:
    save_checkpoint(model, tmp_path / "m.safetensors")
    (tmp_path / "folder").mkdir()
    for target, message in {
        tmp_path / "folder": "exists already",
        tmp_path / "absent" / "m.pt": "does not exist; create it first",
        Path("/proc/m.pt"): "/proc/",
        tmp_path / "m.onnx": "expected a name ending in .safetensors or .pt",
        tmp_path / "folder" / ".." / "m.safetensors": "is the input file and would be lost; name another",
    }.items():
        assert_refused(dit_gen(capfd, "convert", tmp_path / "m.safetensors", target), message)
    assert load_file(tmp_path / "m.safetensors")


def test_a_folder_without_a_checkpoint_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "000000.png").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no checkpoint is in this folder; expected .* training run, .*\.pt or"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("engine", ["flex", "gather"])
def test_a_checkpoint_of_an_engine_that_is_no_option_any_more_loads_as_swa(tmp_path: Path, engine: str) -> None:
    model = random_model(attention="swa", input_size=16)
    save_checkpoint(model, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        metadata = file.metadata()
    config = metadata[CONFIG_KEY].replace('"swa"', f'"swa:{engine}"')
    save_file(model.state_dict(), tmp_path / "old.safetensors", {CONFIG_KEY: config})
    loaded = load_checkpoint(tmp_path / "old.safetensors")
    assert loaded.config == model.config
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 900])
    assert torch.equal(loaded(x, t), model.eval()(x, t))
