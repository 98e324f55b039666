"""--csv, --markdown, --latex and --figure: to files and to stdout, and refused before the work."""

from pathlib import Path

import pytest
from pictures import gaussian

from cmmd_toolkit import Explanation, Features, Plan, Ranking, Report
from cmmd_toolkit.cli import main as cli

KINDS = {"compare": Report, "rank": Ranking, "plan": Plan, "explain": Explanation}


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.safetensors" for name in "xyz"]
    for i, path in enumerate(paths):
        Features(gaussian(30, 3, seed=i, shift=0.5 * i)).save(path)
    return [str(path) for path in paths]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("command", list(KINDS))
def test_every_form_goes_to_its_file_and_one_to_stdout(
    command: str, sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = sets if command in ("compare", "rank") else sets[:2]
    files = {form: tmp_path / f"out.{form}" for form in ("json", "csv", "markdown", "latex")}
    given = [part for form, path in files.items() for part in (f"--{form}", path)]
    assert call(capsys, command, *own, *given, "--figure", tmp_path / "out.svg")[0] == 0
    record = KINDS[command].load(files["json"])
    forms = {"csv": record.to_csv(), "markdown": record.to_markdown(), "latex": record.to_latex()}
    for form, text in forms.items():
        assert files[form].read_text() == text
        code, out, _ = call(capsys, command, *own, f"--{form}", "-")
        assert (code, out) == (0, text)
    assert (tmp_path / "out.svg").read_text() == record.to_svg()
    assert call(capsys, command, *own, "--figure", "-")[1] == record.to_svg()


def test_what_could_not_be_written_is_refused_before_the_work(
    sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both"
    for arguments, words in (
        (("--csv", "-", "--json", "-"), "--json and --csv: both would be written to stdout; name another file"),
        (("--csv", both, "--latex", both), "--csv and --latex: both would be written to"),
        (("--figure", tmp_path / "f.jpg"), "ends in .png, .svg or .pdf"),
        (("--figure", tmp_path / "no" / "f.png"), "create it first"),
        (("--markdown", tmp_path), "is a folder; name a file"),
        (("--latex", ""), "expected the name of a file or folder, got ''"),
    ):
        code, out, err = call(capsys, "compare", tmp_path / "absent", sets[0], *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [Path(name).name for name in sets]


def test_a_file_that_fails_costs_neither_the_others_nor_the_text(
    sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "compare", *sets, "--csv", "/dev/full", "--latex", tmp_path / "t.tex")
    assert code == 2
    assert "Frechet distance" in out
    assert "No space left on device" in err
    assert r"\toprule" in (tmp_path / "t.tex").read_text()
