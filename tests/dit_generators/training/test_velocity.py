"""Training of a velocity: resumed to the bit, recorded, and sampled as what it is."""

import json
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
    with pytest.raises(ArgumentError, match="`qk_norm`: the shape of the model is that of `init`"):
        TrainOptions(qk_norm=True, init="x")


def test_a_model_of_lightningdits_layers_goes_on_at_another_size(tmp_path: Path, pictures: Path) -> None:
    """Its tables of positions are those of the new grid."""
    save_checkpoint(random_model(rotary=True, norm="rms", qk_norm=True), before := tmp_path / "m.safetensors")
    options = TrainOptions(space="pixel", image_size=16, batch_size=4, steps=1, init=before, device="cpu")
    model = make_run(pictures, tmp_path / "run", options).state.model
    assert model.feat_rope is not None
    assert model.feat_rope.freqs_cos.shape == (64, 16)
