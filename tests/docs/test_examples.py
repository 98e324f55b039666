"""The programs of examples/ do what their first lines say."""

import json
from pathlib import Path

import pytest
from pictures import write_pictures
from PIL import Image, ImageEnhance

from examples import run_example


def code_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        run_example("python", *map(str, arguments))
    return int(stopped.value.code or 0)


def darker(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        ImageEnhance.Brightness(Image.open(path)).enhance(0.4).save(target / path.name)
    return target


def test_the_gate_fails_for_worse_pictures_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, good = (write_pictures(tmp_path / name, 24, first_seed=seed) for name, seed in (("real", 0), ("good", 50)))
    bad = darker(good, tmp_path / "bad")
    assert code_of("examples/ci_gate.py", real, good, bad) == 1
    assert "FAIL: the candidate is farther" in capsys.readouterr().out
    assert code_of("examples/ci_gate.py", real, bad, good) == 0
    assert code_of("examples/ci_gate.py", real, good, good, "--paired") == 0
    assert code_of("examples/ci_gate.py", tmp_path / "absent", good, bad) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_the_training_loop_trains_scores_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures, best = write_pictures(tmp_path / "pictures", 96), tmp_path / "best.safetensors"
    options = ["--steps", "6", "--eval-every", "3", "--samples", "20", "--out", best]
    assert code_of("examples/training_loop.py", pictures, *options) == 0
    printed = capsys.readouterr().out
    assert printed.count("squared MMD") == 2
    assert "the best, step " in printed
    assert best.is_file()


def test_the_training_loop_says_what_a_test_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("examples/training_loop.py", write_pictures(tmp_path / "pictures", 40)) == 2
    assert "80 pictures" in capsys.readouterr().err


def test_the_table_of_a_paper_can_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, good = (write_pictures(tmp_path / name, 24, first_seed=seed) for name, seed in (("real", 0), ("good", 50)))
    bad = darker(good, tmp_path / "bad")
    assert code_of("examples/paper_table.py", real, good, bad, "--backbone", "mini", "--out", tmp_path / "out") == 0
    assert "On mini: good is closer than bad" in capsys.readouterr().out
    assert r"\textbf" in (tmp_path / "out" / "scores.tex").read_text()  # the better one, by a test
    assert (tmp_path / "out" / "scores.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["kind"] == "report"
