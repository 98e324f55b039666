"""Training: exact resumption, several processes, latents, and what is refused."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen, save_kl
from PIL import Image
from safetensors.torch import load_file

from dit_generators.data.batches import PixelExamples, make_batch, picture_at
from dit_generators.data.pictures import load_pictures
from dit_generators.errors import DataError, TrainingError
from dit_generators.training.loop import TrainSettings
from dit_generators.weights.checkpoint import checkpoints_in, load_checkpoint

COMMAND = [sys.executable, "-m", "dit_generators"]
SMALL = ["--preset", "small", "--hidden-size", "32", "--depth", "2", "--num-heads", "2", "--image-size", "16"]
SMALL += ["--batch-size", "4", "--device", "cpu"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for i in range(12):
        name = folder / f"class-{i % 3}" / f"{i:02d}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((30, 24), Image.Resampling.BICUBIC).save(name)
    return folder


def train(capfd: Any, pictures: Path, out: Path, *more: object) -> Any:
    return dit_gen(capfd, "train", pictures, "--out", out, *SMALL, *more)


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    folder = checkpoints_in(run)[-1]
    parts = [load_file(folder / name) for name in ("model.safetensors", "ema.safetensors")]
    optimiser = torch.load(folder / "optimiser.pt", weights_only=True)["optimiser"]["state"]
    moments = {f"{i}.{key}": value for i, entry in optimiser.items() for key, value in entry.items()}
    return {**parts[0], **{f"ema.{key}": value for key, value in parts[1].items()}, **moments}


def assert_equal_runs(first: Path, second: Path) -> None:
    ours, theirs = last_weights(first), last_weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("more", [["--conditional"], ["--attention", "swa*1,full", "--crop", "random"]])
def test_train_20_steps_is_train_10_and_go_on_bit_for_bit(tmp_path, capfd, pictures, more) -> None:
    assert train(capfd, pictures, tmp_path / "whole", "--steps", 20, *more).code == 0
    assert train(capfd, pictures, tmp_path / "parts", "--steps", 10, *more).code == 0
    finished = train(capfd, pictures, tmp_path / "parts", "--steps", 20, *more)
    assert "resumed after step 10" in finished.err
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_reaches_the_same_weights(tmp_path, capfd, pictures) -> None:
    options = ["--steps", "300", "--save-every", "10", "--log-every", "10"]
    assert train(capfd, pictures, tmp_path / "whole", *options).code == 0
    command = [*COMMAND, "train", pictures, "--out", tmp_path / "parts", *SMALL, *options]
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = checkpoints_in(tmp_path / "parts")
        process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while checkpoints_in(tmp_path / "parts") == before and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(stop)
        _, err = process.communicate()
        if stop == signal.SIGINT:
            assert process.returncode == 130, err
            assert "steps are done; run the same command again to resume" in err.splitlines()[-1]
    assert int(checkpoints_in(tmp_path / "parts")[-1].name) < 300
    assert train(capfd, pictures, tmp_path / "parts", *options).code == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps.count(300) == 1


def test_two_processes_reach_the_weights_of_one(tmp_path, capfd, pictures) -> None:
    options = ["--steps", "8", "--warmup", "4", "--sample-every", "8", "--sample-steps", "2"]
    options += ["--eval-every", "8", "--eval-images", "5", "--held-out", "0.34"]
    assert train(capfd, pictures, tmp_path / "one", *options).code == 0
    assert train(capfd, pictures, tmp_path / "parts", *options, "--accumulate", 2).code == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29621", "-m"]
    command = [*launcher, "--", "dit_generators", "train", pictures, "--out", tmp_path / "two", *SMALL, *options]
    # the default device, which is a CPU where no GPU is: processes are joined there, too
    command += ["--device", "cpu" if torch.backends.mps.is_available() else "auto"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("pictures to train on") == 1
    expected = last_weights(tmp_path / "one")
    for run in ("two", "parts"):
        found = last_weights(tmp_path / run)
        for name, value in load_file(checkpoints_in(tmp_path / "one")[-1] / "model.safetensors").items():
            torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)
            assert found[name].shape == value.shape
    scores = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines() if "score" in line]
    assert [entry["step"] for entry in scores] == [8]
    with Image.open(tmp_path / "two" / "samples" / "00000008.png") as sheet:
        assert sheet.width > 200


def test_the_trained_average_loads_and_samples(tmp_path, capfd, pictures) -> None:
    options = ["--steps", 6, "--conditional", "--sample-every", 6, "--sample-steps", 4]
    assert train(capfd, pictures, tmp_path / "run", *options).code == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "00000006" / "ema.safetensors"
    assert load_checkpoint(checkpoint).config.num_classes == 3
    assert (tmp_path / "run" / "samples" / "00000006.png").exists()
    wanted = ["--num", 2, "--steps", 3, "--out", tmp_path / "out"]
    assert dit_gen(capfd, "sample", "--checkpoint", tmp_path / "run", *wanted).code == 0
    for same in (checkpoint, checkpoint.parent):  # the run's folder stands for its latest average
        assert "0 images made" in dit_gen(capfd, "sample", "--checkpoint", same, *wanted).out


def test_scores_keep_the_best_and_draw_a_curve(tmp_path, capfd, pictures) -> None:
    options = ["--steps", 6, "--eval-every", 3, "--eval-images", 8, "--held-out", 0.5, "--sample-steps", 3]
    finished = train(capfd, pictures, tmp_path / "run", *options)
    assert finished.code == 0
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    scores = [entry for entry in entries if "score" in entry]
    assert [entry["step"] for entry in scores] == [3, 6]
    assert all(entry["standard_error"] is None for entry in scores)  # eight pictures are too few for one
    best = min(scores, key=lambda entry: entry["score"])
    kept = load_file(tmp_path / "run" / "best" / "ema.safetensors")
    if best["step"] == 6:
        assert torch.equal(
            kept["final_layer.linear.bias"], last_weights(tmp_path / "run")["ema.final_layer.linear.bias"]
        )
    with Image.open(tmp_path / "run" / "curve.png") as image:
        assert image.width > 600


def test_the_samples_of_scores_are_kept_for_who_watches(tmp_path, capfd, pictures) -> None:
    options = ["--eval-every", 3, "--eval-images", 8, "--held-out", 0.5, "--sample-steps", 3, "--keep-evaluations"]
    assert train(capfd, pictures, tmp_path / "run", "--steps", 3, *options).code == 0
    assert train(capfd, pictures, tmp_path / "run", "--steps", 6, *options).code == 0  # and when it goes on
    kept = sorted((tmp_path / "run" / "evaluations").iterdir())
    assert [path.name for path in kept] == ["00000003.npz", "00000006.npz"]
    for path in kept:
        with np.load(path) as stored:
            assert stored["arr_0"].dtype == np.uint8
            assert stored["arr_0"].shape == (8, *stored["arr_0"].shape[1:3], 3)
    refused = train(capfd, pictures, tmp_path / "other", "--steps", 3, "--keep-evaluations")
    assert (refused.code, "--keep-evaluations: there are no scores" in refused.err) == (2, True)


def test_latents_are_encoded_once_for_both_flips_and_verified(tmp_path, capfd, pictures) -> None:
    vae = save_kl(tmp_path / "vae")
    options = ["--space", "latent", "--autoencoder", vae, "--steps", 3]
    assert train(capfd, pictures, tmp_path / "run", *options).code == 0
    cache = tmp_path / "run.latents"
    shard = cache / "00000.safetensors"
    latents = load_file(shard)["latents"]
    assert latents.shape == (12, 2, 2, 4, 8, 8)
    assert float((latents[:, 0] - latents[:, 1]).abs().max()) > 1e-4
    before = shard.stat().st_mtime_ns
    assert train(capfd, pictures, tmp_path / "again", *options, "--latents", cache).code == 0
    assert shard.stat().st_mtime_ns == before
    assert_equal_runs(tmp_path / "run", tmp_path / "again")
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(bytes(content))
    assert_refused_last(train(capfd, pictures, tmp_path / "third", *options, "--latents", cache), "missing or damaged")


def assert_refused_last(finished: Any, message: str) -> None:
    assert finished.code == 2, finished.err
    assert message in finished.err.splitlines()[-1]


def test_other_settings_are_refused_by_name(tmp_path, capfd, pictures) -> None:
    assert train(capfd, pictures, tmp_path / "run", "--steps", 2).code == 0
    cases = {
        ("--learning-rate", "0.1"): "--learning-rate was 0.0005, now 0.1",
        ("--attention", "swa"): '--attention was "full", now "swa"',
        ("--seed", "3"): "--seed was 0, now 3",
        ("--no-flip",): "--flip was true, now false",
    }
    for options, message in cases.items():
        assert_refused(train(capfd, pictures, tmp_path / "run", "--steps", 4, *options), message)
    Image.new("RGB", (30, 30), "red").save(pictures / "class-0" / "new.png")
    assert_refused(train(capfd, pictures, tmp_path / "run", "--steps", 4), "the number of pictures was 12, now 13")


def test_pictures_that_cannot_be_trained_on(tmp_path, capfd, pictures) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(train(capfd, tmp_path / "absent", tmp_path / "run"), "no such folder of pictures")
    assert_refused(train(capfd, tmp_path / "empty", tmp_path / "run"), "holds no pictures")
    assert_refused(train(capfd, pictures, tmp_path / "run", "--batch-size", 16), "12 pictures are too few for a batch")
    single = train(capfd, pictures / "class-0", tmp_path / "run", "--conditional")
    assert_refused(single, "has 0 class folders with pictures, --conditional needs two or more")
    broken = pictures / "class-1" / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    assert_refused(train(capfd, pictures, tmp_path / "run"), f"{broken}: damaged picture")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps: expected 1 or more"),
        (["--batch-size", "0"], "--batch-size: expected a number above 0"),
        (["--accumulate", "3"], "--batch-size: expected a multiple of 3, 1 processes times --accumulate 3, got 4"),
        (["--ema-decay", "1"], "--ema-decay: expected 0 to 1"),
        (["--image-size", "15"], "--image-size 15: no multiple of --patch-size 2"),
        (["--num-heads", "5"], "--num-heads: expected a divisor of --hidden-size 32, got 5; take one of 1, 2, 4"),
        (["--image-size", "0"], "--image-size: expected 1 or more, got 0"),
        (["--depth", "0"], "depth: expected a number above 0, got 0"),
        (["--held-out", "2"], "--held-out: expected a share between 0 and 1"),
        (["--eval-every", "1", "--eval-images", "1"], "--eval-images: expected 4 or more"),
        (["--eval-every", "1", "--held-out", "0.5", "--eval-backbone", "foo"], "unknown backbone 'foo'"),
        (["--attention", "swa", "--window", "99"], "does not fit the grid"),
        (["--save-every", "0"], "--save-every: expected 1 or more"),
        (["--autoencoder", "x"], "--autoencoder: is for --space latent"),
        (["--precision", "fp16"], "--precision fp16: runs on GPUs only"),
        (["--eval-every", "1", "--held-out", "0.1"], "leaves 1 to score with"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(tmp_path, capfd, pictures, options, message) -> None:
    assert_refused(train(capfd, pictures, tmp_path / "run", *options), message)
    assert not (tmp_path / "run").exists()


def test_a_rate_at_which_training_explodes_says_each_way_out_that_it_tries_and_then_the_reason(
    tmp_path, capfd, pictures
) -> None:
    finished = train(capfd, pictures, tmp_path / "run", "--steps", 9, "--learning-rate", "1e30")
    last = "step 2: the loss is nan, again after going back to the last checkpoint 3 times; take a smaller --learning"
    assert_refused_last(finished, last)
    back = "dit-gen: step 2: the loss is nan; going back to the start without the pictures at positions "
    assert finished.err.splitlines()[-4:-1] == [
        back + "4 to 7",
        back + "8 to 11, with half the learning rate (5e+29)",
        back + "12 to 15, with half the learning rate (2.5e+29)",
    ]
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["learning_rate_factor"] for entry in entries if "fault" in entry] == [1, 0.5, 0.25]


def test_two_commands_do_not_write_into_one_run(tmp_path, capfd, pictures) -> None:
    from dit_generators.common.files import locked

    assert train(capfd, pictures, tmp_path / "run", "--steps", 2).code == 0
    with locked(tmp_path / "run"):
        finished = train(capfd, pictures, tmp_path / "run", "--steps", 4)
    assert_refused_last(finished, "another process is writing into it")
    done = train(capfd, pictures, tmp_path / "run", "--steps", 1)
    assert "2 steps are done already, 1 were asked for: nothing to do" in done.err


def test_a_write_that_fails_is_one_line_and_keeps_what_was_there(tmp_path, capfd, pictures) -> None:
    """Files may not grow beyond 100 kB here: the system refuses as it does on a full disk."""
    assert train(capfd, pictures, tmp_path / "run", "--steps", 2, "--depth", "4", "--hidden-size", "64").code == 0
    going_on = ["train", pictures, "--out", tmp_path / "run", *SMALL, "--steps", "4"]
    going_on += ["--depth", "4", "--hidden-size", "64"]
    commands = [["convert", "digits-full", tmp_path / name] for name in ("a.safetensors", "a.pt", "folder")]
    for command in (going_on, *commands):
        finished = subprocess.run(
            [*COMMAND, *map(str, command)], capture_output=True, text=True, check=False, preexec_fn=_small_files_only
        )
        assert finished.returncode == 2, finished.stderr
        assert finished.stderr.splitlines()[-1].endswith("File too large"), finished.stderr
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000002"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures", "run"]


def _small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_the_latest_checkpoint_is_the_one_with_the_most_steps(tmp_path) -> None:
    for step, size, age in ((900, 9, 10), (10_000, 1, 30), (9_999, 5, 20)):
        folder = tmp_path / "checkpoints" / f"{step:08d}"
        folder.mkdir(parents=True)
        (folder / "ema.safetensors").write_bytes(bytes(size))
        os.utime(folder, (age, age))
    (tmp_path / "checkpoints" / ".00020000.unfinished").mkdir()
    assert [int(path.name) for path in checkpoints_in(tmp_path)] == [900, 9_999, 10_000]


def test_every_epoch_holds_every_picture_once() -> None:
    for epoch in range(3):
        seen = [picture_at(4, epoch * 10 + i, 10) for i in range(10)]
        assert sorted(seen) == list(range(10))
    assert [picture_at(4, i, 10) for i in range(10)] != [picture_at(4, 10 + i, 10) for i in range(10)]


def test_a_position_gives_the_same_example_in_any_batch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 18, 18, 3), dtype=np.uint8)
    labels = np.arange(9)
    example = PixelExamples(pixels, 16, flip=True)
    whole = make_batch(0, range(20), example, labels, num_timesteps=1000, dropout=0.3)
    part = make_batch(0, range(5, 8), example, labels, num_timesteps=1000, dropout=0.3)
    for name in ("x_0", "noise", "timesteps", "labels", "drop"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[5:8]), name
    assert whole.x_0.abs().max() <= 1
    many = make_batch(0, range(4000), example, labels, num_timesteps=1000, dropout=0.3)
    assert float(many.drop.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(many.timesteps.float().mean()) == pytest.approx(499.5, abs=15)


def test_pictures_are_resized_with_antialiasing_and_cropped_in_the_middle(tmp_path) -> None:
    stripes = np.zeros((64, 128, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    stripes[:, :32] = 0
    stripes[:, 96:] = 0
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    pixels = load_pictures(tmp_path, 16).pixels[0]
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels[:, 1:-1].astype(int) - 127).max() <= 12
    grey = load_pictures(tmp_path, 16, channels=1).pixels
    assert grey.shape == (1, 16, 16, 1)


def test_a_share_is_the_batch_in_order_whatever_the_processes() -> None:
    settings = TrainSettings(batch_size=12, accumulate=2)
    positions = [p for rank in range(3) for part in settings.share(5, rank, 3) for p in part]
    assert positions == list(range(60, 72))


def test_errors_are_of_the_tree() -> None:
    from dit_generators.errors import DitError

    assert issubclass(DataError, DitError)
    assert issubclass(TrainingError, DitError)
