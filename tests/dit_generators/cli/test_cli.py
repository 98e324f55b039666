"""`dit-gen` as users type it: real folders, interruption, several processes, bad input."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from dit_models import assert_refused, dit_gen, save_kl, saved_model
from launches import torchrun
from PIL import Image

from dit_generators.cli import main
from dit_generators.cli.sampling import default_checkpoint
from dit_generators.diffusion.flow import FLOW_SAMPLERS
from dit_generators.sampling.sample import SAMPLERS

GUIDED = ["--guidance-scale", "2", "--guidance-by", "window"]
COMMAND = [sys.executable, "-m", "dit_generators"]


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    return saved_model(tmp_path / "pixels.safetensors")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return saved_model(tmp_path / "labelled.safetensors", num_classes=10, in_channels=1)


@pytest.mark.parametrize("command", [main.sample, main.sweep])
def test_every_sampler_can_be_named(command: click.Command) -> None:
    named = {option.name: option.type for option in command.params}["sampler"]
    assert isinstance(named, click.Choice)
    assert tuple(named.choices) == (*SAMPLERS, *FLOW_SAMPLERS)


def pngs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def record(folder: Path) -> Any:
    return json.loads((folder / "samples.json").read_text())


def make(capfd: Any, checkpoint: Path, out: Path, *more: object, num: int = 5, steps: int = 4) -> Any:
    return dit_gen(capfd, "sample", "--checkpoint", checkpoint, "--num", num, "--steps", steps, "--out", out, *more)


def test_sample_writes_numbered_pictures_a_record_and_a_sheet_beside_them(tmp_path, capfd, labelled) -> None:
    finished = make(capfd, labelled, tmp_path / "out", "--labels", "3,7", "--seed", 5, "--guidance-scale", 2)
    assert finished.code == 0
    assert sorted(pngs(tmp_path / "out")) == [f"{i:06d}.png" for i in range(5)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*pngs(tmp_path / "out"), "samples.json"}
    written = record(tmp_path / "out")
    assert [image["label"] for image in written["images"]] == [3, 7, 3, 7, 3]
    assert written["complete"] is True
    assert written["run"]["steps"] == "4"
    assert written["run"]["seed"] == 5
    assert written["run"]["guidance"]["scale"] == 2
    assert len({image["seed"] for image in written["images"]}) == 5
    with Image.open(tmp_path / "out" / "000000.png") as image:
        assert (image.size, image.mode) == ((8, 8), "L")
    with Image.open(tmp_path / "out.contact-sheet.png") as sheet:
        assert (sheet.width // 64, sheet.height // 64) == (2, 3)  # a column a label
    assert "5 images made" in finished.out
    assert "images/s" in finished.err


def test_the_folder_is_one_that_cmmd_scores(tmp_path, capfd, pixels) -> None:
    from cmmd_toolkit import compare

    make(capfd, pixels, tmp_path / "a", num=6)
    make(capfd, pixels, tmp_path / "b", "--seed", 1, num=6)
    report = compare(tmp_path / "a", tmp_path / "b", backbone="mini", metric="mmd")
    assert np.isfinite(report.value("mmd"))


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_pictures_have_the_same_bytes_for_every_batch_size(tmp_path, capfd, labelled, batch) -> None:
    make(capfd, labelled, tmp_path / "a", "--guidance-scale", 3)
    make(capfd, labelled, tmp_path / "b", "--guidance-scale", 3, "--batch-size", batch)
    assert pngs(tmp_path / "a") == pngs(tmp_path / "b")


def test_pictures_through_an_autoencoder_have_the_same_bytes_for_every_batch_size(tmp_path, capfd) -> None:
    latent = saved_model(tmp_path / "latent.safetensors", in_channels=4, num_classes=3)
    vae = save_kl(tmp_path / "vae")
    for name, batch in (("a", 16), ("b", 2)):
        made = make(capfd, latent, tmp_path / name, "--autoencoder", vae, "--batch-size", batch, "--sampler", "unipc")
        assert made.code == 0
    assert pngs(tmp_path / "a") == pngs(tmp_path / "b")
    with Image.open(tmp_path / "a" / "000000.png") as image:
        assert (image.size, image.mode) == ((16, 16), "RGB")


def test_a_run_in_two_processes_makes_the_same_pictures(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "one")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29611", "-m"]
    command = [*launcher, "--", "dit_generators", "sample", "--checkpoint", pixels, "--num", "5", "--steps", "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [*command, "--out", tmp_path / "two"], capture_output=True, text=True, check=False, env=environment
    )
    assert finished.returncode == 0, finished.stderr
    assert pngs(tmp_path / "one") == pngs(tmp_path / "two")
    assert finished.stdout.count("5 images made") == 1
    assert record(tmp_path / "two")["complete"] is True


def test_an_unfinished_folder_is_gone_on_with_and_can_grow(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "whole", num=7)
    make(capfd, pixels, tmp_path / "part", num=5)
    (tmp_path / "part" / "000002.png").unlink()
    (tmp_path / "part" / ".000003.png.abcdefgh.tmp").mkdir()  # of a killed process
    finished = make(capfd, pixels, tmp_path / "part", "--batch-size", 2, num=7)
    assert "3 images made" in finished.out
    assert "4 were there already" in finished.out
    assert pngs(tmp_path / "part") == pngs(tmp_path / "whole")
    again = make(capfd, pixels, tmp_path / "part", num=3)
    assert "0 images made" in again.out
    assert len(record(tmp_path / "part")["images"]) == 7


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_finishes_the_same_pictures(tmp_path, capfd) -> None:
    # Large enough that the last picture is seconds away when the signal comes, however busy the machine is.
    pixels = saved_model(tmp_path / "pixels.safetensors", input_size=32, depth=3)
    make(capfd, pixels, tmp_path / "whole", num=10, steps=300)
    command = [*COMMAND, "sample", "--checkpoint", pixels, "--num", "10", "--steps", "300", "--batch-size", "1"]
    for stop in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen([*command, "--out", tmp_path / "part"], stderr=subprocess.PIPE, text=True)
        before = len(pngs(tmp_path / "part")) if (tmp_path / "part").exists() else 0
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "part").glob("0*.png"))) < before + 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(stop)
        _, err = process.communicate()
        if stop == signal.SIGINT:
            assert process.returncode == 130
            assert "interrupted; finished work is kept" in err.splitlines()[-1]
            assert "Traceback" not in err
    assert 4 <= len(list((tmp_path / "part").glob("0*.png"))) < 10
    assert record(tmp_path / "part")["complete"] is False
    make(capfd, pixels, tmp_path / "part", num=10, steps=300)
    assert pngs(tmp_path / "part") == pngs(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--seed", "1"], "--seed was 0, now 1"),
        (["--sampler", "ddim"], '--sampler was "ddpm", now "ddim"'),
        (["--attention", "swa"], '--attention was "full", now "swa"'),
        (["--precision", "bf16"], "precision was"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_untouched(tmp_path, capfd, pixels, changed, named) -> None:
    make(capfd, pixels, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    finished = make(capfd, pixels, tmp_path / "out", *changed)
    assert finished.code == 2
    assert "holds images of another run" in finished.err.splitlines()[-1]
    assert named in finished.err
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    other = saved_model(tmp_path / "other.safetensors", seed=9)
    weights = f"the weights differ (--checkpoint was {pixels}, now {other})"
    assert_refused(make(capfd, other, tmp_path / "out"), weights)


def test_an_engine_with_the_same_result_goes_on_with_the_folder(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "out")
    assert make(capfd, pixels, tmp_path / "out", "--attention", "naive").code == 0


def test_folders_that_cannot_be_used(tmp_path, capfd, pixels) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / "holiday.png")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "samples.json").write_text("{}")
    assert_refused(make(capfd, pixels, tmp_path / "file"), "is a file; name a folder")
    assert_refused(make(capfd, pixels, tmp_path / "pictures"), "is not empty and holds no samples.json")
    assert_refused(make(capfd, pixels, tmp_path / "broken"), "is not readable")
    (tmp_path / "photographs").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "photographs" / "holiday.jpg")
    assert_refused(make(capfd, pixels, tmp_path / "photographs"), "is not empty and holds no samples.json")
    assert_refused(make(capfd, pixels, Path("/proc/nowhere")), "/proc/nowhere")


def test_a_picture_cut_short_is_made_again(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "out")
    before = pngs(tmp_path / "out")
    for name, size in (("000001.png", 0), ("000003.png", 90)):
        (tmp_path / "out" / name).write_bytes(before[name][:size])
    holed = before["000004.png"][:60] + bytes(20) + before["000004.png"][80:]  # its end is whole
    (tmp_path / "out" / "000004.png").write_bytes(holed)
    assert "3 images made" in make(capfd, pixels, tmp_path / "out").out
    assert pngs(tmp_path / "out") == before


@pytest.mark.parametrize("timing", ['"x"', '{"images": "x", "seconds": 1}', "{}", "[1]", "[" * 99999])
def test_a_damaged_record_is_refused_by_name(tmp_path, capfd, pixels, timing) -> None:
    make(capfd, pixels, tmp_path / "out")
    text = (tmp_path / "out" / "samples.json").read_text()
    before, _, _ = text.partition('"timing"')
    (tmp_path / "out" / "samples.json").write_text(before + f'"timing": {timing}, "images": []}}')
    assert_refused(make(capfd, pixels, tmp_path / "out"), "samples.json: is not readable")


def test_a_picture_of_another_size_is_named_and_not_put_into_the_npz(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "out")
    Image.new("RGB", (9, 8)).save(tmp_path / "out" / "000002.png")
    finished = make(capfd, pixels, tmp_path / "out", "--npz")
    assert finished.code == 2
    assert "000002.png: is 9 x 8, others here are 8 x 8" in finished.err
    assert not list(tmp_path.glob("*out*.npz"))


def test_what_cannot_be_a_folder_of_results_is_named_before_anything_is_read(tmp_path, capfd) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for name, message in (("link", "is a link to"), ("pipe", "is not a folder"), ("file", "is a file; name a folder")):
        for command in (["sample"], ["sweep"], ["train", tmp_path], ["study", tmp_path]):
            assert_refused(dit_gen(capfd, *command, "--out", tmp_path / name), message)
    assert_refused(dit_gen(capfd, "bench", "--out", ""), "expected a name for NAME.json")


SMALL_BENCH = ["--batch-size", "1", "--repeats", "1", "--level", "operation", "--attention", "full", "--out", "OUT"]


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["sample", "--num", "1", "--steps", "2", "--out", "OUT"],
        ["bench", "--model", "DiT-S/8", *SMALL_BENCH],
    ],
)
def test_a_closed_output_is_no_failure(tmp_path, command) -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = [part.replace("OUT", str(tmp_path / "out")) for part in command]
    finished = subprocess.run([*COMMAND, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert finished.returncode == 0
    assert "Traceback" not in finished.stderr
    assert "Exception" not in finished.stderr
    if "sample" in command:
        assert len(pngs(tmp_path / "out")) == 1
    if "bench" in command:
        assert (tmp_path / "out.png").exists()


def test_nobody_reading_the_progress_stops_nothing(tmp_path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [*COMMAND, "sample", "--checkpoint", "digits-swa", "--attention", "full", "--num", "2", "--steps", "2"]
    finished = subprocess.run([*command, "--out", tmp_path / "out"], stdout=subprocess.PIPE, stderr=write, check=False)
    os.close(write)
    assert (finished.returncode, len(pngs(tmp_path / "out"))) == (0, 2)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("loaded", ["numpy", "libtorch_cpu", "pictures"])
def test_a_signal_at_any_moment_ends_without_a_traceback(tmp_path, stop, code, loaded) -> None:
    command = [*COMMAND, "sample", "--checkpoint", "landscapes-full", "--num", "99", "--out", tmp_path / "out"]
    process = subprocess.Popen([*command, "--batch-size", "1"], stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")  # libraries that are loaded: how far its imports are

    def come() -> bool:
        return any((tmp_path / "out").glob("0*.png")) if loaded == "pictures" else loaded in maps.read_text()

    deadline = time.monotonic() + 60
    while not come() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(stop)
    _, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert not list((tmp_path / "out").glob(".*.png"))


def test_two_commands_do_not_write_into_one_folder(tmp_path, capfd, pixels) -> None:
    from dit_generators.common.files import locked

    make(capfd, pixels, tmp_path / "out")
    with locked(tmp_path / "out"):
        assert_refused(make(capfd, pixels, tmp_path / "out"), "another process is writing into it")


def test_a_weak_model_like_the_model_itself_is_refused(tmp_path, capfd, pixels) -> None:
    guided = ["--guidance-by", "window", "--guidance-scale", "2"]
    same = make(capfd, pixels, tmp_path / "out", "--attention", "swa", *guided)
    assert same.code == 2
    assert "--guidance-window: the model itself has window 3, so guidance would have no effect" in same.err
    large = make(capfd, pixels, tmp_path / "out", *guided, "--guidance-window", "9")
    assert_refused(large, "--guidance-window: a window of 9 x 9")


def test_the_bundled_models_sample_without_a_network_or_arguments(tmp_path) -> None:
    for kind in ("full", "swa"):
        command = [*COMMAND, "sample", "--attention", kind, "--num", "3", "--steps", "3", "--out", f"{kind}/"]
        environment = {"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)}
        finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
        assert finished.returncode == 0, finished.stderr
        assert "warning" not in finished.stderr
        assert record(tmp_path / kind)["checkpoint"] == f"landscapes-{kind}"


def test_npz_holds_the_pictures_in_order_as_rgb(tmp_path, capfd, pixels, labelled) -> None:
    make(capfd, pixels, tmp_path / "rgb", "--npz")
    make(capfd, labelled, tmp_path / "grey", "--npz")
    for name in ("rgb", "grey"):
        with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as archive:
            batch = archive["arr_0"]
        assert (batch.shape, batch.dtype) == ((5, 8, 8, 3), np.uint8)
        with Image.open(tmp_path / name / "000003.png") as image:
            np.testing.assert_array_equal(batch[3], np.asarray(image.convert("RGB")))


def test_previews_are_written_on_request(tmp_path, capfd, pixels) -> None:
    make(capfd, pixels, tmp_path / "out", "--preview-every", 2)
    with Image.open(tmp_path / "out.preview.png") as image:
        assert image.width > 64


def test_without_a_bundled_checkpoint_the_command_says_what_is_missing(tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr("dit_generators.weights.hub._BUNDLED", tmp_path)
    finished = dit_gen(capfd, "sample", "--attention", "swa", "--out", tmp_path / "out")
    assert_refused(finished, "the default (landscapes-swa or digits-swa) is not in this installation")
    with pytest.raises(Exception, match="the default .landscapes-full or digits-full. is not"):
        default_checkpoint("full")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps: expected a number of 1 or more"),
        (["--steps", "1001"], "1001 asked for, but training had 1000"),
        (["--num", "0"], "num: expected 1 or more, got 0"),
        (["--batch-size", "0"], "--batch-size: expected 1 or more"),
        (["--labels", "1"], "unconditional"),
        (["--labels", "x"], "--labels x: expected whole numbers"),
        (
            ["--guidance-scale", "2"],
            "--guidance-scale 2: this model is unconditional, it has no labels to guide by; take --guid",
        ),
        (["--guidance-interval", "5"], "expected LOW,HIGH"),
        (["--attention", "flash"], "--attention: expected naive"),
        (["--attention", "xformers"], "use attention full, which computes the same"),
        (["--attention", "swa", "--window", "4"], "expected odd numbers"),
        (["--attention", "swa", "--window", "5"], "does not fit the grid of 4 x 4"),
        (["--sampler", "rk4"], "'rk4' is not one of"),
        (["--sampler", "ddmp"], "Did you mean ddpm?"),
        (["--seed", "-1"], "seed: expected 0 or more"),
        (["--device", "tpu"], "--device: expected auto, cpu, cuda or cuda:1, got tpu"),
        (["--autoencoder", "x"], "makes pixels and needs none"),
        (["--out", "/"], "is the root of a disk"),
        (["--attention", ""], "expected naive, full"),
        (["--preview-every", "0"], "--preview-every: expected 1"),
        (["--num-heads", "3"], "has 2 attention heads, not 3; leave out --num-heads 3"),
        (["--weights", "model"], "holds only one set of weights; leave out --weights model"),
        (["--guidance-interval", "5,9"], "--guidance-interval: has no effect at --guidance-scale 1"),
        (["--guidance-by", "window"], "--guidance-by: has no effect at --guidance-scale 1"),
        (
            ["--guidance-scale", "2", "--guidance-window", "3"],
            "--guidance-window: only has an effect with --guidance-by window",
        ),
        (["--window", "3"], "--window: only has an effect with swa; the attention here is full"),
        (
            ["--border", "shift", "--attention", "naive"],
            "--border: only has an effect with swa; the attention here is naive",
        ),
        ([*GUIDED, "--guidance-interval", "5,9"], "--guidance-interval 5,9: none of the 4 steps lies in it"),
        ([*GUIDED, "--guidance-interval", "1000,2000"], "expected timesteps of 0 to 999"),
        (["--out", ""], "expected the name of a folder, got an empty text"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(tmp_path, capfd, pixels, options, message) -> None:
    finished = make(capfd, pixels, tmp_path / "out", *options)
    assert_refused(finished, message)
    assert not (tmp_path / "out").exists()


def test_a_label_out_of_range_names_the_classes(tmp_path, capfd, labelled) -> None:
    finished = make(capfd, labelled, tmp_path / "out", "--labels", "3,11")
    assert_refused(finished, "label 11: this model has the classes 0 to 9 (10 is the null label)")


def test_a_full_disk_keeps_the_finished_pictures(tmp_path, capfd, pixels, monkeypatch) -> None:
    from dit_generators.sampling import folder

    real, count = folder.save_image, iter(range(100))

    def failing(image: Any, target: Path) -> None:
        if next(count) >= 3:
            raise OSError(28, "No space left on device", str(target))
        real(image, target)

    monkeypatch.setattr(folder, "save_image", failing)
    finished = make(capfd, pixels, tmp_path / "out", "--batch-size", 2)
    assert finished.code == 2
    assert finished.err.splitlines()[-1].endswith("No space left on device; free space; finished work is kept")
    kept = sorted(pngs(tmp_path / "out"))  # a batch is written in threads: either picture of the second came first
    assert kept[:2] == ["000000.png", "000001.png"]
    assert len(kept) == 3
    monkeypatch.setattr(folder, "save_image", real)
    assert "2 images made" in make(capfd, pixels, tmp_path / "out").out


def test_another_attention_than_trained_with_is_said(tmp_path, capfd, pixels) -> None:
    finished = make(capfd, pixels, tmp_path / "out", "--attention", "swa")
    assert finished.code == 0
    lines = finished.err.splitlines()
    assert "dit-gen: warning: the model was trained with attention full and runs with swa (window 3, shift)" in lines


def test_auto_says_what_it_chose(tmp_path, capfd, pixels) -> None:
    assert "attention auto: full by " in make(capfd, pixels, tmp_path / "out", "--attention", "auto").err


def test_sweep_makes_every_cell_from_the_same_noise(tmp_path, capfd, labelled) -> None:
    command = ["sweep", "--checkpoint", labelled, "--guidance-scale", "0,1,3", "--steps", "4,6"]
    command += ["--attention", "full,swa", "--num", 2, "--out", tmp_path / "sweep"]
    assert dit_gen(capfd, *command).code == 0
    cells = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["cells"]
    assert {path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()} == {c["folder"] for c in cells}
    assert [cell["folder"] for cell in cells[:4]] == ["full_w0_s4", "full_w0_s6", "full_w1_s4", "full_w1_s6"]
    assert len(cells) == 12
    assert all(cell["seconds_per_image"] > 0 for cell in cells)
    make(capfd, labelled, tmp_path / "one", "--guidance-scale", 3, "--attention", "swa", num=2, steps=6)
    assert pngs(tmp_path / "sweep" / "swa_w3_s6") == pngs(tmp_path / "one")
    with Image.open(tmp_path / "sweep" / "sweep.png") as sheet:
        assert sheet.height > 6 * 64
    again = dit_gen(capfd, *command)
    assert again.code == 0
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text())["cells"] == cells


@pytest.mark.parametrize("count", [2, 3])
def test_a_sweep_by_several_processes_is_the_sweep_by_one_byte_for_byte(tmp_path, capfd, labelled, count) -> None:
    command = ["sweep", "--checkpoint", labelled, "--guidance-scale", "1,3", "--steps", "2,4,9", "--num", "2"]
    assert dit_gen(capfd, *command, "--out", tmp_path / "one").code == 0
    finished = share_work(count, *command, "--out", tmp_path / "more")
    assert finished.returncode == 0, finished.stderr
    one, more = (everything(tmp_path / name) for name in ("one", "more"))
    assert one == more
    assert len(one) == 6 * 2 + 1
    assert finished.stdout.count("sweep.png") == 1
    assert all(
        finished.stderr.count(f"{cell.name}: 2/2 images") == 1 for cell in (tmp_path / "one").iterdir() if cell.is_dir()
    )


def test_an_error_of_all_processes_is_said_once_and_of_one_ends_all(tmp_path, capfd, labelled) -> None:
    command = ["sweep", "--checkpoint", labelled, "--steps", "2,4", "--num", "2", "--out", tmp_path / "out"]
    finished = share_work(2, *command, "--seed", "-1")
    assert finished.returncode != 0
    assert finished.stderr.count("dit-gen: ") == 1
    assert "dit-gen: error: --seed: expected 0 or more, got -1" in finished.stderr
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "full_w1_s4").write_text("in the way of one of the two")
    finished = share_work(2, *command)
    assert finished.returncode != 0
    assert finished.stderr.count("dit-gen: ") == 1
    assert "full_w1_s4: is a file" in finished.stderr


def test_samples_by_several_processes_are_those_of_one_byte_for_byte(tmp_path, capfd, labelled) -> None:
    command = ["sample", "--checkpoint", labelled, "--steps", "2", "--num", "5", "--seed", "3", "--npz"]
    assert dit_gen(capfd, *command, "--out", tmp_path / "one").code == 0
    finished = share_work(2, *command, "--out", tmp_path / "more")
    assert finished.returncode == 0, finished.stderr
    assert len(everything(tmp_path / "one")) == 5
    assert everything(tmp_path / "one") == everything(tmp_path / "more")
    for suffix in (".npz", ".contact-sheet.png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"more{suffix}").read_bytes()


# Each process stands in a folder of its own, as on two machines without a common disk.
ON_TWO_MACHINES = """
import os, sys
place = os.path.join(sys.argv[1], os.environ["RANK"])
os.mkdir(place)
os.chdir(place)
from dit_generators.cli.main import main
main(sys.argv[2:])
"""


def test_processes_that_do_not_write_into_one_folder_say_so_at_once(tmp_path, labelled) -> None:
    script = tmp_path / "two_machines.py"
    script.write_text(ON_TWO_MACHINES)
    command = ["sample", "--checkpoint", labelled, "--steps", "2", "--num", "4", "--out", "out"]
    finished = torchrun(2, "--", script, tmp_path, *command)
    assert finished.returncode != 0
    assert finished.stderr.count("dit-gen: error: ") == 1
    assert "out: is not the same folder for all processes; use one on a disk that all machines share" in finished.stderr
    assert pngs(tmp_path / "0" / "out") == {}


def share_work(count: int, *arguments: object) -> Any:
    return torchrun(count, "-m", "--", "dit_generators", *arguments)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_sweep_checks_every_cell_before_the_first(tmp_path, capfd, pixels) -> None:
    command = ["sweep", "--checkpoint", pixels, "--out", tmp_path / "sweep"]
    assert_refused(dit_gen(capfd, *command, "--guidance-scale", "1,4"), "unconditional")
    assert_refused(dit_gen(capfd, *command, "--steps", "5,2000"), "training had 1000")
    assert_refused(dit_gen(capfd, *command, "--steps", "5,5"), "has a value twice")
    assert_refused(dit_gen(capfd, *command, "--guidance-scale", "1,x"), "expected numbers such as")
    assert not (tmp_path / "sweep").exists()


def test_bench_prints_a_table_and_writes_numbers_and_a_chart(tmp_path, capfd) -> None:
    command = ["bench", "--model", "DiT-S/8", "--batch-size", "1,2", "--repeats", 1, "--device", "cpu"]
    finished = dit_gen(capfd, *command, "--out", tmp_path / "b")
    assert finished.code == 0
    assert "Attention (Q K^T and the product with V) is 0.66 % of the 0.358 G multiply-adds" in finished.out
    assert finished.err.count("xformers has kernels for CUDA GPUs only") == 1
    written = json.loads((tmp_path / "b.json").read_text())
    assert len(written["results"]) == 3 * 2 * 4
    for result in written["results"]:
        assert (result["seconds"] is None) == (result["attention"] == "xformers")
    naive = next(r for r in written["results"] if r["attention"] == "naive" and r["batch_size"] == 2)
    assert naive["memory_bytes"] > 2 * 6 * 16 * 16 * 4  # its softmax matrix at least
    with Image.open(tmp_path / "b.png") as chart:
        assert chart.width > 800


def test_bench_measures_the_window_that_fits_no_grid_as_its_message_says(capfd) -> None:
    command = ["bench", "--model", "DiT-S/8", "--batch-size", "1", "--level", "operation", "--attention", "swa"]
    command += ["--repeats", 1, "--device", "cpu", "--window", 5]
    assert_refused(dit_gen(capfd, *command), "take a smaller window, border truncate, or attention full")
    finished = dit_gen(capfd, *command, "--border", "truncate")
    assert finished.code == 0, finished.err
    assert "swa" in finished.out


def test_bench_measures_backward(tmp_path, capfd) -> None:
    command = ["bench", "--model", "DiT-S/4", "--batch-size", "1", "--level", "block", "--attention", "full,swa"]
    assert dit_gen(capfd, *command, "--backward", "--repeats", 1).code == 0


def test_bench_compares_precisions_and_makes_pictures(tmp_path, capfd) -> None:
    command = ["bench", "--model", "DiT-S/8", "--input-size", 16, "--batch-size", "1,2", "--repeats", 2, "--steps", 2]
    command += ["--precision", "fp32,tf32,bf16,bf16-autocast", "--level", "block,image", "--attention", "naive,swa"]
    finished = dit_gen(capfd, *command, "--device", "cpu", "--window", 1, "--out", tmp_path / "b")
    assert finished.code == 0, finished.err
    written = json.loads((tmp_path / "b.json").read_text())
    cells = {(r["precision"], r["level"], r["attention"], r["batch_size"]): r for r in written["results"]}
    assert len(cells) == len(written["results"]) == 4 * 2 * 2 * 2
    assert written["precision"] == "fp32"  # what readers of one precision look at
    for (precision, level, _, batch), cell in cells.items():
        if precision == "tf32" or (precision, level) == ("bf16", "image"):
            assert cell["seconds"] is None
            continue
        assert 0 < cell["seconds"] <= cell["mean_seconds"]
        assert cell["spread_seconds"] >= 0
        assert cell["seconds_per_image"] == cell["seconds"] / batch
    assert "a CPU multiplies in float32" in cells["tf32", "block", "swa", 1]["note"]
    assert "use precision bf16-autocast" in cells["bf16", "image", "swa", 1]["note"]
    assert "mean ± sd" in finished.out
    assert "Across precisions, which compares more than attention, block: at most" in finished.out


def test_bench_leaves_out_what_would_take_longer_than_its_limit(tmp_path, capfd) -> None:
    command = ["bench", "--model", "DiT-S/8", "--batch-size", "1,100000", "--level", "model", "--attention", "full"]
    command += ["--repeats", 1, "--limit-minutes", 0.5, "--device", "cpu", "--out", tmp_path / "b"]
    finished = dit_gen(capfd, *command)
    assert finished.code == 0, finished.err
    first, last = json.loads((tmp_path / "b.json").read_text())["results"]
    assert first["seconds"] > 0
    assert first["spread_seconds"] is None  # of one call
    assert last["seconds"] is None
    assert "are left of the limit of 30 seconds" in last["note"]


def test_what_is_left_of_a_short_limit_is_said_in_parts_of_a_second(tmp_path, capfd) -> None:
    command = ["bench", "--model", "DiT-S/8", "--batch-size", "1000000", "--level", "operation", "--attention", "full"]
    finished = dit_gen(capfd, *command, "--limit-minutes", 0.02, "--device", "cpu", "--out", tmp_path / "b")
    assert finished.code == 0, finished.err
    note = json.loads((tmp_path / "b.json").read_text())["results"][0]["note"]
    few = r"(no time is left|would take \d+ seconds, (0\.\d+|1\.\d) are left) of the limit of 1\.2 seconds"
    assert re.fullmatch(few, note), note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "DiT-Q/2"], "no such preset"),
        (["--precision", "fp8"], "--precision fp8: expected some of fp32, tf32, bf16"),
        (["--level", "image", "--steps", "1"], "--steps: expected 2 to 1000, got 1"),
        (["--level", "image", "--backward"], "--level image: sampling has no backward"),
        (["--level", "world"], "expected some of operation, block, model"),
        (["--batch-size", "0"], "1 or more"),
        (["--input-size", "30"], "--input-size: expected a multiple of the patch size 4, got 30"),
        (["--window", "2"], "odd"),
        (["--out", "/nowhere/b"], "does not exist; create it first"),
    ],
)
def test_bench_refuses(capfd, options, message) -> None:
    assert_refused(dit_gen(capfd, "bench", *options), message)


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from dit_generators.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'diffusers', 'rich', 'PIL'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    version = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("cmmd-toolkit ")


def test_no_arguments_is_help_and_code_2() -> None:
    finished = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "Usage: dit-gen" in finished.stderr


def test_complaints_of_xformers_that_nobody_asked_for_are_not_printed(capfd, monkeypatch) -> None:
    """diffusers imports it, and it complains where it was built for another torch."""
    logger = logging.getLogger("xformers")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    assert logger.isEnabledFor(logging.WARNING)
    dit_gen(capfd, "sample", "--help")
    assert not logger.isEnabledFor(logging.WARNING)
