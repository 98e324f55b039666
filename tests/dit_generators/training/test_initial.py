"""Training from a checkpoint, over epochs, with a schedule and an average that warms up."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import dit_gen, random_model
from pictures import write_pictures
from training_runs import SMALL

from dit_generators import ArgumentError, CheckpointError, OutputError, TrainOptions, make_run, save_checkpoint
from dit_generators.data.pictures import load_pictures
from dit_generators.training.loop import TrainSettings

PIXELS: dict[str, Any] = {"image_size": 16, "batch_size": 4, "device": "cpu", "steps": 2}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 12)


def saved(path: Path, **fields: Any) -> Path:
    save_checkpoint(random_model(input_size=16, patch_size=4, **fields), path)
    return path


def started_from(path: Path, **changes: Any) -> TrainOptions:
    return TrainOptions.preset("small", init=path, **{**PIXELS, **changes})


def test_a_model_with_full_attention_becomes_one_with_a_window_on_the_same_weights(tmp_path, pictures) -> None:
    checkpoint, said = saved(tmp_path / "full.safetensors"), []
    run = make_run(pictures, tmp_path / "run", started_from(checkpoint, attention="swa"), say=said.append)
    before = random_model(input_size=16, patch_size=4)
    assert run.state.model.config.attention == "swa"
    for model in (run.state.model, run.state.average):
        for name, value in before.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)
    assert run.run()
    assert f"starts from {checkpoint} (attention full -> swa (window 3, shift))" in said[0]
    assert not any("random weights" in line for line in said)
    other = saved(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(OutputError, match="the initial weights differ"):
        make_run(pictures, tmp_path / "run", started_from(other, attention="swa"))


def test_other_classes_and_another_size_start_with_vectors_and_positions_of_their_own(tmp_path) -> None:
    for name in ("cats", "dogs", "hens"):
        write_pictures(tmp_path / "classes" / name, 4)
    checkpoint = saved(tmp_path / "ten.safetensors", num_classes=10)
    options = started_from(checkpoint, conditional=True, image_size=8)
    said: list[str] = []
    run = make_run(tmp_path / "classes", tmp_path / "run", options, say=said.append)
    assert run.state.model.config.num_classes == 3
    assert run.state.model.config.input_size == 8
    assert run.run()
    assert "10 -> 3 classes, whose embeddings are newly initialised" in said[0]


def test_a_size_that_the_checkpoints_patches_do_not_fill_is_named(tmp_path, pictures) -> None:
    options = started_from(saved(tmp_path / "full.safetensors"), image_size=18)
    with pytest.raises(ArgumentError, match="`image_size=18`: no multiple of `patch_size` 4; take another size"):
        make_run(pictures, tmp_path / "run", options)
    save_checkpoint(random_model(input_size=16, patch_size=2), tmp_path / "two.safetensors")
    run = make_run(pictures, tmp_path / "run", started_from(tmp_path / "two.safetensors", image_size=18))
    assert run.state.model.config.num_tokens == 81


@pytest.mark.parametrize("named", [{"depth": 2}, {"model": "DiT-S/2"}, {"patch_size": 2}])
def test_the_shape_is_the_checkpoints(tmp_path, named) -> None:
    with pytest.raises(ArgumentError, match=f"`{next(iter(named))}`: the shape of the model comes from `init`"):
        started_from(tmp_path / "any.safetensors", **named)


def test_a_checkpoint_of_latents_does_not_start_a_model_of_pixels(tmp_path, pictures) -> None:
    checkpoint = saved(tmp_path / "latents.safetensors", in_channels=4)
    with pytest.raises(CheckpointError, match="the model sees 4 channels, the pictures have 3"):
        make_run(pictures, tmp_path / "run", started_from(checkpoint))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_leaves_its_heads_open_says_how_to_start_from_it(tmp_path, capfd, pictures) -> None:
    bare = tmp_path / "bare.pt"
    torch.save(random_model(input_size=16, patch_size=4).state_dict(), bare)
    with pytest.raises(CheckpointError, match="`num_heads=N`.*; to start from it, give this to `dit-gen convert IN"):
        make_run(pictures, tmp_path / "run", started_from(bare))
    assert dit_gen(capfd, "convert", bare, tmp_path / "said.safetensors", "--num-heads", 2).code == 0
    make_run(pictures, tmp_path / "run", started_from(tmp_path / "said.safetensors"))


@pytest.mark.parametrize(("epochs", "steps"), [(2, 6), (0.5, 2), (0.01, 1)])
def test_epochs_are_passes_over_the_pictures(tmp_path, pictures, epochs, steps) -> None:
    shape = {"hidden_size": 16, "depth": 1, "num_heads": 2, "steps": None, "epochs": epochs}
    options = TrainOptions.preset("small", **{**PIXELS, **shape})
    assert make_run(pictures, tmp_path / "run", options).steps == steps


def test_the_preset_of_the_report_is_the_reports() -> None:
    report = TrainOptions.preset("report")
    assert (report.model, report.batch_size, report.learning_rate, report.steps_for(1000)) == (
        "DiT-B/4",
        4,
        1e-4,
        25_000,
    )


def test_steps_and_epochs_together_are_refused(tmp_path, capfd, pictures) -> None:
    finished = dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, "--steps", 4, "--epochs", 1)
    assert finished.code == 2
    assert "--epochs: cannot be combined with --steps" in finished.err


def test_the_rate_warms_up_and_goes_down_to_nothing() -> None:
    linear = TrainSettings(warmup=4, learning_rate_schedule="linear")
    assert [linear.rate_at(step, 8) for step in range(8)] == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    cosine = TrainSettings(learning_rate_schedule="cosine")
    expected = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert [cosine.rate_at(step, 8) for step in range(8)] == pytest.approx(expected)
    assert TrainSettings().rate_at(7, 8) == 1


def test_the_average_warms_up_to_its_decay() -> None:
    warm = TrainSettings(ema_decay=0.999, ema_warmup=True)
    assert [warm.decay_at(step) for step in (0, 90, 10**6)] == [0.1, 0.91, 0.999]
    assert TrainSettings(ema_decay=0.999).decay_at(0) == 0.999


def test_a_schedule_ends_where_it_was_begun_to_end(tmp_path, pictures) -> None:
    shape = {"hidden_size": 16, "depth": 1, "num_heads": 2, "learning_rate_schedule": "cosine"}
    assert make_run(pictures, tmp_path / "run", TrainOptions.preset("small", **{**PIXELS, **shape})).run()
    with pytest.raises(OutputError, match="`steps` was 2, now 5"):
        make_run(pictures, tmp_path / "run", TrainOptions.preset("small", **{**PIXELS, **shape, "steps": 5}))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["learning_rate_schedule"] == "cosine"


@pytest.mark.parametrize(
    ("changes", "warned"), [({}, True), ({"ema_warmup": True}, False), ({"ema_decay": 0.01}, False)]
)
def test_a_young_average_is_named_once_and_with_each_score(tmp_path, capfd, pictures, changes, warned) -> None:
    shape = {"hidden_size": 16, "depth": 1, "num_heads": 2, "sample_every": 1, "sample_steps": 2, **changes}
    shape |= {"eval_every": 1, "eval_images": 4, "held_out": 0.4}
    said: list[str] = []
    assert make_run(
        pictures, tmp_path / "run", TrainOptions.preset("small", **{**PIXELS, **shape}), say=said.append
    ).run()
    told = "of the average are the random weights it started from"
    found = [line for line in said if "warning" in line and told in line]
    assert len(found) == warned
    assert [line.endswith(told) for line in said if "MMD" in line] == [warned] * 2
    if warned:
        assert found[0].startswith("warning: after 1 steps 99.9 % of the average")
    (tmp_path / "run" / "samples").rename(tmp_path / "sheets")
    step = tmp_path / "run" / "checkpoints" / "00000002"
    for source in (tmp_path / "run", step, step / "ema.safetensors"):
        done = dit_gen(capfd, "sample", "--checkpoint", source, "--num", 1, "--steps", 2, "--out", tmp_path / "a")
        assert done.code == 0, done.err
        assert ("warning: after 2 steps 99.8 % of the average are the random weights" in done.err) == warned
        assert ("take --weights model, or train it for longer" in done.err) == warned
    weights = ["--weights", "model", "--out", tmp_path / "b"]
    assert (
        "of the average" not in dit_gen(capfd, "sample", "--checkpoint", step, "--num", 1, "--steps", 2, *weights).err
    )


def test_a_checkpoints_own_table_of_positions_is_kept_at_its_size_and_named_at_another(tmp_path, pictures) -> None:
    model = random_model(input_size=16, patch_size=4)
    with torch.no_grad():
        model.pos_embed.mul_(2)
    save_checkpoint(model, tmp_path / "own.safetensors")
    said: list[str] = []
    run = make_run(pictures, tmp_path / "a", started_from(tmp_path / "own.safetensors"), say=said.append)
    assert torch.equal(run.state.model.pos_embed, model.pos_embed)
    smaller = started_from(tmp_path / "own.safetensors", image_size=8)
    make_run(pictures, tmp_path / "b", smaller, say=said.append).run()
    assert "input 16 -> 8, with sine and cosine positions instead of its own" in said[0]
    half = random_model(input_size=16, patch_size=4)
    half.pos_embed.data = half.pos_embed.data.half().float()
    save_checkpoint(half, tmp_path / "half.safetensors")
    make_run(pictures, tmp_path / "c", started_from(tmp_path / "half.safetensors", image_size=8), say=said.append).run()
    assert not any("instead of its own" in line for line in said[1:])


def test_no_class_is_held_out_whole_and_the_order_is_that_of_the_seed(tmp_path) -> None:
    for name, count in {"cats": 2, "dogs": 9, "hens": 1}.items():
        write_pictures(tmp_path / "classes" / name, count)
    shape = {"hidden_size": 16, "depth": 1, "num_heads": 2, "conditional": True, "eval_every": 5, "eval_images": 4}
    for seed in range(6):
        options = TrainOptions.preset("small", **{**PIXELS, **shape, "seed": seed, "batch_size": 2, "held_out": 0.67})
        run = make_run(tmp_path / "classes", tmp_path / f"{seed}", options)
        assert sorted(set(run.pictures.labels.tolist())) == [0, 1, 2]
        assert run.evaluation is not None
        assert len(run.evaluation.reference) == 8
        assert len(run.pictures) == 4
        again = make_run(tmp_path / "classes", tmp_path / f"{seed}", options)
        assert again.pictures.files == run.pictures.files
        if seed:
            continue
        record = run.folder.settings  # as an earlier version began it: all of a class might be held out
        order = np.random.default_rng(seed).permutation(12)[8:]
        earlier = sorted(int(place) for place in order)
        whole = load_pictures(tmp_path / "classes", 16, conditional=True)
        assert earlier != sorted(whole.files.index(name) for name in run.pictures.files)
        (tmp_path / "0").mkdir()
        settings = {**record, "picture_digests_sha256": whole.subset(earlier).sha256}
        (tmp_path / "0" / "run.json").write_text(json.dumps(settings))
        resumed = make_run(tmp_path / "classes", tmp_path / "0", options)
        assert resumed.pictures.files == whole.subset(earlier).files
        settings["picture_digests_sha256"] = "0" * 64
        (tmp_path / "0" / "run.json").write_text(json.dumps(settings))
        with pytest.raises(OutputError, match="the pictures differ"):
            make_run(tmp_path / "classes", tmp_path / "0", options)
    plain = TrainOptions.preset("small", **{**PIXELS, **shape, "conditional": False, "held_out": 0.5})
    run = make_run(tmp_path / "classes", tmp_path / "plain", plain)  # as ever, where there are no classes
    order = np.random.default_rng(plain.seed).permutation(12)
    files = sorted(path.relative_to(tmp_path / "classes").as_posix() for path in (tmp_path / "classes").rglob("*.png"))
    assert list(run.pictures.files) == [files[i] for i in sorted(order[6:])]
