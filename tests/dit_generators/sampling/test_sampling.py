"""Sampling: guidance means its formula, and an image depends on nothing but its own number."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from dit_models import random_model, save_kl
from torch import Tensor

from dit_generators.diffusion.guidance import Guidance, guided
from dit_generators.diffusion.noise import ImageNoise, image_label, stream_seed
from dit_generators.errors import ArgumentError, CheckpointError
from dit_generators.sampling.sample import SAMPLERS, SampleSettings, sample, sample_states, to_pixels
from dit_generators.weights.autoencoder import load_autoencoder

GUIDANCE = [Guidance(), Guidance(3.0), Guidance(3.0, channels="3"), Guidance(0.0), Guidance(2.0, by="window")]


@pytest.fixture(autouse=True)
def _no_gradient() -> Iterator[None]:
    with torch.no_grad():
        yield


def last(model, settings: SampleSettings, indices) -> Tensor:
    *_, step = sample_states(model, settings, indices)
    return step.x


def settings_for(sampler: str, **fields) -> SampleSettings:
    return SampleSettings(sampler=sampler, steps="6", eta=0.5 if sampler == "ddim" else 0.0, **fields)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance", GUIDANCE, ids=lambda g: f"{g.by}{g.scale:g}-{g.channels}")
def test_an_image_has_the_same_bits_whatever_stands_beside_it(sampler: str, guidance: Guidance) -> None:
    model = random_model(num_classes=4, in_channels=4, input_size=16)
    settings = settings_for(sampler, guidance=guidance)
    whole = last(model, settings, range(9))
    for indices in ([0], [4], [3, 4, 5], [8, 0], [7, 6, 5, 4, 3]):
        assert torch.equal(last(model, settings, indices), whole[indices])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seeds_and_numbers_change_the_image(sampler: str) -> None:
    model = random_model()
    images = [last(model, settings_for(sampler, seed=seed), [i])[0] for seed in (0, 1) for i in (0, 1)]
    for i, first in enumerate(images):
        assert not any(torch.equal(first, other) for other in images[i + 1 :])


def test_streams_of_images_are_independent_and_reproducible() -> None:
    def draws() -> Tensor:
        noise = ImageNoise(3, range(200), (3, 8, 8), torch.device("cpu"))
        return torch.stack([noise() for _ in range(5)], dim=1).flatten(1)

    first = draws()
    assert torch.equal(first, draws())
    correlation = torch.corrcoef(first)
    assert float((correlation - torch.eye(200)).abs().max()) < 0.2
    assert float(first.mean().abs()) < 0.01
    assert len({stream_seed(seed, i) for seed in range(30) for i in range(100)}) == 3000


def test_drawn_labels_are_uniform() -> None:
    counts = np.bincount([image_label(0, i, 5) for i in range(5000)], minlength=5)
    assert counts.min() > 900
    assert counts.sum() == 5000


def test_given_labels_are_taken_in_turn() -> None:
    settings = SampleSettings(labels=(7, 2))
    assert [settings.label(i, 10) for i in range(5)] == [7, 2, 7, 2, 7]


@pytest.mark.parametrize("channels", ["all", "3"])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.5, 4.0, -1.0])
def test_guidance_is_its_formula(scale: float, channels: str) -> None:
    model = random_model(num_classes=4, in_channels=4)
    x, t, y = torch.randn(3, 4, 8, 8), torch.full((3,), 400), torch.tensor([0, 1, 3])
    conditional, unconditional = model(x, t, y), model(x, t, torch.full_like(y, 4))
    out = guided(model, y, Guidance(scale, channels=channels))(x, t)
    count = 4 if channels == "all" else 3
    formula = unconditional + scale * (conditional - unconditional)
    torch.testing.assert_close(out[:, :count], formula[:, :count], rtol=1e-5, atol=1e-6)
    rest = unconditional if scale == 0 and channels == "all" else conditional
    torch.testing.assert_close(out[:, count:], rest[:, count:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_scale_0_is_the_unconditional_model_and_1_is_no_guidance(sampler: str) -> None:
    model = random_model(num_classes=4)
    null, plain = settings_for(sampler, labels=(4,)), settings_for(sampler, labels=(2,))
    zero, one = (settings_for(sampler, labels=(2,), guidance=Guidance(scale)) for scale in (0.0, 1.0))
    assert torch.equal(last(model, zero, range(3)), last(model, null, range(3)))
    assert torch.equal(last(model, one, range(3)), last(model, plain, range(3)))


def test_guidance_acts_inside_its_interval_only() -> None:
    model = random_model(num_classes=4)
    x, y = torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
    limited, always, never = (
        guided(model, y, g) for g in (Guidance(4.0, interval=(300, 600)), Guidance(4.0), Guidance(1.0))
    )
    for timestep in (0, 299, 300, 450, 600, 601, 999):
        t = torch.full((2,), timestep)
        expected = (always if 300 <= timestep <= 600 else never)(x, t)
        assert torch.equal(limited(x, t), expected), timestep


@pytest.mark.parametrize("classes", [0, 4])
def test_window_guidance_takes_the_same_weights_with_a_small_window_as_the_weak_model(classes: int) -> None:
    model = random_model(num_classes=classes, input_size=16)
    labels = torch.tensor([0, 1]) if classes else None
    x, t = torch.randn(2, 3, 16, 16), torch.full((2,), 500)
    strong = model(x, t, labels)
    with pytest.warns(UserWarning, match="runs with swa"):
        model.set_attention("swa", window=3)
    weak = model(x, t, labels)
    model.set_attention("full")
    out = guided(model, labels, Guidance(2.5, by="window"))(x, t)
    torch.testing.assert_close(out[:, :3], (weak + 2.5 * (strong - weak))[:, :3], rtol=1e-5, atol=1e-6)
    assert float((strong - weak).abs().max()) > 1e-4


@pytest.mark.parametrize(
    ("fields", "settings", "message"),
    [
        (
            {},
            SampleSettings(guidance=Guidance(4.0)),
            "^`guidance.scale=4`: this model is unconditional.*`guidance.by='window'`",
        ),
        ({}, SampleSettings(labels=(1,)), "labels: this model is unconditional"),
        ({"num_classes": 4}, SampleSettings(labels=(5,)), "label 5: this model has the classes 0 to 3"),
        ({"num_classes": 4, "class_dropout_prob": 0.0}, SampleSettings(guidance=Guidance(4.0)), "no null label"),
        ({}, SampleSettings(steps="0"), "^steps: expected a number of 1 or more, .* got 0$"),
        ({}, SampleSettings(steps=50), "^steps: expected a text, got 50$"),  # type: ignore[arg-type]
        ({}, SampleSettings(guidance=4.0), "^guidance: expected a Guidance, got 4.0$"),  # type: ignore[arg-type]
        ({}, SampleSettings(steps="1"), "2 steps or more"),
        ({}, SampleSettings(steps="1001"), "1001 asked for, but training had 1000"),
        ({}, SampleSettings(sampler="unipc", steps="1001"), "1001 asked for, but training had 1000"),
        ({}, SampleSettings(sampler="unipc", steps="ddim50"), "takes a number of steps"),
        ({}, SampleSettings(sampler="euler"), "sampler: expected ddpm, ddim, dpm-solver"),
        ({}, SampleSettings(eta=0.5), "eta: is for `sampler='ddim'`"),
        ({}, SampleSettings(sampler="ddim", eta=2), "eta: expected 0 to 1"),
        ({}, SampleSettings(guidance=Guidance(float("nan"))), "expected a finite number"),
        ({}, SampleSettings(guidance=Guidance(2.0, by="window", window=9)), "does not fit the grid"),
        ({}, SampleSettings(guidance=Guidance(2.0, interval=(9, 3))), "guidance.interval: expected LOW,HIGH"),
        ({}, SampleSettings(seed=-1), "seed: expected 0 or more"),
    ],
)
def test_settings_that_a_model_cannot_run(fields, settings: SampleSettings, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        next(sample_states(random_model(**fields), settings, [0]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_and_two_steps_of_the_solvers_and_two_of_the_others_run(sampler: str) -> None:
    steps = ("1", "2") if sampler in ("dpm-solver++", "unipc") else ("2",)
    for count in steps:
        x = last(random_model(), SampleSettings(sampler=sampler, steps=count), [0])
        assert torch.isfinite(x).all()


def test_no_images_and_negative_numbers_are_refused() -> None:
    for indices, message in (([], "expected the number of one image or more"), ([0, -1], "expected 0 or more, got -1")):
        with pytest.raises(ArgumentError, match=message):
            sample(random_model(), SampleSettings(steps="2"), indices)


def test_pixels_are_127_5_x_plus_128_cut_off() -> None:
    values = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.25, 0.996, 1.0, 9.0]).reshape(1, 1, 1, 8)
    assert to_pixels(values, None).ravel().tolist() == [0, 0, 64, 128, 159, 254, 255, 255]
    with pytest.raises(ArgumentError, match="4 channels are not a picture"):
        to_pixels(torch.zeros(1, 4, 2, 2), None)


def test_latents_go_through_the_autoencoder_one_at_a_time(tmp_path) -> None:
    autoencoder = load_autoencoder(save_kl(tmp_path / "vae"))
    assert autoencoder.scale == 0.18215
    model = random_model(in_channels=4, num_classes=3)
    settings = SampleSettings(steps="4")
    pictures = sample(model, settings, range(3), autoencoder)
    assert pictures.shape == (3, 16, 16, 3)
    assert pictures.dtype == np.uint8
    for i in range(3):
        np.testing.assert_array_equal(sample(model, settings, [i], autoencoder)[0], pictures[i])
    direct = autoencoder.network.decode(last(model, settings, [1]) / 0.18215).sample
    np.testing.assert_array_equal(to_pixels(direct, None)[0], pictures[1])


def test_encoding_gives_mean_and_deviation_in_the_units_of_the_model(tmp_path) -> None:
    autoencoder = load_autoencoder(save_kl(tmp_path / "vae"))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    mean, deviation = autoencoder.encode(images)
    expected = autoencoder.network.encode(images).latent_dist
    torch.testing.assert_close(mean, expected.mean * 0.18215, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(deviation, expected.std * 0.18215, rtol=1e-4, atol=1e-5)


def test_a_tiny_autoencoder_works_too(tmp_path) -> None:
    from diffusers import AutoencoderTiny

    AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
                    num_decoder_blocks=(1, 1)).save_pretrained(tmp_path / "taesd")  # fmt: skip
    autoencoder = load_autoencoder(tmp_path / "taesd")
    assert autoencoder.scale == 1.0
    mean, deviation = autoencoder.encode(torch.zeros(1, 3, 16, 16))
    assert autoencoder.decode(mean).shape == (1, 3, 16, 16)
    assert not deviation.any()


def test_folders_that_hold_no_autoencoder(tmp_path) -> None:
    folder = save_kl(tmp_path / "vae")
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="the AutoencoderKL in it cannot be read"):
        load_autoencoder(folder)
    (folder / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    with pytest.raises(CheckpointError, match="is a UNet2DModel, expected AutoencoderKL or AutoencoderTiny"):
        load_autoencoder(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json: no such file; give a save_pretrained folder"):
        load_autoencoder(tmp_path / "empty")


def test_bf16_changes_images_a_little() -> None:
    model = random_model(input_size=16)
    exact, rounded = (last(model, SampleSettings(steps="5", precision=p), [0]) for p in ("fp32", "bf16"))
    assert rounded.dtype == torch.float32
    difference = float((exact - rounded).abs().max() / exact.abs().max())
    assert 0 < difference < 0.05
