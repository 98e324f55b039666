"""A model of latents knows its autoencoder: written by training, found and verified by whatever samples."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model, save_kl
from PIL import Image
from safetensors.torch import load_file, save_file

from dit_generators import load_autoencoder, load_checkpoint, save_checkpoint
from dit_generators.errors import CheckpointError
from dit_generators.network.autoencoder_record import AutoencoderRecord
from dit_generators.weights.checkpoint import checkpoints_in, read_checkpoint, write_checkpoint

SMALL = ["--preset", "small", "--hidden-size", "32", "--depth", "1", "--num-heads", "2", "--image-size", "16"]
SMALL += ["--space", "latent", "--batch-size", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, an autoencoder, and a run of two steps on its latents."""
    from dit_generators.cli.main import main

    folder = tmp_path_factory.mktemp("latent")
    save_kl(folder / "vae")
    (folder / "pictures").mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "pictures" / f"{i}.png")
    with pytest.raises(SystemExit) as end:
        main([str(part) for part in train(folder, "--steps", 2)])
    assert end.value.code == 0
    return folder


def train(folder: Path, *more: object, vae: str = "vae") -> list[object]:
    pictures, run = folder / "pictures", folder / "run"
    return ["train", pictures, "--out", run, *SMALL, "--autoencoder", folder / vae, *more]


def sample(capfd: Any, checkpoint: Path, out: Path, *more: object) -> Any:
    return dit_gen(capfd, "sample", "--checkpoint", checkpoint, "--num", 1, "--steps", 2, "--out", out, *more)


def other_vae(source: Path, target: Path, **changes: Any) -> Path:
    shutil.copytree(source, target)
    if changes:
        fields = json.loads((target / "config.json").read_text())
        (target / "config.json").write_text(json.dumps(fields | changes))
        return target
    weights = load_file(path := target / "diffusion_pytorch_model.safetensors")
    save_file({name: value + 0.01 for name, value in weights.items()}, path)
    return target


def test_a_run_and_each_of_its_checkpoints_name_the_autoencoder(latent: Path) -> None:
    expected = AutoencoderRecord.of(load_autoencoder(latent / "vae"))
    assert expected.source == str(latent / "vae")
    assert json.loads((latent / "run" / "run.json").read_text())["autoencoder"] == vars(expected)
    for name in ("ema", "model"):
        assert read_checkpoint(checkpoints_in(latent / "run")[-1] / f"{name}.safetensors").record == expected


def test_sampling_finds_it_from_the_run_its_copied_checkpoint_and_one_file(
    latent: Path, tmp_path: Path, capfd: Any, monkeypatch: Any
) -> None:
    step = checkpoints_in(latent / "run")[-1]
    shutil.copytree(step, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    for k, checkpoint in enumerate((latent / "run", tmp_path / "copy", tmp_path / "copy" / "ema.safetensors")):
        finished = sample(capfd, checkpoint, tmp_path / f"{k}")
        assert finished.code == 0, finished.err
        assert (tmp_path / f"{k}" / "000000.png").read_bytes() == (tmp_path / "0" / "000000.png").read_bytes()
    sweep = ["sweep", "--checkpoint", latent / "run", "--num", 1, "--steps", "2", "--out", tmp_path / "sweep"]
    assert dit_gen(capfd, *sweep).code == 0
    cell = tmp_path / "sweep" / "full_w1_s2" / "000000.png"
    assert cell.read_bytes() == (tmp_path / "0" / "000000.png").read_bytes()


def test_an_equal_one_elsewhere_is_as_good_and_another_is_refused(latent: Path, tmp_path: Path, capfd: Any) -> None:
    run, vae = latent / "run", latent / "vae"
    shutil.copytree(vae, tmp_path / "moved")
    assert sample(capfd, run, tmp_path / "out", "--autoencoder", tmp_path / "moved").code == 0
    weights = other_vae(vae, tmp_path / "weights")
    scale = other_vae(vae, tmp_path / "scale", scaling_factor=0.5)
    shift = other_vae(vae, tmp_path / "shift", shift_factor=0.1)
    for other, message in ((weights, "has other weights than"), (scale, "has scale 0.5, not 0.18215 as"),
                           (shift, "has shift 0.1, not 0 as")):  # fmt: skip
        for command in ("sample", "sweep"):
            given = [command, "--checkpoint", run, "--steps", 2, "--out", tmp_path / "no", "--autoencoder", other]
            assert_refused(dit_gen(capfd, *given), f"{message} {vae}, with which the model was trained")
    assert not (tmp_path / "no").exists()


def test_one_that_is_not_here_or_changed_since_is_named(latent: Path, tmp_path: Path, capfd: Any) -> None:
    (latent / "vae").rename(latent / "away")
    try:
        finished = sample(capfd, latent / "run", tmp_path / "out")
        assert_refused(finished, f"trained with the autoencoder {latent / 'vae'}, which cannot be read here")
        other_vae(latent / "away", latent / "vae")
        assert_refused(sample(capfd, latent / "run", tmp_path / "out"), "has other weights than")
        shutil.rmtree(latent / "vae")
    finally:
        (latent / "away").rename(latent / "vae")


def test_a_run_goes_on_with_its_own_autoencoder_only(latent: Path, tmp_path: Path, capfd: Any) -> None:
    other_vae(latent / "vae", latent / "other")
    more = ["--steps", 3, "--latents", tmp_path / "latents"]
    assert_refused(dit_gen(capfd, *train(latent, *more, vae="other")), "the autoencoder.weights differ")
    assert not (tmp_path / "latents").exists()
    shutil.copytree(latent / "vae", latent / "moved")
    assert dit_gen(capfd, *train(latent, *more, vae="moved")).code == 0


def test_a_run_from_before_the_record_needs_it_to_be_given(latent: Path, tmp_path: Path, capfd: Any) -> None:
    shutil.copytree(latent / "run", old := tmp_path / "old")
    for path in checkpoints_in(old)[-1].glob("*.safetensors"):
        model = load_checkpoint(path)
        model.autoencoder_record = None
        save_checkpoint(model, path)
    (checkpoints_in(old)[-1] / "SHA256SUMS").unlink()
    fields = json.loads((old / "run.json").read_text())
    del fields["autoencoder"]
    (old / "run.json").write_text(json.dumps(fields))
    assert_refused(sample(capfd, old, tmp_path / "out"), "does not record its autoencoder; give it")
    assert sample(capfd, old, tmp_path / "out", "--autoencoder", latent / "vae").code == 0
    going_on = ["train", latent / "pictures", "--out", old, *SMALL, "--steps", 3, "--autoencoder", latent / "vae"]
    assert dit_gen(capfd, *going_on).code == 0
    assert sample(capfd, old, tmp_path / "now").code == 0


def test_conversion_keeps_the_record_and_refuses_another_autoencoder(latent: Path, tmp_path: Path, capfd: Any) -> None:
    record = AutoencoderRecord.of(load_autoencoder(latent / "vae"))
    model = random_model(num_classes=3, in_channels=4)
    model.autoencoder_record = record
    save_checkpoint(model, source := tmp_path / "m.safetensors")
    assert dit_gen(capfd, "convert", source, tmp_path / "n.safetensors").code == 0
    assert read_checkpoint(tmp_path / "n.safetensors").record == record
    other = other_vae(latent / "vae", tmp_path / "other")
    assert_refused(dit_gen(capfd, "convert", source, tmp_path / "f", "--autoencoder", other), "has other weights than")
    assert dit_gen(capfd, "convert", source, tmp_path / "f", "--autoencoder", latent / "vae").code == 0
    assert read_checkpoint(tmp_path / "f").record == record
    to_file = dit_gen(capfd, "convert", source, tmp_path / "o.pt", "--autoencoder", latent / "vae")
    assert_refused(to_file, "can only be copied into a diffusers folder")


def test_an_autoencoder_of_other_channels_is_refused(latent: Path, tmp_path: Path, capfd: Any) -> None:
    save_checkpoint(random_model(in_channels=8), tmp_path / "m.safetensors")
    finished = sample(capfd, tmp_path / "m.safetensors", tmp_path / "out", "--autoencoder", latent / "vae")
    assert_refused(finished, "has latents of 4 channels, the model makes 8")


@pytest.mark.parametrize(
    "text", ["{}", "[]", "{", "[" * 100_000, '{"source": 1, "weights_sha256": "a", "scale": 1, "shift": 0}',
             '{"source": "a", "weights_sha256": "a", "scale": NaN, "shift": 0}']
)  # fmt: skip
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    from dit_generators.weights.files import AUTOENCODER_KEY, CONFIG_KEY

    model = random_model(in_channels=4)
    save_file(model.state_dict(), path := tmp_path / "m.safetensors",
              {CONFIG_KEY: model.config.to_json(), AUTOENCODER_KEY: text})  # fmt: skip
    with pytest.raises(CheckpointError, match="of its autoencoder"):
        load_checkpoint(path)


@pytest.mark.parametrize("factor", ["high", [1], float("nan")])
def test_factors_that_are_no_numbers_are_refused(latent: Path, tmp_path: Path, factor: Any) -> None:
    with pytest.raises(CheckpointError, match="vae"):
        load_autoencoder(other_vae(latent / "vae", tmp_path / "vae", scaling_factor=factor))


def test_an_autoencoder_without_some_of_its_weights_is_refused(latent: Path, tmp_path: Path) -> None:
    shutil.copytree(latent / "vae", vae := tmp_path / "vae")
    weights = load_file(path := vae / "diffusion_pytorch_model.safetensors")
    for changed, message in (
        ({name: value for name, value in weights.items() if name != "decoder.conv_out.bias"}, "missing keys"),
        (weights | {"decoder.conv_out.more": torch.zeros(1)}, "unexpected keys"),
    ):
        save_file(changed, path, {"format": "pt"})
        with pytest.raises(CheckpointError, match=message):
            load_autoencoder(vae)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"block_out_channels": [1024, 1024]}, "its config.json describes .* weights, the file has"),
        ({"block_out_channels": [8] * 100_000}, "100000 blocks"),
        ({"layers_per_block": 10**9}, "layers_per_block 1000000000"),
        ({"in_channels": 10**12}, "cannot be read"),
    ],
)
def test_a_configuration_larger_than_its_file_takes_no_memory(
    latent: Path, tmp_path: Path, fields: Any, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_autoencoder(other_vae(latent / "vae", tmp_path / "vae", **fields))


def test_a_decoder_that_gives_nan_gives_no_picture(latent: Path, tmp_path: Path, capfd: Any) -> None:
    shutil.copytree(latent / "vae", vae := tmp_path / "vae")
    weights = load_file(path := vae / "diffusion_pytorch_model.safetensors")
    weights["decoder.conv_out.bias"] = torch.full_like(weights["decoder.conv_out.bias"], torch.nan)
    save_file(weights, path)
    write_checkpoint(read_model(tmp_path), tmp_path / "n.safetensors")
    for command in ("sample", "sweep"):
        given = [
            command,
            "--checkpoint",
            tmp_path / "n.safetensors",
            "--num",
            2,
            "--steps",
            2,
            "--out",
            tmp_path / command,
        ]
        finished = dit_gen(capfd, *given, "--autoencoder", vae)
        assert finished.code == 2
        assert "the autoencoder gave NaN or infinity for 2 of 2 images" in finished.err.splitlines()[-1]
        assert not list(tmp_path.rglob("*.png"))


def read_model(folder: Path) -> Any:
    save_checkpoint(random_model(in_channels=4), folder / "m.safetensors")
    return read_checkpoint(folder / "m.safetensors")
