"""--csv, --markdown, --latex and --figure: to files and to stdout, and refused before the work."""

import csv
import io
from pathlib import Path

import pytest
from pictures import gaussian, write_pictures

from cmmd_toolkit import Explanation, Features, Plan, Ranking, Report
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.report.paper.rows import to_csv

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


@pytest.mark.parametrize("command", list(KINDS))
def test_nothing_is_written_over_a_set(
    command: str, sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(sets[1]).read_bytes()
    (tmp_path / "link").symlink_to(sets[1])
    for place in (sets[1], f"{tmp_path}/../{tmp_path.name}/{Path(sets[1]).name}", tmp_path / "link"):
        code, out, err = call(capsys, command, sets[0], sets[1], "--csv", place)
        assert (code, out) == (2, "")
        assert f"would be written over the set {sets[1]}; name another file" in err
    assert Path(sets[1]).read_bytes() == before


def test_nothing_is_written_into_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path / "real", 3)
    picture = next((tmp_path / "real").iterdir())
    before = picture.read_bytes()
    for flag, place in (("--json", picture), ("--figure", tmp_path / "real" / "scores.png")):
        code, _, err = call(capsys, "compare", tmp_path / "real", tmp_path / "real", flag, place)
        assert code == 2
        assert f"{flag} {place}: lies in the set {tmp_path / 'real'}" in err
    code, _, err = call(capsys, "embed", picture.parent, "--out", picture)
    assert code == 2
    assert picture.read_bytes() == before
    assert list((tmp_path / "real").glob("scores*")) == []


@pytest.mark.parametrize("flag", ["--json", "--figure", "--html"])
def test_one_place_by_two_names_is_one_place(
    flag: str, sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = {"--json": "txt", "--figure": "svg", "--html": "html"}[flag]
    place, again = tmp_path / f"out.{ending}", f"{tmp_path}/../{tmp_path.name}/out.{ending}"
    code, _, err = call(capsys, "compare", *sets, "--csv", place, flag, again)
    assert code == 2
    assert f"--csv and {flag}: both would be written to" in err or f"{flag} and --csv: both" in err
    assert not place.exists()


def test_a_link_is_followed_and_stays(sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert call(capsys, "compare", *sets, "--csv", tmp_path / "link.csv")[0] == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("class,reference,")


def test_a_name_with_a_carriage_return_is_one_cell() -> None:
    text = to_csv(["name", "value"], [{"name": "a\rb", "value": 0.1}, {"name": 'c\n"d', "value": None}])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["name", "value"], ["a\rb", "0.1"], ['c\n"d', ""]]
