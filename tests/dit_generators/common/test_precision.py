"""Less than float32: what it changes is said, and what it sets is set back."""

import re
import subprocess
import sys

import pytest
import torch
from dit_models import dit_gen, random_model, save_kl, saved_model
from pictures import write_pictures
from training_runs import SMALL

from dit_generators import SampleSettings, load_autoencoder, sample
from dit_generators.common.precision import float32_products
from dit_generators.sampling.folder import differences
from dit_generators.weights.autoencoder import Autoencoder


def states() -> list[str]:
    backends = torch.backends
    return [x.fp32_precision for x in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)]


@pytest.mark.parametrize(("tf32", "inside"), [(True, "tf32"), (False, "ieee")])
def test_tf32_is_set_and_set_back_also_after_an_error(tf32: bool, inside: str) -> None:
    before, seen = states(), []

    def fail() -> None:
        with float32_products(tf32=tf32):
            seen.extend(states())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [inside] * 3
    assert states() == before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sample_says_how_far_its_images_are_from_float32(tmp_path, capfd, precision) -> None:
    checkpoint = saved_model(tmp_path / "pixels.safetensors")
    command = ["sample", "--checkpoint", checkpoint, "--num", 5, "--steps", 4, "--out", tmp_path / "out"]
    reduced = dit_gen(capfd, *command, "--precision", precision)
    assert reduced.code == 0
    assert "the first 4 images differ from fp32 by 0." in reduced.out
    again = dit_gen(capfd, *command, "--precision", precision)
    assert "differ from fp32" not in again.out
    exact = dit_gen(capfd, *command[:-1], tmp_path / "exact")
    assert "differ from fp32" not in exact.out


def test_the_autoencoder_decodes_in_a_precision_of_its_own(tmp_path) -> None:
    exact = load_autoencoder(save_kl(tmp_path / "vae"))
    reduced = Autoencoder(exact.network, exact.source, exact.scale, exact.shift, "bf16")
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    images = reduced.decode(latents)
    assert images.dtype == torch.float32
    assert 0 < float((images - exact.decode(latents)).abs().max()) < 0.1
    assert reduced.weights_sha256 == exact.weights_sha256


def test_the_precision_of_the_autoencoder_is_part_of_a_run_and_older_records_are_float32() -> None:
    now = {"autoencoder": {"vae_precision": "bf16"}}
    assert differences({"autoencoder": {"vae_precision": "fp32"}}, now)
    assert not differences({"autoencoder": {}}, {"autoencoder": {"vae_precision": "fp32"}})
    assert differences({"autoencoder": {}}, now)


def test_auto_measures_in_the_precision_that_will_run_and_computes_the_same() -> None:
    model = random_model(attention="swa", window=3)
    before = sample(model, SampleSettings(steps="3"), range(2))
    choice = model.set_attention("auto", batch_size=2, dtype=torch.bfloat16)
    assert choice is not None
    assert set(choice.seconds) == {"swa"}
    assert abs(sample(model, SampleSettings(steps="3"), range(2)).astype(int) - before).max() <= 1


def test_training_says_what_bfloat16_does_to_the_loss(tmp_path) -> None:
    pictures = write_pictures(tmp_path / "pictures", 12)
    command = [sys.executable, "-m", "dit_generators", "train", pictures, "--out", tmp_path / "run", *SMALL]
    run = subprocess.run([*command, "--steps", "2", "--precision", "bf16"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert re.search(r"forecast: .*; bf16 moves the loss of the first batch by [+-][0-9.]+ %", run.stdout + run.stderr)
