"""Training of a velocity: resumed to the bit, recorded, and sampled as what it is."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from dit_models import assert_refused, dit_gen, random_model
from flow_oracles import official_state
from pictures import write_pictures
from PIL import Image
from training_runs import SMALL, assert_same_end, small_run

from dit_generators import TrainOptions, load_checkpoint, make_run, save_checkpoint
from dit_generators.data.batches import PixelExamples, make_batch
from dit_generators.diffusion.loss import velocity_loss
from dit_generators.diffusion.paths import training_times
from dit_generators.errors import ArgumentError, CheckpointError
from dit_generators.network.process import Diffusion, Flow
from dit_generators.training.curve import draw_curve
from dit_generators.weights.checkpoint import Checkpoint, checkpoints_in, write_checkpoint


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def test_a_run_of_a_velocity_resumes_to_the_bit_and_is_sampled(tmp_path: Path, capfd: Any, pictures: Path) -> None:
    options = [*SMALL, "--objective", "velocity", "--save-every", 2]
    for steps in (2, 4):
        assert dit_gen(capfd, "train", pictures, "--out", tmp_path / "two", *options, "--steps", steps).code == 0
    finished = dit_gen(capfd, "train", pictures, "--out", tmp_path / "one", *options, "--steps", 4)
    assert finished.code == 0, finished.err
    assert_same_end(tmp_path / "one", tmp_path / "two")
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["process"] == {"objective": "velocity", "path": "linear", "time_towards": "noise"}
    model = load_checkpoint(tmp_path / "one")
    assert model.process == Flow()
    assert not model.config.learn_sigma
    sampled = dit_gen(
        capfd, "sample", "--checkpoint", tmp_path / "one", "--num", 2, "--steps", 3, "--out", tmp_path / "s"
    )
    assert sampled.code == 0, sampled.err
    other = dit_gen(capfd, "train", pictures, "--out", tmp_path / "one", *SMALL, "--save-every", 2, "--steps", 4)
    assert_refused(other, '--objective was "velocity", now "noise"')


def test_the_curve_says_what_is_learned(tmp_path: Path, capfd: Any) -> None:
    pictures, run = write_pictures(tmp_path / "set", 12), tmp_path / "run"
    options = ["--objective", "velocity", "--steps", 2, "--eval-every", 2, "--held-out", 0.5, "--eval-images", 4]
    finished = dit_gen(capfd, "train", pictures, "--out", run, *SMALL, *options, "--sample-steps", 2, "--log-every", 1)
    assert finished.code == 0, finished.err
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for learned in ("noise", "velocity"):
        draw_curve(entries, "mini", tmp_path / f"{learned}.png", learned)
    assert (tmp_path / "velocity.png").read_bytes() == (run / "curve.png").read_bytes()
    assert (tmp_path / "noise.png").read_bytes() != (run / "curve.png").read_bytes()


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path, capfd: Any, pictures: Path) -> None:
    command = ["train", pictures, "--out", tmp_path / "run", *SMALL, "--save-every", 2, "--steps"]
    assert dit_gen(capfd, *command, 2).code == 0
    for path in [tmp_path / "run" / "run.json"]:
        record = json.loads(path.read_text())
        del record["process"]
        path.write_text(json.dumps(record))
    saved = checkpoints_in(tmp_path / "run")[-1]
    (saved / "SHA256SUMS").unlink()  # whose record has the process, too: as if it were of a version without both
    record = json.loads((saved / "checkpoint.json").read_text())
    del record["settings"]
    (saved / "checkpoint.json").write_text(json.dumps(record))
    finished = dit_gen(capfd, *command, 4)
    assert finished.code == 0, finished.err


def test_times_are_uniform_between_picture_and_noise() -> None:
    pixels = np.zeros((4, 4, 4, 3), np.uint8)
    example, labels = PixelExamples(pixels, 4, flip=False), np.zeros(4, np.int64)
    times = make_batch(0, range(2000), example, labels, num_timesteps=None, dropout=0.0).timesteps
    assert times.dtype == torch.float32
    counts = torch.histc(times, 10, 0, 1)
    assert float(counts.min()) > 140
    assert float(times.max()) < 1


def test_logit_normal_times_have_the_quantiles_of_a_logistic_of_a_normal() -> None:
    uniform = torch.tensor([0.0, 0.0228, 0.1587, 0.5, 0.8413, 0.9772])
    times = training_times(uniform, Flow(), "logit-normal")
    assert times.dtype == torch.float32
    expected = [0.0, *(1 / (1 + math.exp(-z)) for z in (-2, -1, 0, 1, 2))]  # quantiles of the normal
    torch.testing.assert_close(times, torch.tensor(expected), rtol=0, atol=5e-4)
    drawn = training_times(torch.rand(20_000, generator=torch.Generator().manual_seed(0)), Flow(), "logit-normal")
    assert abs(float(drawn.mean()) - 0.5) < 0.01
    assert abs(float(torch.logit(drawn.double()).std()) - 1) < 0.02
    ends = training_times(torch.tensor([0.0, 0.5]), Flow("vp"))
    assert torch.equal(training_times(ends, Flow("cosine")), ends)
    torch.testing.assert_close(ends, torch.tensor([1e-5, 0.500005]), rtol=1e-6, atol=0)


def test_the_direction_loss_is_one_minus_the_cosine_over_channels() -> None:
    generator = np.random.default_rng(0)
    x_0, noise, output = (torch.from_numpy(generator.standard_normal((2, 3, 2, 2))) for _ in range(3))
    loss = velocity_loss(lambda *_: output, x_0, torch.tensor([0.2, 0.7]).double(), noise, Flow(), direction=True)
    velocity, made = (noise - x_0).numpy(), output.numpy()
    for i in range(2):
        cosines = [
            velocity[i, :, r, c]
            @ made[i, :, r, c]
            / np.linalg.norm(velocity[i, :, r, c])
            / np.linalg.norm(made[i, :, r, c])
            for r in range(2)
            for c in range(2)
        ]
        assert float(loss.direction[i]) == pytest.approx(1 - np.mean(cosines), rel=1e-9)
    torch.testing.assert_close(loss.total, loss.mse + loss.direction)


def test_a_run_learns_times_and_direction_as_asked_and_says_so(tmp_path: Path, capfd: Any, pictures: Path) -> None:
    options = ["--objective", "velocity", "--timestep-sampling", "logit-normal", "--direction-loss", "--log-every", 1]
    command = ["train", pictures, "--out", tmp_path / "run", *SMALL, "--steps", 2]
    finished = dit_gen(capfd, *command, *options)
    assert finished.code == 0, finished.err
    entry = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert 0.5 < entry["loss"] - entry["mse"] < 1.5  # a direction without any sense
    plain = dit_gen(capfd, *command, "--objective", "velocity", "--direction-loss")
    assert_refused(plain, '--timestep-sampling was "logit-normal", now "uniform"')
    for given, message in (
        (["--timestep-sampling", "logit-normal"], "--timestep-sampling: is for `objective"),
        (["--direction-loss"], "--direction-loss: is for"),
        (["--objective", "velocity", "--direction-loss", "--channels", 1], "one channel has no direction"),
    ):
        refused = dit_gen(capfd, "train", pictures, "--out", tmp_path / "other", *SMALL, "--steps", 1, *given)
        assert refused.code == 2
        assert message.replace("`objective", "--objective") in refused.err or message in refused.err


def test_weights_of_a_variance_preserving_path_are_trained_on_and_stay_finite(tmp_path: Path, pictures: Path) -> None:
    model = random_model(input_size=16, patch_size=4, learn_sigma=False)
    model.process = Flow("vp", "data")
    save_checkpoint(model, tmp_path / "vp.safetensors")
    options = TrainOptions(
        space="pixel", image_size=16, batch_size=4, steps=2, init=tmp_path / "vp.safetensors", device="cpu"
    )
    run = make_run(pictures, tmp_path / "run", options)
    assert run.run()
    assert load_checkpoint(tmp_path / "run").process == Flow("vp", "data")


def test_a_velocity_has_no_variance_to_learn() -> None:
    with pytest.raises(ArgumentError, match="`learn_sigma`: a velocity has no variance to learn"):
        TrainOptions(objective="velocity", learn_sigma=True)
    with pytest.raises(ArgumentError, match="objective: expected one of noise, velocity"):
        TrainOptions(objective="score")  # type: ignore[arg-type]


def test_weights_of_sit_are_trained_on_for_what_they_are(tmp_path: Path, pictures: Path) -> None:
    torch.save(official_state(in_channels=3, num_classes=0), sit := tmp_path / "SiT-S-8.pt")
    options = TrainOptions(space="pixel", image_size=16, batch_size=4, steps=1, init=sit, device="cpu", eval_images=4)
    run = make_run(pictures, tmp_path / "run", options)
    assert run.state.model.process == Flow(time_towards="data")
    assert run.run()
    assert load_checkpoint(tmp_path / "run").process == Flow(time_towards="data")
    with pytest.raises(ArgumentError, match="`objective=noise`: .* was trained for velocity; leave it out"):
        make_run(pictures, tmp_path / "other", TrainOptions(**{**vars(options), "objective": "noise"}))


def test_the_objective_reaches_a_run_through_the_options(tmp_path: Path, pictures: Path) -> None:
    assert small_run(pictures, tmp_path / "run", "--objective", "velocity", "--steps", 1).state.model.process == Flow()


def test_training_goes_on_with_a_diffusers_folder_of_dits_diffusion_only(tmp_path: Path, pictures: Path) -> None:
    options = {"space": "pixel", "image_size": 16, "batch_size": 4, "steps": 1, "device": "cpu", "eval_images": 4}
    for scheduler, message in (
        (DDPMScheduler(), None),  # it clips and has another variance: both are of sampling
        (DDPMScheduler(prediction_type="v_prediction"), "was trained with other betas or another prediction"),
        (DDPMScheduler(beta_schedule="squaredcos_cap_v2"), "was trained with other betas"),
    ):
        folder = tmp_path / f"{scheduler.config.prediction_type}-{scheduler.config.beta_schedule}"
        model = random_model(num_classes=4, input_size=16)
        write_checkpoint(Checkpoint(model.config, model.state_dict(), folder), folder)
        scheduler.save_pretrained(folder / "scheduler")
        arguments = (pictures, tmp_path / f"run-{folder.name}", TrainOptions(**options, init=folder))
        if message is None:
            assert make_run(*arguments).state.model.process == Diffusion(clip=1.0, variance="small")
        else:
            with pytest.raises(CheckpointError, match=message):
                make_run(*arguments)


def test_normalised_queries_and_the_layers_of_lightningdit_train_and_resume(
    tmp_path: Path, capfd: Any, pictures: Path
) -> None:
    for name, more in (
        ("qk", ["--qk-norm"]),
        ("lightning", ["--model", "LightningDiT-B/2", "--objective", "velocity"]),
    ):
        command = ["train", pictures, "--out", tmp_path / name, *SMALL, "--save-every", 2, *more, "--steps"]
        for steps in (2, 4):
            finished = dit_gen(capfd, *command, steps)
            assert finished.code == 0, finished.err
        config = load_checkpoint(tmp_path / name).config
        assert (config.qk_norm, config.rotary) == (name == "qk", name == "lightning")
        record = json.loads((tmp_path / name / "run.json").read_text())
        assert record["qk_norm"] is config.qk_norm
        given = ["--checkpoint", tmp_path / name, "--num", 1, "--steps", 2, "--out", tmp_path / f"samples-{name}"]
        sampled = dit_gen(capfd, "sample", *given)
        assert sampled.code == 0, sampled.err
    with pytest.raises(ArgumentError, match="`qk_norm`: the shape of the model comes from `init`"):
        TrainOptions(qk_norm=True, init="x")


def test_a_model_of_lightningdits_layers_goes_on_at_another_size(tmp_path: Path, pictures: Path) -> None:
    """Its tables of positions are those of the new grid."""
    save_checkpoint(random_model(rotary=True, norm="rms", qk_norm=True), before := tmp_path / "m.safetensors")
    options = TrainOptions(space="pixel", image_size=16, batch_size=4, steps=1, init=before, device="cpu")
    model = make_run(pictures, tmp_path / "run", options).state.model
    assert model.feat_rope is not None
    assert model.feat_rope.freqs_cos.shape == (64, 16)
