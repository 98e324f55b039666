"""Which pictures make a squared MMD: the laws of the witness function, the lists, the sheet and the command."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import gaussian, shared_path, smooth_picture, write_pictures
from PIL import Image

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics, InputError, embed, squared_mmd
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.commands.explain import Explanation, explain
from cmmd_toolkit.common.text import number_text
from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.inference.witness import witness
from cmmd_toolkit.metrics.mmd import Estimator, MmdReference, MmdScore
from cmmd_toolkit.pictures.decode import Picture
from cmmd_toolkit.report import sheet
from cmmd_toolkit.report.section import Entry
from cmmd_toolkit.report.sheet import (
    CELL,
    HEAD,
    MARGIN,
    MOST,
    WIDTH,
    Block,
    Cell,
    block_height,
    cell_corner,
    draw_sheet,
)

Rows = NDArray[np.float64]


def score(x: Rows, y: Rows, bandwidth: float = 2.0, estimator: Estimator = "unbiased") -> MmdScore:
    return MmdReference(x, bandwidth, estimator, 0).score(y)


def kernel(x: Rows, y: Rows, bandwidth: float) -> Rows:
    squared = np.square(x[:, None] - y[None]).sum(axis=2)
    return np.asarray(np.exp(-squared / (2 * bandwidth**2)))


def names(entries: Iterable[Entry]) -> list[str]:
    return [entry.name for entry in entries]


# ---- the mathematics ------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 31), (40, 17)])
def test_the_witness_is_its_formula_and_its_means_differ_by_squared_mmd(n: int, m: int, estimator: Estimator) -> None:
    x, y = gaussian(n, 6, seed=1), gaussian(m, 6, seed=2, shift=0.4)
    found = witness(score(x, y, 2.0, estimator))
    own_x, own_y, cross = kernel(x, x, 2.0), kernel(y, y, 2.0), kernel(x, y, 2.0)
    reference = [np.delete(own_x[i], i).mean() - cross[i].mean() for i in range(n)]
    generated = [cross[:, j].mean() - np.delete(own_y[j], j).mean() for j in range(m)]
    assert np.abs(found.reference - reference).max() < 1e-12
    assert np.abs(found.generated - generated).max() < 1e-12
    unbiased = float(squared_mmd(reference=x, generated=y, bandwidth=2.0))
    assert abs(found.reference.mean() - found.generated.mean() - unbiased) < 1e-12


def test_exchanging_the_sets_turns_the_witness_around() -> None:
    x, y = gaussian(20, 4, seed=1), gaussian(30, 4, seed=2)
    one, other = witness(score(x, y)), witness(score(y, x))
    assert np.allclose(one.generated, -other.reference, rtol=0, atol=1e-12)
    assert np.allclose(one.reference, -other.generated, rtol=0, atol=1e-12)
    assert np.allclose(one.generated_change, other.reference_change, rtol=0, atol=1e-12)


def test_the_change_is_that_of_squared_mmd_without_the_row() -> None:
    x, y = gaussian(9, 4, seed=3), gaussian(12, 4, seed=4, shift=0.5)
    found, whole = witness(score(x, y)), score(x, y).estimate.value
    for i in range(len(x)):
        without = score(np.delete(x, i, axis=0), y).estimate.value
        assert abs(without - whole - found.reference_change[i]) < 1e-12
    for j in range(len(y)):
        without = score(x, np.delete(y, j, axis=0)).estimate.value
        assert abs(without - whole - found.generated_change[j]) < 1e-12


def test_the_witness_is_the_first_order_of_the_change() -> None:
    n = 400
    x, y = gaussian(n, 4, seed=3), gaussian(n, 4, seed=4, shift=0.5)
    found = witness(score(x, y))
    for change, values in ((found.generated_change, found.generated), (found.reference_change, -found.reference)):
        assert np.abs(change - 2 * (values - values.mean()) / n).max() < 10 / n**2


def test_a_set_of_two_has_no_change() -> None:
    found = witness(score(gaussian(2, 3), gaussian(5, 3, seed=1)))
    assert np.isnan(found.reference_change).all()
    assert np.isfinite(found.generated_change).all()
    explanation = explain(Features(gaussian(2, 3)), Features(gaussian(5, 3, seed=1)))
    assert [entry.change for entry in explanation.sections[0].uncovered] == [None, None]
    assert json.loads(explanation.to_json())["sections"][0]["uncovered"][0]["change"] is None


def test_a_lone_stray_is_invisible_and_a_crowd_of_strays_is_not() -> None:
    x, y = gaussian(60, 5, seed=1), gaussian(60, 5, seed=2)
    y[7] += 1000
    assert witness(score(x, y)).generated[7] == 0
    y[[20, 21, 22, 23]] = y[7] + gaussian(4, 5, scale=0.1)
    assert set(np.argsort(witness(score(x, y)).generated)[:5]) == {7, 20, 21, 22, 23}


def test_a_lone_stray_heads_the_strays() -> None:
    x, y = gaussian(60, 5, seed=1), gaussian(60, 5, seed=2)
    x[:, 0], y[:, 0] = np.abs(x[:, 0]) + 2, np.abs(y[:, 0]) + 2
    y[7] *= -1
    section = explain(Features(x), Features(y), top=60).sections[0]
    assert section.strays[0].row == 7
    distances = [entry.distance for entry in section.strays]
    assert distances == sorted(distances, reverse=True)
    assert sorted(entry.row for entry in section.strays) == list(range(60))
    assert section.alien[0].row != 7


# ---- the lists ------------------------------------------------------------------------------------


def checks(seed: int) -> Image.Image:
    """A checkerboard, a little noisy: nothing like the smooth pictures."""
    board = np.kron(np.indices((10, 12)).sum(axis=0) % 2, np.ones((4, 4))) * 255
    noise = np.random.default_rng(seed).integers(-9, 10, (40, 48, 1))
    return Image.fromarray(np.repeat(board[..., None] + noise, 3, axis=2).clip(0, 255).astype(np.uint8))


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, Path]:
    """24 smooth pictures per side; four checkerboards more on the generated side."""
    real, fake = write_pictures(tmp_path / "plain", 24), write_pictures(tmp_path / "odd", 24, first_seed=50)
    for i in range(4):
        checks(i).save(fake / f"check{i}.png")
    return real, fake


def test_planted_pictures_come_first_on_either_side(planted: tuple[Path, Path]) -> None:
    checkerboards = {f"check{i}.png" for i in range(4)}
    section = explain(*planted, backbone="mini", top=4).sections[0]
    assert set(names(section.alien)) == checkerboards
    assert [entry.witness for entry in section.alien] == sorted(entry.witness for entry in section.alien)
    assert all(entry.change is not None and entry.change < 0 for entry in section.alien)
    turned = explain(*reversed(planted), backbone="mini", top=4).sections[0]
    assert set(names(turned.uncovered)) == checkerboards
    assert [-entry.witness for entry in turned.uncovered] == sorted(-entry.witness for entry in turned.uncovered)


def test_the_nearest_picture_is_the_one_with_the_closest_features() -> None:
    x, y = Features(gaussian(30, 4, seed=1)), Features(gaussian(25, 4, seed=2, shift=0.5))
    section = explain(x, y, top=6).sections[0]
    unit_x, unit_y = (rows.values / np.linalg.norm(rows.values, axis=1, keepdims=True) for rows in (x, y))
    distances = np.linalg.norm(unit_x[:, None] - unit_y[None], axis=2)
    for entry in section.alien:
        assert entry.nearest == f"row {distances[:, entry.row].argmin()}"
        assert abs(entry.distance - distances[:, entry.row].min()) < 1e-6
    for entry in section.uncovered:
        assert entry.nearest == f"row {distances[entry.row].argmin()}"


def test_lists_do_not_depend_on_blocks_and_copies_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(50, 8, seed=1), gaussian(60, 8, seed=2, shift=0.3)
    y[[5, 17, 33, 48]] = y[59]
    sections = []
    for block in (1024, 1, 7, 16):
        monkeypatch.setattr(blocks, "BLOCK", block)
        sections.append(explain(Features(x), Features(y), top=60).sections[0])
    copies = [entry.row for entry in sections[0].alien if entry.row in (5, 17, 33, 48, 59)]
    assert copies == [5, 17, 33, 48, 59]
    for other in sections[1:]:
        assert names(other.alien) == names(sections[0].alien)
        assert names(other.uncovered) == names(sections[0].uncovered)
        assert np.allclose(other.witness.generated, sections[0].witness.generated, rtol=0, atol=1e-12)


def test_every_kind_of_set_names_its_pictures(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "set" / "inner", 12).parent
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((folder / "inner").iterdir()):
            archive.write(path, f"inner/{path.name}")
    np.savez(tmp_path / "set.npz", np.stack([np.asarray(smooth_picture(i)) for i in range(12)]))
    fake = write_pictures(tmp_path / "fake", 8, first_seed=90)
    section = explain(folder, fake, backbone="mini", top=12).sections[0]
    rows = [entry.row for entry in section.uncovered]
    assert names(section.uncovered) == [f"inner/{row:03d}.png" for row in rows]
    zipped = explain(tmp_path / "set.zip", fake, backbone="mini", top=12).sections[0]
    assert names(zipped.uncovered) == names(section.uncovered)
    array = explain(tmp_path / "set.npz", fake, backbone="mini", top=12).sections[0]
    assert names(array.uncovered) == [f"{row:02d}" for row in rows]
    assert sorted(rows) == list(range(12))


def test_stored_features_keep_their_names_or_count_rows(tmp_path: Path) -> None:
    labels = tuple(f"{i}.png" for i in range(30))
    x, y = gaussian(30, 4, seed=1), gaussian(40, 4, seed=2)
    Features(x, names=labels).save(tmp_path / "x.safetensors")
    explanation = explain(tmp_path / "x.safetensors", Features(y), top=3)
    section = explanation.sections[0]
    assert names(section.uncovered) == [f"{entry.row}.png" for entry in section.uncovered]
    assert names(section.alien) == [f"row {entry.row}" for entry in section.alien]
    assert not any("subset" in warning for warning in explanation.warnings)
    drawn = explain(tmp_path / "x.safetensors", Features(y), top=3, max_images=25)
    assert sum("row in the subset" in warning for warning in drawn.warnings) == 1


def test_the_recipe_sets_the_ruler_but_the_numbers_stay_unbiased_and_unscaled() -> None:
    x, y = gaussian(30, 4, seed=1), gaussian(30, 4, seed=2)
    google = explain(Features(x), Features(y), recipe="google-cmmd").sections[0]
    assert google.squared_mmd.parameters["bandwidth"] == 10
    assert google.squared_mmd.parameters["estimator"] == "unbiased"
    assert explain(Features(x), Features(y), bandwidth=0.5).sections[0].squared_mmd.parameters["bandwidth"] == 0.5


def test_sets_that_cannot_be_told_apart_are_called_so() -> None:
    x, y = gaussian(200, 4, seed=1), gaussian(200, 4, seed=2)
    same = explain(Features(x), Features(y))
    assert any("cannot be told apart" in warning for warning in same.warnings)
    assert not any("told apart" in warning for warning in explain(Features(x), Features(y + 1)).warnings)
    few = explain(Features(x[:10]), Features(y[:10]))
    assert any("10 pictures are too few" in warning for warning in few.warnings)


def test_the_json_form_is_fixed_and_written_as_it_is(planted: tuple[Path, Path], tmp_path: Path) -> None:
    explanation = explain(*planted, backbone="mini", top=3, command="cmmd explain")
    explanation.save(tmp_path / "lists.json")
    document = json.loads((tmp_path / "lists.json").read_text())
    assert document == json.loads(explanation.to_json()) == json.loads(json.dumps(explanation.to_dict()))
    assert set(document) == {
        *("kind", "schema_version", "reference", "generated", "sections", "warnings", "sets", "provenance"),
    }
    (section,) = document["sections"]
    assert document["schema_version"] == 1
    assert set(section) == {"backbone", "squared_mmd", "alien", "uncovered", "strays"}
    assert set(section["alien"][0]) == {"name", "row", "witness", "change", "nearest", "distance"}
    assert (len(section["alien"]), len(section["uncovered"])) == (3, 3)
    assert section["squared_mmd"]["n_generated"] == 28
    assert document["provenance"]["command"] == "cmmd explain"
    assert [own["n"] for own in document["sets"]] == [24, 28]


def test_the_text_has_every_listed_picture_and_the_distance(planted: tuple[Path, Path]) -> None:
    explanation = explain(*planted, backbone="mini", top=30)
    lines = str(explanation).splitlines()
    found = explanation.sections[0].squared_mmd
    assert lines[2].startswith(f"Backbone: mini   squared MMD {number_text(found.value, found.standard_error)} (95 %")
    first = explanation.sections[0].alien[0]
    assert lines[6].split() == [
        *(
            "1",
            first.name,
            f"{first.witness:+.4f}",
            number_text(first.change, significant=2, sign="+"),
            first.nearest,
            number_text(first.distance, significant=3),
        ),
    ]
    assert sum(line.lstrip()[:2].strip().isdecimal() for line in lines) == 28 + 24 + 28
    assert lines[-1].startswith("warning: mini:")


# ---- the sheet ------------------------------------------------------------------------------------


def expected_size(*counts: int) -> tuple[int, int]:
    return WIDTH, 2 * MARGIN + sum(block_height(count) for count in counts)


def check_cells(page: Image.Image, top: int, pictures: Sequence[Image.Image]) -> None:
    """Pictures as wide as a cell stand in the middle of theirs, pixel for pixel."""
    for number, picture in enumerate(pictures):
        x, y = cell_corner(top, number)
        y += (CELL - picture.height) // 2
        shown = page.crop((x, y, x + picture.width, y + picture.height))
        assert np.array_equal(np.asarray(shown), np.asarray(picture.convert("RGB"))), number


def wide_pictures(folder: Path, count: int, first_seed: int = 0) -> Path:
    folder.mkdir()
    for i in range(count):
        smooth_picture(first_seed + i, (CELL, 120)).save(folder / f"{i:03d}.png")
    return folder


def check_sheet(explanation: Explanation, path: Path, sides: tuple[Path, Path]) -> None:
    explanation.save_sheet(path)
    sections = explanation.sections
    with Image.open(path) as page:
        counts = [len(own) for section in sections for own in (section.alien, section.uncovered, section.strays)]
        assert (page.format, page.mode, page.size) == ("PNG", "RGB", expected_size(*counts))
        top = MARGIN
        for section in sections:
            for entries, folder in zip(
                (section.alien, section.uncovered, section.strays), (sides[1], sides[0], sides[1]), strict=True
            ):
                check_cells(page, top, [Image.open(folder / entry.name) for entry in entries])
                assert np.asarray(page.crop((0, top, WIDTH, top + HEAD))).min() < 100  # a title
                top += block_height(len(entries))


def test_the_sheet_shows_the_listed_pictures_in_their_cells(clip_folder: Path, tmp_path: Path) -> None:
    sides = wide_pictures(tmp_path / "real", 12), wide_pictures(tmp_path / "fake", 9, 40)
    explanation = explain(*sides, backbone=["mini", "clip"], weights={"clip": clip_folder}, top=10)
    assert [section.backbone for section in explanation.sections] == ["mini", "clip"]
    assert [len(explanation.sections[0].uncovered), len(explanation.sections[0].alien)] == [10, 9]
    check_sheet(explanation, tmp_path / "sheet.png", sides)


def test_the_sheet_reads_archives_and_leaves_out_what_was_skipped(tmp_path: Path) -> None:
    real, fake = wide_pictures(tmp_path / "real", 6), wide_pictures(tmp_path / "fake", 6, 40)
    (real / "001.png").write_bytes(b"no picture")
    with zipfile.ZipFile(tmp_path / "fake.zip", "w") as archive:
        for path in fake.iterdir():
            archive.write(path, path.name)
    explanation = explain(real, tmp_path / "fake.zip", backbone="mini", on_error="skip")
    assert "001.png" not in names(explanation.sections[0].uncovered)
    check_sheet(explanation, tmp_path / "sheet.png", (real, fake))


def test_a_set_without_pictures_leaves_its_reason_on_the_sheet(tmp_path: Path) -> None:
    real, fake = wide_pictures(tmp_path / "real", 6), wide_pictures(tmp_path / "fake", 6, 40)
    stream = (Image.open(path) for path in sorted(real.iterdir()))
    explanation = explain(stream, fake, backbone="mini")
    explanation.save_sheet(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.size == expected_size(6, 0, 6)
    blocks = sheet.explanation_blocks(explanation)
    assert blocks[1].note.startswith("Not shown: a stream of pictures cannot be read twice")
    stored = explain(Features(gaussian(9, 4)), Features(gaussian(9, 4, seed=1)))
    with pytest.raises(InputError, match="not written: stored features hold no pictures; give the folder"):
        stored.save_sheet(tmp_path / "none.png")
    with pytest.raises(ArgumentError, match=r"sheet.jpg: expected a name that ends in .png"):
        explanation.save_sheet(tmp_path / "sheet.jpg")
    assert not list(tmp_path.glob("none*"))


def test_a_picture_that_has_gone_stops_the_sheet(tmp_path: Path) -> None:
    real, fake = wide_pictures(tmp_path / "real", 3), wide_pictures(tmp_path / "fake", 3, 40)
    explanation = explain(real, fake, backbone="mini")
    (fake / "001.png").unlink()
    with pytest.raises(InputError, match="001.png: cannot be read"):
        explanation.save_sheet(tmp_path / "sheet.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake", "real"]


def test_pictures_of_any_shape_and_names_of_any_kind_fit_their_cells() -> None:
    sizes = [(1, 3000), (3000, 1), (1, 1), (640, 480)]
    pictures = [np.full((height, width, 3), 90, np.uint8) for width, height in sizes]
    odd = ["plain.png", "a\nb\x1b[31m.png", "\udcff.png", "folder/" * 40 + "end.png"]
    cells = [
        Cell(lambda pixels=pixels: Picture(pixels, "array"), name, "f = 0")  # type: ignore[misc]
        for pixels, name in zip(pictures, odd, strict=True)
    ]
    page = draw_sheet([Block("T" * 500, "N" * 500, cells)])
    assert page.size == expected_size(4)
    pixels = np.asarray(page)
    assert pixels[:, -MARGIN:].min() == 255
    assert pixels[:, : MARGIN - 1].min() == 255
    assert sheet.printable("a\nb\x1b\udcff é") == r"a\nb\x1b\udcff é"
    for number in range(4):
        x, y = cell_corner(MARGIN, number)
        assert (pixels[y + (CELL - 1) // 2, x] == 90).all()
        assert pixels[y : y + CELL + 40, x + CELL + 2 : x + CELL + sheet.GAP - 2].min() == 255  # nothing runs over


def test_a_block_of_very_many_pictures_is_cut_and_says_so() -> None:
    read: list[int] = []

    def load() -> Picture:
        read.append(1)
        return Picture(np.zeros((2, 2, 3), np.uint8), "array")

    page = draw_sheet([Block("Title", "", [Cell(load, "x", "y")] * (MOST + 5))])
    assert page.size == expected_size(MOST)
    assert len(read) == MOST


# ---- errors and the command -----------------------------------------------------------------------


def test_every_wrong_argument_is_named(real: Path, fake: Path) -> None:
    statistics = GaussianStatistics(np.zeros(4), np.eye(4))
    features = Features(gaussian(9, 4))
    with pytest.raises(ArgumentError, match="top: expected a whole number of at least 1, got 0"):
        explain(real, fake, backbone="mini", top=0)
    with pytest.raises(ArgumentError, match="generated: expected one set, got 2; .contrast. takes two"):
        explain(real, [fake, fake], backbone="mini")
    with pytest.raises(ArgumentError, match="recipe: expected one that defines an MMD, got pytorch-fid"):
        explain(real, fake, recipe="pytorch-fid")
    with pytest.raises(
        InputError, match="holds mean and covariance only, and an explanation needs every picture's features"
    ):
        explain(features, statistics)
    with pytest.raises(ArgumentError, match="bandwidth: expected a number > 0"):
        explain(features, features, bandwidth="wide")  # type: ignore[arg-type]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["explain", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_the_command_prints_lists_and_writes_only_what_is_asked_for(
    real: Path, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "real", "fake", "--backbone", "mini", "--top", 2)
    assert code == 0, err
    assert out.startswith("Reference: real   Generated: fake\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake", "real"]
    code, out, err = call(
        capsys, "real", "fake", "--backbone", "mini", "--bandwidth", "0.7", "--sheet", "s.png", "--json", "-"
    )
    assert code == 0, err
    assert json.loads(out)["sections"][0]["squared_mmd"]["parameters"]["bandwidth"] == 0.7
    with Image.open("s.png") as page:
        assert page.size == expected_size(6, 8, 6)


def test_every_mistake_is_one_line_and_code_2(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = tmp_path / "x.safetensors"
    Features(gaussian(20, 3)).save(stored)
    mini = ("--backbone", "mini")
    for arguments, words in (
        ((real,), "Missing argument 'GENERATED...'"),
        ((real, real, real, real), "expected one or two generated sets, got 3"),
        ((real, tmp_path / "absent", *mini), "absent: no such file or folder"),
        ((real, real, *mini, "--top", 0), "0 is not in the range"),
        ((real, real, *mini, "--sheet", "sheet.jpg"), "sheet.jpg: expected a name that ends in .png"),
        ((real, real, *mini, "--sheet", tmp_path / "no" / "x.png"), "does not exist; create it first"),
        ((real, real, *mini, "--json", tmp_path / "no" / "x.json"), "does not exist; create it first"),
        ((real, real, *mini, "--bandwidth", "-1"), "bandwidth: expected a finite number > 0"),
        ((real, real, *mini, "--weights", "a", "--weights", "b"), "write --weights NAME=..."),
        ((stored, stored, "--sheet", tmp_path / "x.png"), "x.png: not written: stored features hold no pictures"),
    ):
        code, _, err = call(capsys, *arguments)
        assert code == 2, arguments
        assert words in err, arguments
        assert err.count("\n") == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real", "x.safetensors"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cmmd_toolkit.cli.explain import explain\n"
        "try: explain(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'rich', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "--sheet" in finished.stdout


def test_untrained_pictures_among_trained_ones_are_strays_when_few_and_alien_when_many(tmp_path: Path) -> None:
    """Pictures of a real generator's untrained snapshot, hidden among 100 of its last."""

    def embedded(name: str, *parts: str) -> Features:
        (tmp_path / name).mkdir()
        for path in sorted(shared_path("data", *parts).iterdir())[:100]:
            (tmp_path / name / path.name).symlink_to(path)
        return embed(tmp_path / name, backbone="mini")

    real, good = embedded("real", "landscapes"), embedded("good", "stylegan2_landscapes", "snapshot-68")
    noise = embedded("noise", "stylegan2_landscapes", "snapshot-00")
    for count in (8, 40):
        mixed = Features(np.concatenate([good.values, noise.values[:count]]))
        section = explain(real, mixed, top=8).sections[0]
        assert all(entry.row >= 100 for entry in section.strays[:4])
        assert all((entry.row >= 100) == (count == 40) for entry in section.alien)
