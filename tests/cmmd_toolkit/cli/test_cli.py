"""The command line as people type it: real processes for what matters, one line for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, shared_path

from cmmd_toolkit import CmmdError, Features, GaussianStatistics, compare
from cmmd_toolkit.cli import main as cli, options as cli_options
from cmmd_toolkit.sets.recipes import RECIPES


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cmmd_toolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The command inside this process: its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "real.safetensors", tmp_path / "fake.safetensors"
    for i, path in enumerate(paths):
        Features(gaussian(30, 5, seed=i)).save(path)
    return paths


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cmmd_toolkit.cli import main as cli\n"
        "try: cli.main(['compare', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'rich', 'transformers'} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "--fail-above" in finished.stdout


def test_help_names_every_recipe() -> None:
    assert set(cli_options._RECIPE_NAMES) == set(RECIPES) - {"default"}


def test_compare_prints_a_plain_table_and_writes_json(
    real: Path, fake: Path, clip_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    finished = run("compare", real, fake, "--backbone", "clip", "--weights", clip_folder, "--json", target)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0] == f"Reference: {real}"
    headings = "Generated Backbone Metric Value Std. error 95 % interval Ref. n Gen. n"
    assert " ".join(lines[2].split()) == headings
    assert lines[3].split()[:3] == ["fake", "clip", "fd"]
    assert "\x1b" not in finished.stdout
    assert "8 images" in finished.stderr
    document = json.loads(target.read_text())
    assert document["schema_version"] == 3
    assert set(document["results"][0]) == {
        *("reference", "generated", "backbone", "metric", "value", "standard_error", "interval"),
        *("n_reference", "n_generated", "parameters", "caveats", "higher_is_better", "corrected", "no_error_reason"),
    }
    assert document["provenance"]["command"].startswith("cmmd compare")
    assert len(document["provenance"]["backbones"]["clip"]["weights_sha256"][0]) == 64


def test_json_on_stdout_is_json_alone(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "compare", *sides, "--json", "-")
    assert code == 0
    assert [result["metric"] for result in json.loads(out)["results"]] == ["fd", "mmd"]


def test_names_that_are_no_text_do_not_stop_a_report(sides: tuple[Path, Path], tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/odd \xff \xc3\xa9.safetensors"
    sides[1].rename(os.fsdecode(odd))
    command = [sys.executable, "-m", "cmmd_toolkit", "compare", str(sides[0]), os.fsdecode(odd), "--json"]
    for target in ("-", str(tmp_path / "report.json")):
        finished = subprocess.run([*command, target], capture_output=True, check=False)
        assert finished.returncode == 0, finished.stderr
    assert os.fsencode(json.loads((tmp_path / "report.json").read_text())["results"][0]["generated"]) == odd


def test_thresholds_decide_the_exit_code(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "compare", *sides, "--fail-above", "fd=1000")[0] == 0
    code, out, err = call(capsys, "compare", *sides, "--fail-above", "fd=0.001", "--fail-above", "mmd=5")
    assert code == 1
    assert "fake.safetensors: fd on features is" in err
    assert "mmd on" not in err
    assert "Frechet distance" in out


def test_embed_writes_what_compare_and_pytorch_fid_read(
    real: Path, fake: Path, inception_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--backbone", "inception", "--dims", 64, "--weights", inception_weights)
    for name, extra in (("a.safetensors", ()), ("b.safetensors", ("--stats",)), ("c.npz", ())):
        code, out, _ = call(capsys, "embed", real, *options, "--out", tmp_path / name, *extra)
        assert code == 0
        assert "8 pictures, 64 dimensions" in out
    values = []
    for reference in (real, *(tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.npz"))):
        code, out, _ = call(capsys, "compare", reference, fake, *options, "--metric", "fid", "--json", "-")
        assert code == 0
        values.append(json.loads(out)["results"][0]["value"])
    assert np.allclose(values, values[0], rtol=1e-6)
    with np.load(tmp_path / "c.npz") as archive:
        assert archive["mu"].shape == (64,)
        assert archive["sigma"].shape == (64, 64)


def test_weights_can_be_given_by_name(
    real: Path, fake: Path, clip_folder: Path, inception_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(
        capsys,
        *("compare", real, fake, "--backbone", "clip", "--backbone", "inception", "--dims", 64, "--metric", "mmd"),
        *("--weights", f"clip={clip_folder}", "--weights", f"inception={inception_weights}", "--json", "-"),
    )
    assert code == 0
    assert [result["backbone"] for result in json.loads(out)["results"]] == ["clip", "inception"]


def test_every_mistake_is_one_line_and_code_2(
    real: Path, tmp_path: Path, sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    GaussianStatistics(np.zeros(5), np.eye(5)).save(tmp_path / "stats.npz")
    for arguments, words in (
        ((), "Usage: cmmd"),
        (("compare",), "Missing argument 'REFERENCE'"),
        (("compare", real), "Missing argument 'GENERATED...'"),
        (("comparre", real, real), "No such command 'comparre'. Did you mean compare?"),
        (("compare", real, real, "--nope"), "No such option '--nope'"),
        (("compare", real, tmp_path / "absent"), "absent: no such file or folder"),
        (("compare", real, real, "--backbone", "clipp"), "unknown backbone 'clipp'; did you mean clip?"),
        (("compare", real, real, "--backbone", "clip=c.pt"), "give clip as the backbone and the file as --weights"),
        (("compare", *sides, "--metric", "cmdm"), "unknown metric 'cmdm'; did you mean cmmd?"),
        (("compare", *sides, "--bandwidth", "wide"), "bandwidth: expected a number > 0"),
        (("compare", *sides, "--json", tmp_path / "no" / "x.json"), "does not exist; create it first"),
        (("compare", *sides, "--fail-above", "fd"), "expected [BACKBONE:]METRIC[:corrected]=VALUE"),
        (("compare", *sides, "--fail-above", "kid=1"), "kid is not among the metrics of this run"),
        (("compare", *sides, "--metric", "fd", "--fail-above", "mmd=1"), "mmd is not among the metrics"),
        (("compare", *sides, "--json", "/proc/x.json"), "/proc/x.json: cannot be written"),
        (("compare", *sides, "--json", "/dev/full"), "No space left on device"),
        (("compare", sides[0], tmp_path / "stats.npz", "--metric", "mmd"), "it needs every picture's features"),
        (("compare", *sides, "--weights", "a", "--weights", "b"), "write --weights NAME=..."),
        (("compare", *sides, "--on-error", "cry"), "'cry' is not one of 'fail', 'skip'"),
        (("compare", *sides, "--max-images", "x"), "'x' is not a valid integer"),
        (("embed", real, "--out", tmp_path / "x.txt"), "ends in .safetensors or .npz"),
        (("embed", real, "--out", tmp_path), "is a folder; name a file"),
        (("compare", real, ""), "expected the name of a file or folder, got ''; is a variable unset?"),
        (("rank", " ", *sides), "expected the name of a file or folder, got ' '"),
        (("explain", *sides, "--sheet", ""), "expected the name of a file or folder, got ''"),
        (("plan", *sides, "--tsv", "x"), "No such option '--tsv'. (see cmmd plan --help)"),
        (("plan", *sides, "--metrc", "fd"), "No such option '--metrc'. Did you mean --metric? (see cmmd plan --help)"),
        (("plan", *sides, "--metric", "kid"), "expected mmd or fd (on their networks also fid, cmmd), got 'kid'"),
        (("compare", *sides, "--metric", "lpips"), "unknown metric 'lpips'; choose from"),
        (("embed", sides[0], "--out", tmp_path / "o.npz"), "holds features or statistics, and pictures are needed"),
    ):
        code, out, err = call(capsys, *arguments)
        assert code == 2, arguments
        assert out == "" or "/dev/full" in arguments, arguments
        assert words in err, arguments
        assert err.count("\n") == 1 or not arguments, err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fake.safetensors",
        "real",
        "real.safetensors",
        "stats.npz",
    ]


def test_a_device_is_written_to_and_never_replaced(
    sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = call(capsys, "compare", *sides, "--json", "/dev/null")
    assert code == 0
    assert Path("/dev/null").is_char_device()
    assert Path("/dev/full").is_char_device()


def test_backbones_and_doctor_say_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "backbones")
    assert code == 0
    table, *reasons = out.split("\n\n")
    rows = [line.split() for line in table.splitlines()]
    assert [row[0] for row in rows] == [
        *("Backbone", "inception", "clip", "siglip", "siglip2", "align", "dinov2", "mini"),
        "openclip:ARCHITECTURE/PRETRAINED",
    ]
    not_ready = [row[0].split(":")[0] for row in rows if row[-1] == "no"]
    named = [line.split(": ")[1].split(", ") for line in reasons]
    assert sorted(name for own in named for name in own) == sorted(not_ready)
    assert ["mini", "yes"] in [[row[0], row[-1]] for row in rows]
    code, out, _ = call(capsys, "doctor")
    assert code == 0
    for key in ("torch ", "cpu threads", "hugging face cache", "backbone inception"):
        assert key in out


def test_no_network_and_no_weights_end_in_one_line(real: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    command = [sys.executable, "-m", "cmmd_toolkit", "compare", str(real), str(real)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert "clip: openai/clip-vit-base-patch32" in finished.stderr
    assert "--weights FOLDER, or use --backbone mini" in finished.stderr


def test_a_damaged_picture_ends_in_one_line_without_a_report(tmp_path: Path, real: Path) -> None:
    weights = shared_path("weights", "inception-fid-768.safetensors")
    (real / "zz.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    target = tmp_path / "report.json"
    options = ("--backbone", "inception", "--dims", 64, "--weights", weights, "--json", target)
    finished = run("compare", real, real, *options)
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert "zz.jpg" in finished.stderr
    assert not target.exists()
    assert run("compare", real, real, *options, "--on-error", "skip").returncode == 0
    assert target.exists()


def test_the_command_line_calls_an_argument_by_its_flag(
    sides: tuple[Path, Path], real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors of the library name its arguments; what is printed names what is typed."""
    features, other = Features(gaussian(30, 5)), Features(gaussian(30, 5, seed=1))
    features.statistics().save(tmp_path / "stats.safetensors")
    for arguments, call_of_the_library, python, typed in (
        (("--batch-size", 0), {"batch_size": 0}, "batch_size: expected a whole number", "--batch-size: expected"),
        (("--dims", 64), {"dims": 64}, "leave out `dims`", "leave out --dims"),
        (
            ("--backbone", "mini", "--metric", "fid"),
            {"backbone": "mini", "metric": "fid"},
            "use `metric='fd'`",
            "use --metric fd",
        ),
    ):
        with pytest.raises(CmmdError) as refused:
            compare(features, other, **call_of_the_library)
        assert python in str(refused.value)
        code, _, err = call(capsys, "compare", *sides, *arguments)
        assert code == 2
        assert typed in err
        assert "`" not in err
    code, out, _ = call(capsys, "compare", tmp_path / "stats.safetensors", sides[1], "--metric", "all")
    assert code == 0
    assert (
        "left out: one side holds mean and covariance only, and it needs every picture's features; use --metric fd"
        in out
    )
    code, out, _ = call(capsys, "plan", *sides)
    assert code == 0
    assert "shares of it mean nothing; give --difference" in out
