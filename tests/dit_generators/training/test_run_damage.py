"""Damaged files of a training run: the previous checkpoint is used and that is said, or one line; never a traceback."""

import json
import math
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import damages
from dit_models import assert_refused, dit_gen
from pictures import write_pictures
from training_runs import SMALL, assert_same_end, small_run

from dit_generators.common.files import locked
from dit_generators.errors import CheckpointError, OutputError
from dit_generators.network.process import DIT_PROCESS, process_fields
from dit_generators.training.curve import draw_curve
from dit_generators.training.faults import Faults
from dit_generators.training.folder import RunFolder
from dit_generators.weights.checkpoint import checkpoints_in

FILES = ("ema.safetensors", "model.safetensors", "optimiser.pt", "checkpoint.json", "SHA256SUMS")
OPTIONS = ["--save-every", "2", "--log-every", "1"]
HALF_LINE = b'{"step": 4, "lo'


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 12)


@pytest.fixture
def run(tmp_path: Path, pictures: Path) -> Path:
    """Checkpoints after 2 and 4 steps."""
    assert small_run(pictures, tmp_path / "run", "--steps", 4, *OPTIONS).run()
    return tmp_path / "run"


@pytest.fixture
def whole(tmp_path: Path, pictures: Path) -> Path:
    assert small_run(pictures, tmp_path / "whole", "--steps", 6, *OPTIONS).run()
    return tmp_path / "whole"


def going_on(capfd: Any, pictures: Path, out: Path) -> Any:
    return dit_gen(capfd, "train", pictures, "--out", out, *SMALL, *OPTIONS, "--steps", 6)


@pytest.mark.parametrize("name", FILES)
def test_no_damage_to_a_checkpoint_goes_unnoticed_and_the_one_before_is_found(pictures, run, name) -> None:
    again = small_run(pictures, run, "--steps", 6, *OPTIONS)
    target = run / "checkpoints" / "00000004" / name
    content = target.read_bytes()
    for damaged in damages(content, 100):
        if damaged == content:
            continue
        target.write_bytes(damaged)
        saved, wrong = again.folder.find(again.state)
        assert saved is not None
        assert saved.rest["step"] == 2
        assert [path.name for path in wrong] == ["00000004"]
        assert "\n" not in str(wrong[target.parent])


def test_checkpoints_without_checksums_are_taken_when_every_part_fits_and_refused_otherwise(pictures, run) -> None:
    again = small_run(pictures, run, "--steps", 6, *OPTIONS)
    folder = run / "checkpoints" / "00000004"
    for name in ("SHA256SUMS", "checkpoint.json"):
        (folder / name).unlink()
    saved, wrong = again.folder.find(again.state)
    assert (saved is not None and saved.rest["step"], wrong) == (4, {})
    content = (folder / "optimiser.pt").read_bytes()
    for damaged in damages(content, 150):
        (folder / "optimiser.pt").write_bytes(damaged)
        saved, wrong = again.folder.find(again.state)
        assert saved is not None
        assert saved.rest["step"] == (2 if wrong else 4)


@pytest.mark.parametrize("name", FILES)
def test_a_run_whose_newest_checkpoint_is_damaged_says_so_and_reaches_the_same_end(
    tmp_path, capfd, pictures, run, whole, name
) -> None:
    (run / "checkpoints" / "00000004" / name).write_bytes(b"\x00\xff")
    finished = going_on(capfd, pictures, run)
    assert finished.code == 0, finished.err
    (warning,) = [line for line in finished.err.splitlines() if "warning" in line]
    assert "00000004: damaged (" in warning
    assert "renamed to 00000004.damaged, the previous checkpoint is used" in warning
    assert "resumed after step 2" in finished.err
    assert_same_end(run, whole)
    assert (run / "checkpoints" / "00000004.damaged" / name).read_bytes() == b"\x00\xff"


def test_where_no_checkpoint_is_whole_the_run_is_refused_and_nothing_is_removed(capfd, pictures, run) -> None:
    for folder in checkpoints_in(run):
        (folder / "optimiser.pt").write_bytes(b"x")
    finished = going_on(capfd, pictures, run)
    assert finished.code == 2
    assert "00000004: damaged (" in finished.err.splitlines()[-1]
    assert "no other checkpoint is intact" in finished.err.splitlines()[-1]
    assert [path.name for path in checkpoints_in(run)] == ["00000002", "00000004"]


def test_a_damaged_record_of_the_settings_is_written_again_from_a_checkpoint(capfd, pictures, run, whole) -> None:
    content = (run / "run.json").read_bytes()
    settings = json.loads(content)
    for damaged in damages(content, 150):
        (run / "run.json").write_bytes(damaged)
        with locked(run):
            repaired = RunFolder(run, settings).create()
        assert (repaired is None) == (_parsed(damaged) == settings)
        assert (run / "run.json").read_bytes() == content
    (run / "run.json").unlink()
    finished = going_on(capfd, pictures, run)
    assert "warning: " in finished.err
    assert "run.json: was missing or damaged; written again from a checkpoint" in finished.err
    assert_same_end(run, whole)
    other = dit_gen(capfd, "train", pictures, "--out", run, *SMALL, *OPTIONS, "--steps", 6, "--seed", 1)
    assert_refused(other, "seed was 0, now 1")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _says_the_same(record: Any, settings: dict[str, Any]) -> bool:
    """Whether a record has the same settings; those that older runs do not name are at their defaults."""
    defaults = {
        "tf32": False,
        "ema_warmup": False,
        "learning_rate_schedule": "constant",
        "initial_weights_sha256": None,
        "process": process_fields(DIT_PROCESS),
        "timestep_shift": 1.0,
        "timestep_sampling": "uniform",
        "direction_loss": False,
        "qk_norm": False,
        "norm": "layer",
        "feed_forward": "gelu",
        "rotary": False,
        "modulation_shift": True,
    }
    return isinstance(record, dict) and settings.items() <= {**defaults, **record}.items()


def test_a_damaged_record_of_the_settings_without_a_checkpoint_is_refused_in_a_line(pictures, run) -> None:
    shutil.rmtree(run / "checkpoints")
    content = (run / "run.json").read_bytes()
    settings = json.loads(content)
    for damaged in damages(content, 300):
        (run / "run.json").write_bytes(damaged)
        if _says_the_same(_parsed(damaged), settings):
            RunFolder(run, settings)
            continue
        with pytest.raises(
            OutputError, match=r"is damaged, and no checkpoint says|was started with different settings"
        ) as refused:
            RunFolder(run, settings)
        assert "\n" not in str(refused.value)


def test_no_damage_to_the_log_stops_a_run(tmp_path, pictures, run) -> None:
    folder = small_run(pictures, run, "--steps", 6, *OPTIONS).folder
    scored = {"step": 4, "score": 0.5, "standard_error": 0.1}
    fault = {"step": 2, "fault": "step 3: the loss is nan", "faults": {"skipped": [2], "halvings": 0, "in_a_row": 1}}
    for entry in (scored, fault):
        folder.log(entry)
    content = (run / "log.jsonl").read_bytes()
    for number, damaged in enumerate(damages(content, 300)):
        (run / "log.jsonl").write_bytes(damaged)
        assert folder.best_score(4) <= math.inf
        assert folder.faults(4, Faults()).halvings >= 0
        if number % 30 == 0:
            draw_curve(folder.entries(), "mini", tmp_path / "curve.png")
        folder.cut_log(4)
        for line in (run / "log.jsonl").read_bytes().splitlines():
            assert isinstance(json.loads(line), dict)


def test_half_a_line_is_what_a_kill_leaves_and_other_damage_is_said(capfd, pictures, run) -> None:
    lines = (run / "log.jsonl").read_bytes()
    (run / "log.jsonl").write_bytes(lines + HALF_LINE)
    assert small_run(pictures, run, *OPTIONS).folder.cut_log(4) == 0
    assert (run / "log.jsonl").read_bytes() == lines
    (run / "log.jsonl").write_bytes(lines + b"\x00\x00\xff\n" + b"[1]\n")
    finished = going_on(capfd, pictures, run)
    assert finished.code == 0
    assert "log.jsonl: 2 damaged lines are left out" in finished.err


def test_values_that_json_has_not_are_null_in_the_log(pictures, run) -> None:
    folder = small_run(pictures, run, *OPTIONS).folder
    folder.log({"step": 4, "gradient_norm": float("inf"), "mse": float("nan")})
    assert (run / "log.jsonl").read_text().splitlines()[-1] == '{"step": 4, "gradient_norm": null, "mse": null}'


def test_killed_between_the_last_checkpoint_and_removing_the_oldest_the_next_run_removes_it(pictures, run) -> None:
    def killed() -> None:
        raise InterruptedError

    last = small_run(pictures, run, *OPTIONS, "--steps", 6)
    last.folder.remove_old, remove_old = killed, last.folder.remove_old  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        last.folder.save(last.state, None, regular=True)
    last.folder.remove_old = remove_old  # type: ignore[method-assign]
    assert [path.name for path in checkpoints_in(run)] == ["00000000", "00000002", "00000004"]
    assert small_run(pictures, run, *OPTIONS, "--steps", 4).run()
    assert [path.name for path in checkpoints_in(run)] == ["00000002", "00000004"]


def test_killed_between_the_line_of_a_score_and_the_best_average_it_is_kept_by_the_next_run(tmp_path, pictures) -> None:
    options = ["--eval-every", 3, "--eval-images", 4, "--held-out", "0.5", "--sample-steps", 2, "--steps", 4]

    def killed(_: Any) -> None:
        raise InterruptedError

    run = small_run(pictures, tmp_path / "run", *OPTIONS, *options)
    run.folder.save_best = killed  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        run.run()
    assert [entry["step"] for entry in run.folder.entries() if "score" in entry] == [3]
    assert small_run(pictures, tmp_path / "run", *OPTIONS, *options).run()
    assert (tmp_path / "run" / "best" / "ema.safetensors").exists()


@pytest.mark.parametrize("name", ["curve.png", "best", "log.jsonl"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capfd, pictures, name) -> None:
    options = ["--eval-every", 3, "--eval-images", 4, "--held-out", "0.5", "--sample-steps", 2]
    command = ["train", pictures, "--out", tmp_path / "run", *SMALL, *OPTIONS, *options]
    assert dit_gen(capfd, *command, "--steps", 2).code == 0
    place = tmp_path / "run" / name
    place.unlink(missing_ok=True)
    if name == "curve.png":
        (place / "full").mkdir(parents=True)
    elif name == "log.jsonl":
        place.mkdir()
    else:
        place.write_text("a file")
    finished = dit_gen(capfd, *command, "--steps", 6)
    assert finished.code == 2, finished.err
    assert finished.err.splitlines()[-1].startswith("dit-gen: error: ")
    assert place.name in finished.err.splitlines()[-1]
    assert "Traceback" not in finished.err


@pytest.mark.parametrize("limit", [300, 20_000, 60_000])
def test_a_disk_that_is_full_at_any_file_is_one_line_and_the_next_run_reaches_the_same_end(
    capfd, pictures, run, whole, limit
) -> None:
    """Files may not grow beyond a limit: the system refuses as it does on a full disk."""
    command = [sys.executable, "-m", "dit_generators", "train", pictures, "--out", run, *SMALL, *OPTIONS, "--steps", 6]
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, preexec_fn=_limited(limit)
    )
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stderr.splitlines()[-1].endswith("File too large"), finished.stderr
    assert [path.name for path in checkpoints_in(run)] == ["00000002", "00000004"]
    assert going_on(capfd, pictures, run).code == 0
    assert_same_end(run, whole)


def _limited(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_lock_on_a_file_that_was_removed_meanwhile_holds_nothing(tmp_path) -> None:
    """Who opened .lock before its holder removed it must not hold the folder beside the one who made a new .lock."""
    script = (
        "import fcntl, pathlib, sys\n"
        "real = fcntl.flock\n"
        "def late(*given):\n"
        "    pathlib.Path(sys.argv[1], '.lock').unlink()\n"
        "    return real(*given)\n"
        "fcntl.flock = late\n"
        "from dit_generators.common.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert "another process is writing into it" in finished.stderr
    assert "held" not in finished.stdout


def test_a_killed_process_does_not_keep_its_folder(tmp_path) -> None:
    script = "import os, pathlib, sys\nfrom dit_generators.common.files import locked\n"
    script += "with locked(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)\n"
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_the_error_of_a_damaged_checkpoint_is_of_the_tree(pictures, run) -> None:
    from dit_generators.training.checkpoint import read_saved

    (run / "checkpoints" / "00000004" / "optimiser.pt").unlink()
    with pytest.raises(CheckpointError, match="00000004: damaged"):
        read_saved(run / "checkpoints" / "00000004", small_run(pictures, run, *OPTIONS).state)
