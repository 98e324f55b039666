"""Modes of `explain` in every form: text, JSON, sheet, page, command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian
from PIL import Image

from cmmd_toolkit import ArgumentError, Explanation, Features, explain
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.report.sheet import explanation_blocks


def kinds(n: int, seed: int, weights: tuple[float, ...]) -> Features:
    random = np.random.default_rng(seed)
    chosen = random.choice(4, n, p=np.array(weights) / sum(weights))
    rows = 5 * np.eye(4, 10)[chosen] + 0.6 * random.standard_normal((n, 10))
    return Features(
        rows.astype(np.float32), {"source": f"set{seed}"}, tuple(f"{c}-{i}.png" for i, c in enumerate(chosen))
    )


def test_the_missing_kind_is_named_with_its_pictures(tmp_path: Path) -> None:
    found = explain(kinds(300, 1, (1, 1, 1, 1)), kinds(300, 2, (0, 1, 1, 1)), modes=2, top=2)
    modes = found.sections[0].modes
    assert modes is not None
    first = modes.kinds[0]
    assert first.reading == "under-represented"
    assert first.share_generated == 0.0
    assert {own.name[0] for own in first.typical} == {"0"}
    assert modes.found[0] + modes.counted[0] == 300
    text = str(found)
    assert "Modes: kinds of pictures, found on" in text
    assert "under-represented" in text
    assert "at 95 % for all modes of a backbone together" in text
    found.save(tmp_path / "e.json")
    loaded = Explanation.load(tmp_path / "e.json")
    assert loaded == found
    assert loaded.sections[0].modes == modes
    found.save_html(tmp_path / "e.html")
    assert "Shares of the kinds" in (tmp_path / "e.html").read_text()


def test_small_sets_have_none_and_say_so_where_they_were_asked_for() -> None:
    small = [Features(gaussian(60, 5, seed=k)) for k in (1, 2)]
    silent, asked = explain(*small), explain(*small, modes=3)
    assert silent.sections[0].modes is None
    assert "modes" not in silent.to_dict()["sections"][0]
    assert not any("modes" in text for text in silent.warnings)
    assert any("no modes: 60 pictures are too few" in text for text in asked.warnings)
    none = explain(kinds(150, 1, (1, 1, 1, 1)), kinds(150, 2, (1, 1, 1, 1)), modes=0)
    assert none.sections[0].modes is None
    for bad in (-1, 51, 1.5, "two"):
        with pytest.raises(ArgumentError, match="modes: expected a whole number"):
            explain(*small, modes=bad)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Dark pictures beside bright ones; the second set has hardly any dark ones."""
    made = []
    for name, dark in (("real", 50), ("fake", 6)):
        folder = tmp_path_factory.mktemp(name)
        random = np.random.default_rng(dark)
        for i in range(110):
            level = 40 if i < dark else 200
            pixels = np.clip(level + 25 * random.standard_normal((16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{'dark' if i < dark else 'bright'}{i:03}.png")
        made.append(folder)
    return made[0], made[1]


def test_the_sheet_and_the_page_show_a_row_for_each_mode(folders: tuple[Path, Path], tmp_path: Path) -> None:
    found = explain(*folders, backbone="mini", top=3, modes=2, exhibit=True)
    blocks = explanation_blocks(found)
    assert len(blocks) == 5
    modes = found.sections[0].modes
    assert modes is not None
    for block, mode in zip(blocks[3:], modes.kinds, strict=True):
        assert [cell.name for cell in block.cells] == [own.name for own in mode.typical]
        assert mode.reading in block.title
    assert {own.name[:4] for own in modes.kinds[0].typical} == (
        {"dark"} if not modes.kinds[0].shows_generated else {"brig"}
    )
    found.save_sheet(tmp_path / "s.png")
    found.save_html(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "Kinds of pictures whose shares differ" in page
    assert "mini: mode 1, " in page


def test_the_command_takes_modes(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(folder) for folder in folders]

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["explain", *names, *arguments, "--backbone", "mini", "--top", "2"])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    code, text = call("--modes", "3", "--json", str(tmp_path / "e.json"))
    assert code == 0
    assert "Modes: kinds of pictures" in text
    assert len(json.loads((tmp_path / "e.json").read_text())["sections"][0]["modes"]["kinds"]) == 3
    assert "Modes:" not in call("--modes", "0")[1]
    code, text = call(names[1], "--modes", "3")
    assert code == 2
    assert "--modes: are of one generated set; leave it out, or explain each set by itself" in text
