"""The difference of two generated sets: every number by removing the picture and computing anew; files and errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, write_pictures
from PIL import Image

from cmmd_toolkit import ArgumentError, Contrast, Features, InputError, contrast, explain, relative_test, squared_mmd
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.report.sheet import contrast_blocks

X, Y, Z = gaussian(40, 3, seed=0), gaussian(30, 3, seed=1, shift=0.8), gaussian(35, 3, seed=2, shift=-0.4)
WIDTH = 1.5


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def difference(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    values = [float(squared_mmd(reference=unit(x), generated=unit(own), bandwidth=WIDTH)) for own in (y, z)]
    return values[0] - values[1]


def test_every_change_is_that_of_the_difference_without_the_picture() -> None:
    (section,) = contrast(X, Y, Z, bandwidth=WIDTH, top=6).sections
    whole = difference(X, Y, Z)
    assert section.difference == pytest.approx(whole, rel=1e-6)
    assert section.first.value - section.second.value == section.difference
    for entries, without in (
        (section.first_worst, lambda row: difference(X, np.delete(Y, row, 0), Z)),
        (section.second_worst, lambda row: difference(X, Y, np.delete(Z, row, 0))),
        (section.nearer_to_first, lambda row: difference(np.delete(X, row, 0), Y, Z)),
        (section.nearer_to_second, lambda row: difference(np.delete(X, row, 0), Y, Z)),
    ):
        assert len(entries) == 6
        for entry in entries:
            assert entry.change == pytest.approx(without(entry.row) - whole, rel=1e-4, abs=1e-7)


def test_the_lists_hold_the_extremes_in_order() -> None:
    (section,) = contrast(X, Y, Z, bandwidth=WIDTH, top=6).sections
    kernel = np.exp(-np.square(unit(X)[:, None] - np.concatenate([unit(Y), unit(Z)])).sum(axis=2) / (2 * WIDTH**2))
    nearer = kernel[:, :30].mean(axis=1) - kernel[:, 30:].mean(axis=1)
    assert [own.row for own in section.nearer_to_first] == np.argsort(-nearer)[:6].tolist()
    assert [own.row for own in section.nearer_to_second] == np.argsort(nearer)[:6].tolist()
    np.testing.assert_allclose([own.witness for own in section.nearer_to_first], np.sort(nearer)[::-1][:6], rtol=1e-4)
    changes = [difference(X, np.delete(Y, row, 0), Z) for row in range(30)]
    assert [own.row for own in section.first_worst] == np.argsort(changes)[:6].tolist()
    changes = [difference(X, Y, np.delete(Z, row, 0)) for row in range(35)]
    assert [own.row for own in section.second_worst] == np.argsort(changes)[::-1][:6].tolist()
    for entry in section.nearer_to_first:
        distances = np.linalg.norm(unit(Y) - unit(X)[entry.row], axis=1)
        assert (entry.nearest, entry.distance) == (
            f"row {distances.argmin()}",
            pytest.approx(distances.min(), rel=1e-6),
        )


def test_the_test_is_the_relative_test_and_the_other_way_round_is_the_negative() -> None:
    (section,) = contrast(X, Y, Z, bandwidth=WIDTH).sections
    test = relative_test(reference=unit(X), first=unit(Y), second=unit(Z), bandwidth=WIDTH)
    assert section.p_value == pytest.approx(test.p_value, rel=1e-6)
    assert section.interval == pytest.approx(test.interval, rel=1e-5)
    (other,) = contrast(X, Z, Y, bandwidth=WIDTH).sections
    assert other.difference == pytest.approx(-section.difference, rel=1e-9)
    assert [own.row for own in other.second_worst] == [own.row for own in section.first_worst]
    assert [own.row for own in other.nearer_to_second] == [own.row for own in section.nearer_to_first]


def test_it_is_saved_read_and_printed(tmp_path: Path) -> None:
    found = contrast(X, Y, Z, bandwidth=WIDTH, top=3)
    found.save(tmp_path / "c.json")
    again = Contrast.load(tmp_path / "c.json")
    assert again == found
    assert len(found.to_csv().splitlines()) == 1 + 4 * 3
    assert "keeps the second away" in found.to_csv()
    lists = {cells[0].text for cells in found.paper_tables()[0].rows}
    assert len(lists) == 4
    assert all("_" not in words for words in lists)
    assert r"\toprule" in found.to_latex()
    found.plot(tmp_path / "c.png")
    with pytest.raises(InputError, match="a saved explanation holds no pictures"):
        again.save_sheet(tmp_path / "sheet.png")


def test_sets_that_cannot_be_told_apart_say_so() -> None:
    found = contrast(X, gaussian(30, 3, seed=5), gaussian(30, 3, seed=6))
    assert any("interval of the difference includes zero" in text for text in found.warnings)
    few = contrast(X, Y[:3], Z)
    if few.sections[0].interval is None:
        assert any("no test of the difference" in text for text in few.warnings)


def test_the_command_takes_two_sets_and_draws_them(tmp_path: Path) -> None:
    for seed, name in enumerate(("real", "a", "b")):
        write_pictures(tmp_path / name, 7, first_seed=50 * seed)
    command = [sys.executable, "-m", "cmmd_toolkit", "explain", "real", "a", "b", "--backbone", "mini", "--top", "3"]
    more = ["--sheet", "sheet.png", "--json", "c.json", "--csv", "c.csv"]
    done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in (
        "Pictures that keep a away from real",
        "Pictures that keep b away from real",
        "Pictures of real that a covers more than b",
    ):
        assert words in " ".join(done.stdout.split())
    document = json.loads((tmp_path / "c.json").read_text())
    assert (document["kind"], document["first"], document["second"]) == ("contrast", "a", "b")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000
    page = subprocess.run([*command, "--html", "c.html"], cwd=tmp_path, capture_output=True, text=True)
    assert (page.returncode, "The pictures behind the difference" in (tmp_path / "c.html").read_text()) == (0, True)


def test_the_sheet_says_the_difference_once_and_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("real", "a", "b")):
        write_pictures(tmp_path / name, 4, first_seed=50 * seed)
    notes = [
        block.note for block in contrast_blocks(contrast(*(tmp_path / n for n in ("real", "a", "b")), backbone="mini"))
    ]
    assert [note.count("difference") for note in notes] == [1, 0, 0, 0]
    for name, rows in (("x", X), ("y", Y)):
        Features(rows, {"source": name}).save(tmp_path / f"{name}.safetensors")
    sheet = tmp_path / "sheet.png"
    stored = [str(tmp_path / name) for name in ("x.safetensors", "y.safetensors")]
    with pytest.raises(SystemExit) as stop:
        cli.main(["explain", *stored, "--sheet", str(sheet)])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, sheet.exists()) == (2, "", False)
    assert "stored features hold no pictures; give the folders" in err


def test_what_has_no_difference_is_refused() -> None:
    with pytest.raises(ArgumentError, match="median-pooled gives each set a different kernel"):
        contrast(X, Y, Z, bandwidth="median-pooled")
    with pytest.raises(ArgumentError, match="expected one set, got 2; `contrast` takes two"):
        explain(X, [Y, Z])
    with pytest.raises(ArgumentError, match="recipe: expected one that defines an MMD"):
        contrast(X, Y, Z, recipe="clean-fid")
    with pytest.raises(ArgumentError, match="top: expected a whole number of at least 1"):
        contrast(X, Y, Z, top=0)
