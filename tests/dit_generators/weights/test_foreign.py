"""Checkpoints that are not what they seem: other families, other files, weights that are not finite."""

import argparse
import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DiTPipeline, DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler
from dit_models import assert_refused, dit_gen, random_model
from safetensors.torch import save_file

from dit_generators import load_checkpoint, save_checkpoint
from dit_generators.errors import CheckpointError, SamplingError
from dit_generators.sampling.sample import SampleSettings, sample
from dit_generators.weights.checkpoint import read_checkpoint, write_checkpoint


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "hello " * 9)
    return stream.getvalue()


ZIPPED = zipped()


def official(seed: int = 0) -> dict[str, torch.Tensor]:
    return random_model(
        seed, num_classes=4, hidden_size=384, num_heads=6, depth=1, patch_size=8, input_size=16
    ).state_dict()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"model": "MDTv2_S_2"}, "is a MDTv2"),
        ({"model": "u-vit-s/2"}, "is a u-vit"),
        ({"model": {"_target_": "models.uvit.UViT"}}, "is a uvit"),
        ({"model": {"model_type": "PixArt-XL/2"}, "data": {}}, "is a PixArt"),
        ({"model": "DiT-S/8", "path_type": "linear"}, "path_type, so it predicts a velocity, but not which code"),
        ({"network": {"loss": {"path-type": "Linear"}}}, "path_type, so it predicts a velocity"),
        ({"model": "DiT-XL/1", "transport": {}}, "transport, so it predicts a velocity"),
    ],
)
def test_another_family_is_refused_by_its_arguments(tmp_path: Path, args: Any, message: str) -> None:
    for kind in (args, argparse.Namespace(**args)):
        torch.save({"model": official(), "ema": official(1), "args": kind}, tmp_path / "m.pt")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("key", ["args", "config", "hparams", "hyper_parameters"])
@pytest.mark.parametrize("model", ["model", "ema", "state_dict", "model_ema", "net"])
def test_arguments_are_found_under_every_usual_name(tmp_path: Path, key: str, model: str) -> None:
    torch.save({model: official(), key: {"model": "MDT-S/8"}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="is a MDT"):
        load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("model", ["DiT-S/8", "transit-S", "results/reparameterised", "deposit"])
def test_a_dit_is_no_other_family_by_a_word_that_contains_its_name(tmp_path: Path, model: str) -> None:
    torch.save({"ema": official(), "model": official(), "args": {"model": model}}, tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt").config.depth == 1


def test_arguments_that_hold_themselves_end(tmp_path: Path) -> None:
    args: dict[str, Any] = {"model": "DiT-S/8"}
    args["args"] = args
    content: dict[str, Any] = {"ema": official(), "model": official(), "args": args}
    content["ema"]["state_dict"] = content["ema"]
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="expected tensors by name"):
        load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize(
    "name", ["MDT-XL-2-256x256.pt", "MDT-XL-2-256/model.pt", "000-MDT-XL-2-Linear/checkpoints/1.pt"]
)
def test_another_family_is_refused_by_its_file_or_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(official(), path)
    with pytest.raises(CheckpointError, match="is a MDT by its name"):
        load_checkpoint(path)


def test_another_family_is_refused_by_the_metadata_of_its_file(tmp_path: Path) -> None:
    for metadata in ({"model": "MDT-XL/2"}, {"modelspec.architecture": "mdt-xl-2"}, {"path_type": "Linear"}):
        save_file(official(), tmp_path / "m.safetensors", metadata)
        with pytest.raises(CheckpointError, match="(?i)MDT|velocity"):
            load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"_class_name": "FlowMatchEulerDiscreteScheduler"},
            "Scheduler, with which diffusers' own DiTPipeline",
        ),
        ({"prediction_type": "flow_prediction"}, "prediction_type is 'flow_prediction', expected one of epsilon"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule is 'sigmoid'"),
        ({"beta_schedule": ["linear"]}, "beta_schedule is"),
        ({"num_train_timesteps": 100}, "num_train_timesteps is 100, expected 1000"),
        ({"trained_betas": [0.1]}, "trained_betas is"),
        ({"variance_type": "learned"}, "variance_type is 'learned'"),
        ({"beta_start": "0.1"}, "beta_start: expected a number, got '0.1'"),
        ({"beta_end": 2.0}, "beta_start, beta_end: expected 0 < start <= end < 1"),
        ({"clip_sample": 1}, "clip_sample: expected true or false, got 1"),
        ({"rescale_betas_zero_snr": True}, "zero_snr: x_999 is all noise"),
        ({"thresholding": True, "sample_max_value": 0.5}, "threshold_max: expected"),
        ({"clip_sample": True, "clip_sample_range": float("nan")}, "clip, threshold"),
    ],
)
def test_a_diffusers_folder_of_another_process_is_refused(tmp_path: Path, fields: Any, message: str) -> None:
    folder = diffusers_folder(tmp_path)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("activation_fn", "gelu"), ("attention_bias", False), ("_class_name", "UNet2DModel"), ("num_layers", 10**9),
     ("sample_size", 10**9), ("attention_head_dim", 10**9), ("num_embeds_ada_norm", 10**30), ("num_layers", "2"),
     ("patch_size", 0), ("num_layers", None), ("num_embeds_ada_norm", -1), ("in_channels", [4])],
)  # fmt: skip
def test_a_config_json_of_another_network_is_refused_and_takes_no_memory(tmp_path: Path, name: str, value: Any) -> None:
    folder = diffusers_folder(tmp_path)
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("depth", 10**9), ("input_size", 2 * 10**9), ("hidden_size", 4 * 10**9), ("num_classes", 10**30),
     ("mlp_ratio", 1e300), ("depth", "x"), ("window", 10**9), ("attention", "swa*999," * 999)],
)  # fmt: skip
def test_a_configuration_of_impossible_numbers_is_refused_and_takes_no_memory(
    tmp_path: Path, name: str, value: Any
) -> None:
    model = random_model(num_classes=4, attention="swa")
    fields = json.loads(model.config.to_json()) | {name: value}
    save_file(model.state_dict(), tmp_path / "m.safetensors", {"dit_config": json.dumps(fields)})
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "m.safetensors")


def test_the_pipeline_of_diffusers_does_not_say_what_dit_is_told_as_time_in_a_flow(tmp_path: Path) -> None:
    network = DiTTransformer2DModel.from_pretrained(diffusers_folder(tmp_path) / "transformer")
    pipeline = DiTPipeline(network, AutoencoderKL(), FlowMatchEulerDiscreteScheduler())
    with pytest.raises(AttributeError, match="scale_model_input"):  # once it runs, such folders can be read
        pipeline([0], guidance_scale=1.0, num_inference_steps=2)


def diffusers_folder(tmp_path: Path) -> Path:
    save_checkpoint(random_model(num_classes=4, in_channels=4), tmp_path / "m.safetensors")
    write_checkpoint(read_checkpoint(tmp_path / "m.safetensors"), tmp_path / "folder")
    load_checkpoint(tmp_path / "folder")
    return tmp_path / "folder"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("in_blocks.0.norm1.weight", "U-ViT"),
        ("sideblocks.0.norm1.weight", "MDT"),
        ("blocks.0.cross_attn.q_linear.weight", "PixArt"),
        ("joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
        ("blocks.0.attn.q_norm.weight", "relative of DiT with normalised queries"),
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


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "net._orig_mod.", "dit.module."])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model_state_dict": {}, "ema_state_dict": s, "optimizer_state_dict": {}},
        lambda s: {"net": s, "loss": 0.5},
        lambda s: {"model": {}, "model_ema": {"module": s}},
        lambda s: {"ema": {name: value.numpy() for name, value in s.items()}, "model": {}},
    ],
)
def test_a_dit_under_every_usual_name_loads(tmp_path: Path, prefix: str, wrap: Any) -> None:
    state = official()
    torch.save(wrap({prefix + name: value for name, value in state.items()}), tmp_path / "m.pt")
    loaded = load_checkpoint(tmp_path / "m.pt").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in state.items())


def test_compiled_blocks_load_and_two_weights_of_one_name_are_refused(tmp_path: Path) -> None:
    state = official()
    compiled = {name.replace("blocks.0.", "blocks.0._orig_mod."): value for name, value in state.items()}
    torch.save(compiled, tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt").config.depth == 1
    torch.save(compiled | state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="twice"):
        load_checkpoint(tmp_path / "m.pt")


def test_weights_are_those_that_are_asked_for_or_refused(tmp_path: Path) -> None:
    one, two = official(1), official(2)
    torch.save({"model_state_dict": one, "ema_state_dict": two}, tmp_path / "both.pt")
    for weights, expected in ((None, two), ("ema", two), ("model", one)):
        loaded = load_checkpoint(tmp_path / "both.pt", weights=weights).state_dict()
        assert torch.equal(loaded["pos_embed"], expected["pos_embed"])
        assert torch.equal(loaded["x_embedder.proj.weight"], expected["x_embedder.proj.weight"])
    torch.save({"model_state_dict": one}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="has no 'ema' weights, only model_state_dict; take `weights=\"model\"`"):
        load_checkpoint(tmp_path / "model.pt")
    torch.save(one, tmp_path / "flat.pt")
    for weights in ("ema", "model"):
        with pytest.raises(CheckpointError, match=f'only one set of weights; leave out `weights="{weights}"`'):
            load_checkpoint(tmp_path / "flat.pt", weights=weights)
        with pytest.raises(CheckpointError, match="only one set of weights"):
            load_checkpoint("digits-full", weights=weights)


def test_the_arguments_say_whether_the_label_table_has_a_null_label(tmp_path: Path) -> None:
    state = official()  # five rows
    for classes, expected in ((4, (4, True)), (5, (5, False))):
        torch.save({"ema": state, "model": state, "args": {"num_classes": classes}}, tmp_path / "m.pt")
        config = load_checkpoint(tmp_path / "m.pt").config
        assert (config.num_classes, config.has_null_label) == expected
    torch.save({"ema": state, "model": state, "args": {"num_classes": 1000}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="its arguments say 1000 classes, but its label table has 5 rows"):
        load_checkpoint(tmp_path / "m.pt")


def test_a_model_name_of_another_width_says_nothing_about_heads(tmp_path: Path) -> None:
    state = random_model(num_classes=4).state_dict()
    torch.save({"ema": state, "model": state, "args": {"model": "DiT-XL/2"}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="number of attention heads is not in the file and width 32"):
        load_checkpoint(tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt", num_heads=2).config.num_heads == 2


def test_num_heads_is_used_or_refused_for_every_source(tmp_path: Path, capfd: Any) -> None:
    folder = diffusers_folder(tmp_path)
    for source, heads in (
        (tmp_path / "m.safetensors", 2),
        (folder, 2),
        (folder / "transformer", 2),
        ("digits-full", 4),
    ):
        real = load_checkpoint(source).config.num_heads
        assert load_checkpoint(source, num_heads=real).config.num_heads == real
        given = ["sample", "--checkpoint", source, "--out", tmp_path / "out", "--num-heads", heads * 8]
        assert_refused(dit_gen(capfd, *given), f"leave out --num-heads {heads * 8}")


def test_safetensors_and_torch_files_are_known_by_their_content(tmp_path: Path) -> None:
    save_file(official(), tmp_path / "m.pt")
    torch.save(official(), tmp_path / "m.safetensors")
    for name in ("m.pt", "m.safetensors"):
        assert load_checkpoint(tmp_path / name).config.hidden_size == 384


@pytest.mark.parametrize("value", [torch.zeros(1, dtype=torch.int64), torch.zeros(1).to_sparse(), torch.zeros(2) + 1j])
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path: Path, value: torch.Tensor) -> None:
    torch.save(official() | {"final_layer.linear.bias": value}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="expected plain floating-point weights"):
        load_checkpoint(tmp_path / "m.pt")


def test_a_small_file_cannot_claim_a_large_tensor(tmp_path: Path) -> None:
    torch.save(official() | {"final_layer.linear.bias": torch.zeros(1).expand(10**12)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="more than the file holds"):
        load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("shape", [(384,), (384, 3), (0, 3, 8, 8), ()])
def test_a_weight_of_other_dimensions_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    torch.save(official() | {"x_embedder.proj.weight": torch.zeros(shape)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"x_embedder\.proj\.weight has shape"):
        load_checkpoint(tmp_path / "m.pt")


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
        (b"Not Found", "is text, not weights (Not Found)"),
        (b'{"error": "Repository not found"}', 'is text, not weights ({"error": "Repository not found"})'),
        (gzip.compress(bytes(999), mtime=0), "is compressed (gzip); unpack it first"),
        (ZIPPED, "is a zip of a.txt, not a checkpoint; unpack it"),
        (ZIPPED[:-9], "damaged or cut short"),
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
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_checkpoint(tmp_path / "m.pt")


def test_num_heads_against_what_the_file_says_is_refused(tmp_path: Path) -> None:
    content = {"ema": official(), "model": official(), "args": argparse.Namespace(model="DiT-S/8")}
    torch.save(content, tmp_path / "m.pt")
    assert load_checkpoint(tmp_path / "m.pt", num_heads=6).config.num_heads == 6
    with pytest.raises(CheckpointError, match="has 6 attention heads, not 4"):
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
