"""`Watch` and `cmmd watch`: looks as they appear, a record to go on from, exit codes, and what is no look yet."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, write_pictures
from PIL import Image
from rich.console import Console

from cmmd_toolkit import ArgumentError, InputError, Watch, Watching, squared_mmd
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.commands.watched_folder import RECORD, WatchedFolder
from cmmd_toolkit.report.screen.live import looks_table, shown_looks
from cmmd_toolkit.report.watching import step_of

SHIFTS = (1.0, 0.5, 0.1, 0.1, 0.2, 3.0)


def samples(look: int, rows: int = 60) -> np.ndarray:
    return (gaussian(rows, 6, seed=50 + look) + SHIFTS[look]).astype(np.float32)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    np.save(tmp_path / "real.npy", gaussian(150, 6, seed=1).astype(np.float32))
    return tmp_path / "real.npy"


def write_looks(folder: Path, *looks: int) -> Path:
    folder.mkdir(exist_ok=True)
    for look in looks:
        np.save(folder / f"step-{100 * look:04d}.npy", samples(look))
    return folder


def watch(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["watch", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


# ---- in a loop -------------------------------------------------------------------------------------


def test_a_loop_is_told_when_its_samples_get_worse() -> None:
    x = gaussian(150, 6, seed=1)
    watched = Watch(x)
    looks = [watched.look(samples(look), f"step {100 * look}") for look in range(6)]
    assert looks[0].verdict == "first"
    assert looks[5].verdict == "worse"
    assert looks[5].best == watched.best
    assert looks[5].evidence_worse is not None
    assert looks[5].evidence_worse >= 20
    assert not any(look.verdict == "worse" for look in looks[:5])
    for k, look in enumerate(looks):
        assert look.scores[0].value == pytest.approx(squared_mmd(reference=x, generated=samples(k)).value)
    record = watched.record()
    assert record.alarm == looks[5]
    assert record.best is not None
    assert record.best.name == watched.best
    assert "step 500 is worse than" in str(record)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    watched = Watch({"a": gaussian(80, 4, seed=1), "b": gaussian(80, 3, seed=2)}, alpha=0.1, bandwidth=2.0)
    for look in range(3):
        watched.look({"b": gaussian(40, 3, seed=7 + look), "a": gaussian(40, 4, seed=17 + look) + look})
    record = watched.record("real", ["odd"], {"command": "none"})
    record.save(tmp_path / "record.json")
    assert Watching.load(tmp_path / "record.json") == record
    assert (record.backbones, record.bandwidths, record.n_reference) == (("a", "b"), (2.0, 2.0), 80)
    assert [look.name for look in record.looks] == ["look 1", "look 2", "look 3"]


@pytest.mark.parametrize(
    ("rows", "name", "words"),
    [
        (gaussian(19, 6), None, "^look 2: watching needs at least 20 pictures per side, got 19$"),
        (gaussian(30, 5), None, "features of different width"),
        (np.full((30, 6), np.nan), None, "NaN|infinite|finite"),
        ({"clip": gaussian(30, 6)}, None, "^samples: expected features of features, got clip$"),
        ({}, None, "got none$"),
        (gaussian(30, 6), "one", "^name: one was already scored"),
        (gaussian(30, 6), 500, "^name: expected a name, got int 500"),
    ],
)
def test_what_is_no_look_is_refused_and_costs_nothing(rows: object, name: str | None, words: str) -> None:
    watched = Watch(gaussian(60, 6, seed=1))
    watched.look(gaussian(40, 6, seed=2), "one")
    with pytest.raises(ArgumentError, match=words):
        watched.look(rows, name)
    assert [look.name for look in watched.record().looks] == ["one"]
    assert watched.look(gaussian(40, 6, seed=3)).name == "look 2"


def test_all_backbones_have_the_same_pictures() -> None:
    every = {"a": gaussian(60, 4, seed=1), "b": gaussian(60, 3, seed=1)}
    fewer = every | {"b": gaussian(59, 3, seed=1)}
    with pytest.raises(ArgumentError, match="^reference: expected the same pictures .*, got 60 on a, 59 on b$"):
        Watch(fewer)
    with pytest.raises(ArgumentError, match="^late: expected the same pictures .*, got 60 on a, 59 on b$"):
        Watch(every).look(fewer, "late")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": 0}, "^alpha: expected"),
        ({"alpha": "x"}, "^alpha: expected a number between 0 and 1, got 'x'"),
        ({"bandwidth": "median-pooled"}, "^bandwidth: median-pooled"),
        ({"bandwidth": -1.0}, "^bandwidth: expected"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Watch(gaussian(60, 6), **options)


# ---- a folder --------------------------------------------------------------------------------------


def test_a_run_that_is_stopped_and_started_gives_the_same_answers(tmp_path, reference, capsys) -> None:
    whole, parts = write_looks(tmp_path / "whole", *range(6)), write_looks(tmp_path / "parts", 0, 1)
    assert watch(capsys, reference, whole, "--once")[0] == 0
    (parts / "cmmd-watch.best-000009.safetensors").touch()  # of a process that was killed before it had removed it
    for looks in ((2, 3), (4,), (5,), ()):
        code, out, _ = watch(capsys, reference, write_looks(parts, *looks), "--once")
        assert code == 0
        assert "Lowest so far: " in out
    one, other = (Watching.load(folder / RECORD) for folder in (whole, parts))
    assert one.looks == other.looks
    assert [look.step for look in one.looks] == [0, 100, 200, 300, 400, 500]
    assert len(list(parts.glob("*.safetensors"))) == 1  # the best look's features and no others


def test_exit_codes_tell_a_job_script_when_to_stop(tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0, 1, 2, 3, 4)
    assert watch(capsys, reference, folder, "--once", "--stop-when", "worse")[0] == 0
    write_looks(folder, 5)
    code, out, err = watch(capsys, reference, folder, "--every", 0.1, "--settle", 0, "--stop-when", "worse")
    assert code == 1
    assert "step-0500.npy: squared MMD" in out
    assert err.splitlines()[-1].startswith("cmmd: step-0500.npy is worse than step-0")
    assert watch(capsys, reference, folder, "--once", "--stop-when", "worse")[0] == 1  # and still
    assert watch(capsys, reference, folder, "--idle", 0.1, "--every", 0.1)[0] == 0  # which ends, too


def test_pictures_a_page_and_curves(tmp_path, capsys) -> None:
    real = write_pictures(tmp_path / "real", 24)
    for look in range(2):
        write_pictures(tmp_path / "run" / f"samples-{look}", 20, first_seed=100 * (look + 1))
    options = ["--backbone", "mini", "--once", "--html", tmp_path / "w.html", "--tensorboard", tmp_path / "board"]
    code, out, err = watch(capsys, real, tmp_path / "run", *options, "--json", tmp_path / "w.json")
    assert code == 0
    assert out.count("on mini") == 2
    assert "Traceback" not in err
    page = (tmp_path / "w.html").read_text()
    assert "2 looks at a run" in page
    assert "samples-1" in page
    assert list((tmp_path / "board").glob("events*"))
    assert not (tmp_path / "run" / RECORD).exists()
    record = json.loads((tmp_path / "w.json").read_text())
    assert record["provenance"]["backbones"]["mini"]


def test_what_an_earlier_process_saw_is_on_a_new_page_and_in_new_curves(tmp_path, reference, capsys) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = write_looks(tmp_path / "run", 0, 1)
    assert watch(capsys, reference, folder, "--once")[0] == 0
    options = ["--once", "--html", tmp_path / "w.html", "--tensorboard", tmp_path / "board"]
    for looks, extra in ((2, []), (2, []), (3, [2])):  # nothing new, twice, and one more
        write_looks(folder, *extra)
        assert watch(capsys, reference, folder, *options)[0] == 0
        assert f"{looks} looks at a run" in (tmp_path / "w.html").read_text()
        curves = EventAccumulator(str(tmp_path / "board")).Reload()
        steps = [point.step for point in curves.Scalars("watch/features/squared_mmd")]
        assert steps == [100 * look for look in range(looks)]


def test_samples_that_cannot_be_read_are_named_and_do_not_end_the_watch(tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0, 2)
    (folder / "step-0100.npy").write_bytes(b"no array")
    np.save(folder / "step-0150.npy", samples(1)[:5])
    code, out, _ = watch(capsys, reference, folder, "--once")
    assert code == 0
    assert "warning: step-0100.npy was not scored: " in out
    assert "step-0150.npy: watching needs at least 20 pictures per side, got 5" in out
    record = Watching.load(folder / RECORD)
    assert [look.name for look in record.looks] == ["step-0000.npy", "step-0200.npy"]
    assert len(record.warnings) >= 2


def test_why_samples_were_not_scored_is_kept_until_they_are(tmp_path, capsys) -> None:
    """Also where no look comes after them, by a process that finds nothing else, and once however often it is tried."""
    real, folder, page = write_pictures(tmp_path / "real", 24), tmp_path / "run", tmp_path / "w.html"
    write_pictures(folder / "step-1", 20, first_seed=30)
    Image.new("RGB", (300, 300)).save(write_pictures(folder / "step-2", 20, first_seed=60) / "large.png")
    command = (real, folder, "--backbone", "mini", "--once", "--max-pixels", 80_000, "--html", page)
    for _ in range(2):
        code, out, _ = watch(capsys, *command)
        assert code == 0
        assert out.count("warning: step-2 was not scored: ") == 1
        (kept,) = [text for text in Watching.load(folder / RECORD).warnings if text.startswith("step-2 was not")]
        assert page.read_text().count("step-2 was not scored: ") == 1
        assert "raise --max-pixels" in page.read_text()
        assert "`max_pixels`" in kept
    (folder / "step-2" / "large.png").unlink()
    assert watch(capsys, *command)[0] == 0
    record = Watching.load(folder / RECORD)
    assert [look.name for look in record.looks] == ["step-1", "step-2"]
    assert not any("was not scored" in text for text in record.warnings)


@pytest.mark.parametrize("resumed", [False, True])
def test_damaged_samples_do_not_end_a_watch_as_its_first_new_look(resumed: bool, tmp_path, capsys) -> None:
    real, folder = write_pictures(tmp_path / "real", 24), tmp_path / "run"
    write_pictures(folder / "step-1", 20, first_seed=30)
    if resumed:
        assert watch(capsys, real, folder, "--backbone", "mini", "--once")[0] == 0
    damaged = folder / f"step-{2 if resumed else 0}.zip"
    damaged.write_bytes(b"no zip")
    write_pictures(folder / "step-3", 20, first_seed=60)
    code, out, _ = watch(capsys, real, folder, "--backbone", "mini", "--once")
    assert code == 0
    assert f"warning: {damaged.name} was not scored: " in out
    assert [look.name for look in Watching.load(folder / RECORD).looks] == ["step-1", "step-3"]


def test_a_reference_that_cannot_be_read_ends_the_watch(tmp_path, capsys) -> None:
    real, folder = write_pictures(tmp_path / "real", 24), tmp_path / "run"
    (real / "000.png").write_bytes(b"no picture")
    write_pictures(folder / "step-1", 20, first_seed=30)
    code, _, err = watch(capsys, real, folder, "--backbone", "mini", "--once")
    assert code == 2
    assert f"{real / '000.png'}" in err
    assert not (folder / RECORD).exists()


def test_a_record_that_cannot_be_written_is_an_error_and_no_fault_of_the_look(
    tmp_path, reference, capsys, monkeypatch
) -> None:
    from cmmd_toolkit.features.feature_set import FeatureSet

    folder = write_looks(tmp_path / "run", 0)
    assert watch(capsys, reference, folder, "--once")[0] == 0
    before = (folder / RECORD).read_bytes()
    write_looks(folder, 1)

    def full(*_: object) -> None:
        raise InputError("features: could not be written (No space left on device); free space or choose another place")

    with monkeypatch.context() as patched:
        patched.setattr(FeatureSet, "save", full)
        code, out, err = watch(capsys, reference, folder, "--once")
    assert code == 2
    assert "No space left on device" in err
    assert "was not scored" not in out
    assert (folder / RECORD).read_bytes() == before
    assert watch(capsys, reference, folder, "--once")[0] == 0
    assert len(Watching.load(folder / RECORD).looks) == 2


def test_what_is_odd_about_a_look_is_said_when_it_is_scored(tmp_path, capsys, monkeypatch) -> None:
    real = write_pictures(tmp_path / "real", 24)
    write_pictures(tmp_path / "run" / "step-1", 20)  # pictures of the reference
    (tmp_path / "run" / "step-2\x1b[31m").mkdir()
    write_pictures(tmp_path / "run" / "step-2\x1b[31m", 20, first_seed=60)
    written, save_html = [], Watching.save_html
    monkeypatch.setattr(
        Watching, "save_html", lambda self, path: written.append(len(self.looks)) or save_html(self, path)
    )
    options = ["--backbone", "mini", "--once", "--html", tmp_path / "w.html"]
    code, out, _ = watch(capsys, real, tmp_path / "run", *options)
    assert code == 0
    assert out.count("warning: ") > 1
    assert written == [1, 2]  # once a look, whatever it was warned of
    assert "warning: exact duplicates: 20 of 20 pictures in step-1 are also in " in out
    assert "\x1b" not in out
    assert "step-2\\x1b[31m: squared MMD" in out


def test_processes_of_a_launch_are_refused_in_a_sentence(tmp_path, reference, capsys, monkeypatch) -> None:
    from cmmd_toolkit.common import processes

    folder = write_looks(tmp_path / "run", 0)
    monkeypatch.setattr(processes, "_current", processes.Processes(0, 2))
    code, _, err = watch(capsys, reference, folder, "--once")
    assert code == 2
    assert "watching is done by one process" in err


@pytest.mark.parametrize("option", ["--every", "--settle", "--idle"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "-1"])
def test_seconds_that_never_end_are_refused(option: str, seconds: str, tmp_path, reference, capsys) -> None:
    code, _, err = watch(capsys, reference, write_looks(tmp_path / "run", 0), option, seconds)
    assert code == 2
    assert option in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--alpha", "0.1"], "is the record of a run at alpha 0.05, not 0.1"),
        (["--bandwidth", "3"], "different bandwidths"),
        (["--alpha", "2"], "--alpha: expected a number between 0 and 1"),
        (["--json", "record.txt"], "expected a name that ends in .json"),
        (["--html", "page.txt"], "expected a name that ends in .html"),
        (["--bandwidth", "median-pooled"], "--bandwidth: median-pooled"),
    ],
)
def test_another_ruler_is_refused(change: list[str], words: str, tmp_path, reference, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_looks(tmp_path / "run", 0)
    assert watch(capsys, reference, folder, "--once")[0] == 0
    before = (folder / RECORD).read_bytes()
    write_looks(folder, 1)
    code, _, err = watch(capsys, reference, folder, "--once", *change)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert (folder / RECORD).read_bytes() == before


def test_a_record_without_the_features_of_its_best_is_refused(tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0)
    watch(capsys, reference, folder, "--once")
    (folder / "cmmd-watch.best-000001.safetensors").unlink()
    write_looks(folder, 1)
    code, _, err = watch(capsys, reference, folder, "--once")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "is gone, and with it the features of the best look; start another record" in err


def test_another_reference_is_refused(tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0)
    watch(capsys, reference, folder, "--once")
    np.save(reference, gaussian(140, 6, seed=1).astype(np.float32))
    write_looks(folder, 1)
    code, _, err = watch(capsys, reference, folder, "--once")
    assert code == 2
    assert "different reference sizes, 150 and not 140" in err
    (folder / "step-0100.npy").unlink()  # nor where nothing is new, and the reference is not embedded
    assert watch(capsys, reference, folder, "--once")[::2] == (2, err)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("alpha", 7.0, "alpha: expected a number between 0 and 1"),
        ("bandwidths", [], "bandwidths: expected one for each backbone"),
        ("backbones", ["clip"], "looks.scores: expected one for each backbone"),
        ("verdict", "good", "looks.verdict: expected one of"),
        ("best", "another", "looks.best: expected one of"),
        ("name", "one", "looks: expected names of their own"),
    ],
)
def test_a_record_whose_parts_do_not_fit_is_none(name: str, value: object, words: str) -> None:
    watched = Watch(gaussian(60, 4, seed=1))
    for look in ("zero", "one"):
        watched.look(gaussian(40, 4, seed=2), look)
    document = watched.record().to_dict()
    (document if name in document else document["looks"][0])[name] = value
    with pytest.raises(ValueError, match=words):
        Watching.from_dict(document)


@pytest.mark.parametrize("damage", ["{", '{"kind": "report", "schema_version": 3}', "[]"])
def test_a_damaged_record_is_refused_and_kept(damage: str, tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0)
    (folder / RECORD).write_text(damage)
    code, _, err = watch(capsys, reference, folder, "--once")
    assert code == 2
    assert str(folder / RECORD) in err
    assert (folder / RECORD).read_text() == damage


def test_bad_places_are_refused_in_a_line(tmp_path, reference, capsys) -> None:
    for arguments, words in (
        ((reference, tmp_path / "no"), "no such folder"),
        ((reference, reference), "is not a folder"),
        ((tmp_path / "no.npy", tmp_path), "no such file"),
        ((reference, tmp_path, "--tensorboard", reference), "is a file, and the curves are written into a folder"),
    ):
        code, _, err = watch(capsys, *arguments, "--once")
        assert code == 2
        assert words in err
        assert len(err.strip().splitlines()) == 1


def test_an_empty_folder_is_no_error(tmp_path, reference, capsys) -> None:
    (tmp_path / "run").mkdir()
    code, out, _ = watch(capsys, reference, tmp_path / "run", "--once")
    assert (code, out) == (0, "No samples were found yet.\n")


def test_one_process_holds_a_record(tmp_path, reference, capsys) -> None:
    from cmmd_toolkit.common.locks import try_lock

    folder = write_looks(tmp_path / "run", 0)
    assert watch(capsys, reference, folder, "--once")[0] == 0
    lock = try_lock(folder / f".{RECORD}.lock")
    assert lock is not None
    options = ["--html", tmp_path / "w.html", "--tensorboard", tmp_path / "board"]
    code, _, err = watch(capsys, reference, folder, "--once", *options)
    lock.release()
    assert code == 2
    assert "another process is watching with this record" in err
    assert not (tmp_path / "w.html").exists()
    assert not (tmp_path / "board").exists()


def test_what_is_being_written_is_waited_for(tmp_path, reference, capsys) -> None:
    folder = write_looks(tmp_path / "run", 0)
    os.mkfifo(folder / "step-9.npy")  # never whole
    code, _, err = watch(capsys, reference, folder, "--settle", 1, "--every", 0.1, "--idle", 0.1)
    assert code == 0
    assert [look.name for look in Watching.load(folder / RECORD).looks] == ["step-0000.npy"]
    assert "1 set of samples was not finished; the same command resumes with it" in err


def test_ctrl_c_leaves_a_whole_record(tmp_path, reference) -> None:
    folder = write_looks(tmp_path / "run", 0, 1)
    command = [sys.executable, "-m", "cmmd_toolkit", "watch", str(reference), str(folder), "--settle", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = (line[:13] for line in iter(process.stdout.readline, "") if not line.startswith("warning: "))
    assert [next(found) for _ in range(2)] == ["step-0000.npy", "step-0100.npy"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.split("\n") == ["", "cmmd: interrupted", ""]
    assert len(Watching.load(folder / RECORD).looks) == 2


# ---- what is a look --------------------------------------------------------------------------------


def test_only_finished_folders_and_archives_are_looks(tmp_path, monkeypatch) -> None:
    for name in ("step-9", "step-10", ".step-11.tmp"):
        write_pictures(tmp_path / name, 2)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "model.safetensors").touch()
    (tmp_path / "log.jsonl").touch()
    (tmp_path / "step-2.zip").touch()
    names = ["step-2.zip", "step-9", "step-10"]  # by their numbers
    assert [path.name for path in WatchedFolder(tmp_path).finished()] == names
    waiting = WatchedFolder(tmp_path, settle=1000)
    assert waiting.finished() == []
    assert waiting.unfinished() == 3
    later = time.time() + 2000
    monkeypatch.setattr(time, "time", lambda: later)
    assert [path.name for path in waiting.finished()] == names
    monkeypatch.undo()
    for path in (tmp_path / "step-9").iterdir():
        os.utime(path, (0, time.time() - 2000))  # a copy that keeps the times of its source, on its way
    assert waiting.finished() == []


def test_a_disk_with_another_clock_is_judged_by_what_changes(tmp_path) -> None:
    picture = write_pictures(tmp_path / "step-1", 1) / "000.png"
    os.utime(picture, (0, time.time() + 10_000))
    waiting = WatchedFolder(tmp_path, settle=0.2)
    assert waiting.finished() == []
    time.sleep(0.3)
    assert [path.name for path in waiting.finished()] == ["step-1"]


def test_a_run_of_dit_gen_is_watched_where_it_keeps_samples(tmp_path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="keeps no samples; train with `keep_evaluations`"):
        WatchedFolder(tmp_path)
    (tmp_path / "evaluations").mkdir()
    np.savez(tmp_path / "evaluations" / "00000100.npz", arr_0=np.zeros((2, 4, 4, 3), np.uint8))
    assert [path.name for path in WatchedFolder(tmp_path).looks()] == ["00000100.npz"]


@pytest.mark.parametrize(
    ("name", "step"),
    [("samples-000500.zip", 500), ("step=7_seed", 7), ("fake", -1), ("9" * 30, int("9" * 18)), ("²", -1)],
)
def test_the_step_is_the_last_number_of_a_name(name: str, step: int) -> None:
    assert step_of(name, -1) == step


def test_a_terminal_shows_a_table_that_fits() -> None:
    watched = Watch(gaussian(100, 6, seed=1))
    for look in range(6):
        watched.look(samples(look), f"[bold]step {look}[/]")
    record = watched.record()
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=14, color_system=None)
    with shown_looks(console, None) as shown:
        shown.update(record, record.looks[-1])
        shown.update(record, "odd [samples]")
    text = stream.getvalue()
    assert "[bold]step 5[/]" in text
    assert "worse" in text
    assert "warning: odd [samples]" in text
    plain = io.StringIO()
    Console(file=plain, width=100).print(looks_table(record, 3))
    assert "[bold]step 1[/]" not in plain.getvalue()  # only the last rows
    assert max(map(len, plain.getvalue().splitlines())) <= 100


def test_what_is_odd_about_every_look_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also by a watch that goes on, and where one name is the beginning of another."""
    real = write_pictures(tmp_path / "real", 100)
    for count, name in ((30, "step-1"), (30, "step-10"), (30, "step-100"), (25, "step-200")):
        write_pictures(tmp_path / "run" / name, count, first_seed=500)
        assert watch(capsys, real, tmp_path / "run", "--backbone", "mini", "--once")[0] == 0
    warnings = Watching.load(tmp_path / "run" / RECORD).warnings
    unequal = [warning for warning in warnings if warning.startswith("very unequal sizes")]
    assert [text.partition(":")[2].split(":")[0] for text in unequal] == [
        " real has 100 pictures, step-1 30",
        " real has 100 pictures, step-200 25",
    ]
