"""Classes by the `dataset.json` that the dataset tools of StyleGAN, EDM and REPA write beside shards of pictures."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pictures import write_pictures

from dit_generators import TrainOptions, make_run
from dit_generators.data.pictures import load_pictures
from dit_generators.data.reading import Reading
from dit_generators.errors import DataError

EDGE = 16
NUMBERS = {"00000/000.png": 10, "00000/001.png": 9, "00000/002.png": 10, "00001/000.png": 2, "00001/001.png": 9}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for shard, count in (("00000", 3), ("00001", 3)):
        write_pictures(tmp_path / "set" / shard, count)
    return with_labels(tmp_path / "set", [[name, number] for name, number in NUMBERS.items()])


def with_labels(folder: Path, labels: Any) -> Path:
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize("pack", [lambda folder: folder, zipped], ids=["folder", "zip"])
def test_its_numbers_are_the_classes_and_not_the_folders_of_its_tool(shards: Path, pack: Any, memory: Any) -> None:
    source = pack(shards)
    reading = Reading(memory=memory, folder=shards.parent / "known")
    found = load_pictures(source, EDGE, conditional=True, reading=reading)
    assert found.classes == ("2", "9", "10")
    assert {name: int(found.classes[label]) for name, label in zip(found.files, found.labels, strict=True)} == NUMBERS
    assert found.skipped == (f"{source}: 00001/002.png is not in dataset.json",)
    assert len(load_pictures(source, EDGE, reading=reading)) == 6  # without classes nothing is left out


def test_a_folder_in_a_zip_has_its_own(shards: Path) -> None:
    (shards.parent / "all" / "inner").parent.mkdir()
    shutil.copytree(shards, shards.parent / "all" / "inner")
    found = load_pictures(f"{zipped(shards.parent / 'all')}:inner", EDGE, conditional=True)
    assert found.classes == ("2", "9", "10")


@pytest.mark.parametrize("pack", [lambda folder: folder, zipped], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r"dataset\.json: names no classes; expected"),
        ([1, 2], r"dataset\.json: names no classes; expected"),
        ([["00000/000.png", 0.5]], r"dataset\.json: 00000/000\.png: expected a class as a whole number of 0 or"),
        ([["00000/000.png", [0, 1]]], r"dataset\.json: 00000/000\.png: expected a class as a whole number"),
        ([["elsewhere.png", 1]], r"dataset\.json gives 0 of 6 pictures a class, 0 in all, and `conditional` needs two"),
    ],
)  # fmt: skip
def test_one_that_names_no_classes_is_refused_with_its_name(shards: Path, pack: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_pictures(pack(with_labels(shards, labels)), EDGE, conditional=True)


def test_a_run_learns_its_classes(shards: Path) -> None:
    shape = {"image_size": EDGE, "hidden_size": 16, "depth": 1, "num_heads": 2, "device": "cpu", "batch_size": 2}
    run = make_run(shards, shards.parent / "run", TrainOptions.preset("small", conditional=True, steps=1, **shape))
    assert run.state.model.config.num_classes == 3
    assert run.folder.settings["classes"] == ["2", "9", "10"]
