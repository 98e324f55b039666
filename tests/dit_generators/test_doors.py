"""The Python doors of training and of the study: typed, silent, and the same work as the commands."""

import ast
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from dit_models import dit_gen
from pictures import write_pictures
from training_runs import SMALL, assert_same_end

import dit_generators
from cmmd_toolkit.common.flags import in_flags
from dit_generators import ArgumentError, StudyOptions, TrainOptions, make_run, run_study
from dit_generators.cli.main import main
from dit_generators.errors import AttentionError, CheckpointError, DataError, OutputError

TINY: dict[str, Any] = {"hidden_size": 16, "depth": 1, "num_heads": 2, "patch_size": 4, "image_size": 16}
TINY |= {"batch_size": 4, "device": "cpu"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 12)


def tiny(**changes: Any) -> TrainOptions:
    return TrainOptions.preset("small", **{**TINY, "steps": 4, **changes})


def test_public_names_are_sorted_there_and_light_until_used() -> None:
    assert dit_generators.__all__ == sorted(dit_generators.__all__)
    assert all(getattr(dit_generators, name).__doc__ for name in dit_generators.__all__)
    code = "import sys, dit_generators; assert not {'torch', 'numpy', 'click'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_from_python_prints_nothing_and_has_the_weights_of_the_command(tmp_path, capfd, pictures) -> None:
    run = make_run(str(pictures), str(tmp_path / "python"), tiny())
    assert run.run() is True
    assert capfd.readouterr() == ("", "")
    assert dit_gen(capfd, "train", pictures, "--out", tmp_path / "command", *SMALL, "--steps", 4).code == 0
    assert_same_end(tmp_path / "python", tmp_path / "command")
    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("python", "command")]
    assert records[0] == records[1]


def test_what_a_user_wants_to_know_goes_to_the_caller(tmp_path, pictures) -> None:
    said: list[str] = []
    run = make_run(pictures, tmp_path / "run", tiny(), say=said.append)
    assert run.run()
    shape = "DiT with 1 blocks, width 16, 16 tokens, attention full"
    assert said[0].startswith(f"12 pictures to train on, no classes; {shape}")
    assert said[1].startswith("forecast: ")
    assert said[2].startswith("step 4/4: loss ")
    assert said[3:] == [f"{tmp_path / 'run'}: 4 steps are done"]
    more = make_run(pictures, tmp_path / "run", tiny(steps=6), say=said.append)
    assert more.run()
    assert "resumed after step 4" in said


def test_a_run_in_a_thread_trains_too(tmp_path, pictures) -> None:
    run, ended = make_run(pictures, tmp_path / "run", tiny()), []
    thread = threading.Thread(target=lambda: ended.append(run.run()))
    thread.start()
    thread.join()
    assert ended == [True]


def test_a_preset_is_merged_and_checked_when_the_options_are_made() -> None:
    assert TrainOptions() == TrainOptions.preset("report")
    small = TrainOptions.preset("small", depth=None, steps=7)
    assert (small.depth, small.steps, small.space) == (6, 7, "pixel")
    assert (small.settings.batch_size, small.settings.learning_rate) == (32, 5e-4)
    assert TrainOptions.preset("small", space="latent").settings == small.settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: expected 1 or more, got 0"),
        ({"batch_size": 0}, "batch_size: expected a number above 0"),
        ({"space": "pixels"}, "space: expected one of latent, pixel, got 'pixels'"),
        ({"steps": "3"}, "^steps: expected a whole number or None, got '3'$"),
        ({"learning_rate": "1e-4"}, "^learning_rate: expected a number, got '1e-4'$"),
        ({"flip": 1}, "^flip: expected True or False, got 1$"),
        ({"eval_every": 2.5}, "^eval_every: expected a whole number or None, got 2.5$"),
        ({"num_heads": 5}, "^num_heads: expected a divisor of `hidden_size` 16, got 5; take one of 1, 2, 4, 8, 16$"),
        ({"image_size": 33}, "^`image_size=33`: no multiple of `patch_size` 4"),
        ({"sample_steps": 1}, "^sample_steps: expected 2 to 1000, got 1$"),
        ({"channels": "3"}, "channels: expected one of 1, 3, got '3'"),
        ({"model": "DiT-Q/1"}, "no such preset"),
        ({"attention": "swa", "window": 99}, "does not fit the grid"),
        ({"held_out": 1.0}, "expected a share between 0 and 1"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_picture_is_read(changes, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        tiny(**changes)
    with pytest.raises(ArgumentError, match="^preset: expected report or small, got 'large'$"):
        TrainOptions.preset("large")
    with pytest.raises(TypeError):
        TrainOptions.preset("small", stepps=3)


def test_samples_that_could_not_be_made_are_refused_before_the_first_step(tmp_path, pictures) -> None:
    with pytest.raises(ArgumentError, match="2 to 1000"):
        make_run(pictures, tmp_path / "run", tiny(sample_every=2, sample_steps=1))
    with pytest.raises(DataError, match="no such folder of pictures"):
        make_run(tmp_path / "absent", tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()


def test_errors_name_the_argument_in_python_and_the_flag_on_the_command_line(tmp_path, capfd, pictures) -> None:
    with pytest.raises(DataError, match="use a smaller `batch_size`$"):
        make_run(pictures, tmp_path / "run", tiny(batch_size=13))
    finished = dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, "--batch-size", 13)
    assert finished.err.endswith("use a smaller --batch-size\n")
    with pytest.raises(ArgumentError, match='^`precision="fp16"`: runs on GPUs only'):
        make_run(pictures, tmp_path / "run", tiny(precision="fp16"))
    finished = dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, "--precision", "fp16")
    assert finished.err.startswith("dit-gen: error: --precision fp16: runs on GPUs only")


def test_no_text_of_the_library_names_a_flag() -> None:
    package = Path(dit_generators.__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0]
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        if room not in ("cli", "common"):
            found += [node.value for node in texts if id(node) not in docstrings and re.search(r"--[a-z]", node.value)]
    assert found == []


def test_only_options_of_the_command_become_flags() -> None:
    train = main.commands["train"]
    assert in_flags('`seed`: x `compiled` `image_size=3` `crop="random"`', train) == (
        "--seed: x --compile --image-size 3 --crop random"
    )
    assert in_flags("guidance.by: x `guidance.scale`", main.commands["sample"]) == "--guidance-by: x --guidance-scale"
    assert in_flags("the file `a b`, `nothing`, `sampler`", train) == "the file `a b`, `nothing`, `sampler`"


def test_options_of_another_class_are_refused_by_name(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="^options: expected TrainOptions, got dict$"):
        make_run(tmp_path, tmp_path / "run", {"steps": 3})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="^options: expected StudyOptions, got TrainOptions$"):
        run_study(tmp_path, tmp_path / "study", TrainOptions())  # type: ignore[arg-type]


def test_other_options_are_refused_before_pictures_or_an_autoencoder_are_looked_for(tmp_path, pictures) -> None:
    assert make_run(pictures, tmp_path / "run", tiny()).run()
    with pytest.raises(OutputError, match='different settings .`space` was "pixel", now "latent"'):
        make_run(tmp_path / "absent", tmp_path / "run", TrainOptions(autoencoder="absent"))


def test_what_decides_no_weights_may_change_when_a_run_is_resumed(tmp_path, pictures) -> None:
    scored = {"eval_every": 4, "held_out": 0.4, "eval_images": 4, "sample_steps": 2}
    assert make_run(pictures, tmp_path / "run", tiny(**scored)).run()
    changed = {"eval_every": 5, "eval_images": 5, "sample_steps": 3, "sample_every": 6, "log_every": 1, "save_every": 3}
    said: list[str] = []
    options = tiny(**{**scored, **changed, "steps": 6, "max_pixels": 10**6, "latents": tmp_path / "unused"})
    assert make_run(pictures, tmp_path / "run", options, say=said.append).run()
    assert "resumed after step 4" in said
    assert said[-1] == f"{tmp_path / 'run'}: 6 steps are done"


def test_an_autoencoder_that_is_not_there_names_the_two_ways_out(tmp_path, pictures) -> None:
    with pytest.raises(CheckpointError, match="give `autoencoder=PATH`, or train in pixels with `space='pixel'`"):
        make_run(pictures, tmp_path / "run", TrainOptions(autoencoder="absent", batch_size=4, device="cpu"))


def test_attention_that_cannot_run_here_is_refused_before_anything_is_said(tmp_path, pictures) -> None:
    said: list[str] = []
    with pytest.raises(AttentionError, match="use attention full"):
        make_run(pictures, tmp_path / "run", tiny(attention="xformers"), say=said.append)
    assert not said


def test_another_precision_in_the_same_process_is_refused_by_name(tmp_path, pictures) -> None:
    make_run(pictures, tmp_path / "run", tiny())
    with pytest.raises(ArgumentError, match='^`precision="bf16"`, .*keeps the first'):
        make_run(pictures, tmp_path / "other", tiny(precision="bf16"))


def test_a_study_from_python_prints_nothing_and_gives_its_page(tmp_path, capfd, pictures) -> None:
    said: list[str] = []
    options = StudyOptions(
        training=tiny(steps=2, sample_steps=2),
        samples=4, draws=2, scales=(1,), sweep_steps=("2",), sweep_images=1,
        backbones={"mini": None}, bench_model="DiT-S/8", bench_minutes=0,
    )  # fmt: skip
    page = run_study(pictures, tmp_path / "study", options, say=said.append)
    assert page == tmp_path / "study" / "index.html"
    assert page.read_text().startswith("<!doctype html>")
    assert capfd.readouterr() == ("", "")
    assert [line for line in said if line.startswith("training")] == [
        "training the full model",
        "training the swa model",
    ]
    results = json.loads((tmp_path / "study" / "evaluation_results.json").read_text())
    assert [score["model"] for score in results["scores"]] == ["full", "swa"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 1}, "samples: expected 2 or more, got 1"),
        ({"sweep_images": 0}, "sweep_images: expected 1 or more, got 0"),
        ({"bench_model": "DiT-Q/1"}, "no such preset"),
        ({"dims": 64, "backbones": {"mini": None}}, "is only for inception, which is not among the backbones"),
    ],
)
def test_a_study_that_cannot_be_is_refused_when_its_options_are_made(changes, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        StudyOptions(**changes)


def test_scoring_is_imported_when_something_is_scored() -> None:
    script = "import sys, dit_generators.cli.main, dit_generators.training.start, dit_generators.study.run\n"
    script += "print(sorted(m for m in sys.modules if m.startswith(('cmmd_toolkit.metrics', 'cmmd_toolkit.scoring', "
    script += "'cmmd_toolkit.commands', 'cmmd_toolkit.backbones', 'cmmd_toolkit.inference'))))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
