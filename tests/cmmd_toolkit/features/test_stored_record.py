"""Stored features are checked like their pictures; what cannot be checked, and what is out of date, is said."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, smooth_picture, write_pictures
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from cmmd_toolkit import Features, GaussianStatistics, InputError, compare, embed, explain, plan, rank
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.features.stored_file import load_stored

MINI = {"backbone": "mini", "workers": 1}


def _formats(fake: Path) -> None:
    for path in list(fake.glob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()


def _resolution(fake: Path) -> None:
    for path in fake.glob("*.png"):
        Image.open(path).resize((24, 20)).save(path)


def _mixed(fake: Path) -> None:
    smooth_picture(7, (20, 30)).save(fake / "small.png")


def _converted(fake: Path) -> None:
    Image.new("RGBA", (48, 40), (9, 80, 3, 90)).save(fake / "alpha.png")
    Image.open(fake / "001.png").convert("L").save(fake / "grey.png")


def _shared(fake: Path) -> None:
    for name in ("002.png", "003.png"):
        shutil.copy(fake.parent / "real" / name, fake / f"copy_{name}")


def _repeated(fake: Path) -> None:
    shutil.copy(fake / "000.png", fake / "again.png")


def _broken(fake: Path) -> None:
    (fake / "zz.png").write_text("no picture")


TROUBLES: tuple[tuple[Callable[[Path], None], str], ...] = (
    (_formats, "JPEG against lossless"),
    (_resolution, "different resolutions"),
    (_mixed, "mixed resolutions"),
    (_converted, "converted: alpha placed over white"),
    (_shared, "exact duplicates: 2 of 10"),
    (_repeated, "repeated features"),
    (_broken, "1 unusable picture skipped"),
)


def stored(folder: Path, **options: object) -> Path:
    """The features of a folder in a file of the folder's name."""
    path = folder.parent / "stored" / f"{folder.name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    embed(folder, on_error="skip", **MINI, **options).save(path)
    return path


def said(found: object) -> list[str]:
    return [text.replace(".safetensors", "") for text in found.warnings]


@pytest.mark.parametrize(("spoil", "expected"), TROUBLES, ids=lambda item: getattr(item, "__name__", ""))
def test_stored_features_are_warned_of_in_the_words_for_folders(
    spoil: Callable[[Path], None], expected: str, tmp_path: Path
) -> None:
    real = write_pictures(tmp_path / "real", 8)
    fake = write_pictures(tmp_path / "fake", 8, first_seed=100)
    spoil(fake)
    skip = {"metric": "mmd", "on_error": "skip", **MINI}
    for sides in ((real, fake), (fake, real)):
        whole = said(compare(*sides, **skip))
        assert any(expected.split(":")[0] in text for text in whole)
        if sides[0] is real:
            assert any(expected in text for text in whole)
        files = [stored(side) for side in sides]
        for mixed in ((files[0], sides[1]), (sides[0], files[1]), files, [Features.load(file) for file in files]):
            assert said(compare(*mixed, **skip)) == whole


def test_every_command_checks_stored_features(tmp_path: Path) -> None:
    real = write_pictures(tmp_path / "real" / "dog", 24).parent
    for k, name in enumerate(("one", "two")):
        own = write_pictures(tmp_path / name / "dog", 22, first_seed=100 * (k + 1), suffix=".jpg")
        shutil.copy(real / "dog" / "005.png", own / "copy.png")
    folders = [real, tmp_path / "one", tmp_path / "two"]
    files = [stored(folder) for folder in folders]
    runs: tuple[Callable[[list[Path]], object], ...] = (
        lambda sets: compare(sets[0], sets[1:], metric="mmd", per_class=True, **MINI),
        lambda sets: compare(sets[0], sets[1:], metric="mmd", max_images=9, seed=3, **MINI),
        lambda sets: rank(sets[0], sets[1:], **MINI),
        lambda sets: plan(sets[0], sets[1:2], **MINI),
        lambda sets: explain(sets[0], sets[1], **MINI),
    )
    for run in runs:
        whole = said(run(folders))
        assert any("JPEG against lossless" in text for text in whole)
        assert said(run(files)) == whole
        assert said(run([files[0], *folders[1:]])) == whole


def test_stored_statistics_are_checked_too(tmp_path: Path) -> None:
    real, fake = (
        write_pictures(tmp_path / "real", 8),
        write_pictures(tmp_path / "fake", 8, first_seed=100, suffix=".jpg"),
    )
    shutil.copy(real / "001.png", fake / "a.png")
    shutil.copy(real / "001.png", fake / "b.png")
    files = [tmp_path / f"{folder.name}.safetensors" for folder in (real, fake)]
    for folder, file in zip((real, fake), files, strict=True):
        embed(folder, **MINI).statistics().save(file)
    text = " ".join(compare(*files, metric="fd").warnings)
    for expected in (
        "JPEG against lossless",
        "exact duplicates: 2 of 10",
        "(first: a.png)",
        "repeated pictures: 2 of 10",
    ):
        assert expected in text
    assert isinstance(load_stored(files[0]), GaussianStatistics)


def test_features_without_a_record_say_what_was_not_checked(tmp_path: Path) -> None:
    real, fake = write_pictures(tmp_path / "real", 8), write_pictures(tmp_path / "fake", 8, first_seed=100)
    features = embed(real, **MINI)
    Features(features.values, features.provenance, features.names).save(tmp_path / "old.safetensors")
    features.statistics().save(tmp_path / "old.npz")
    for source in (tmp_path / "old.safetensors", tmp_path / "old.npz", features.values):
        (text,) = [text for text in compare(source, fake, metric="fd", **MINI).warnings if "not checked" in text]
        assert "formats, resolutions, conversions and exact copies" in text
        assert "embed the pictures again with `cmmd embed`" in text
    assert not any("not checked" in text for text in compare(features, fake, metric="fd", **MINI).warnings)


def outdated(file: Path, fake: Path) -> list[str]:
    return [text for text in compare(file, fake, metric="mmd", **MINI).warnings if text.startswith("older than")]


def test_a_file_older_than_its_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = write_pictures(tmp_path / "fake", 4, first_seed=100)
    real = write_pictures(tmp_path / "real" / "sub", 6).parent
    (real / "sub" / "000.png").touch()
    monkeypatch.chdir(tmp_path)
    for k, source in enumerate((real, Path("real"))):
        file = stored(source.absolute()) if k == 0 else Path("here.safetensors")
        embed(source, **MINI).save(file)
        assert outdated(file, fake) == []
        (real / "notes.txt").write_text("no picture")
        assert outdated(file, fake) == []
        smooth_picture(50 + k).save(real / "sub" / f"added{k}.png")
        monkeypatch.chdir(tmp_path / "fake")
        (text,) = outdated(tmp_path / file, fake)
        assert f"{tmp_path / file} was made 20" in text
        assert f"1 picture is newer, it holds {7 + k} pictures and held {6 + k}" in text
        monkeypatch.chdir(tmp_path)
    os.utime(real / "sub" / "001.png", (4e9, 4e9))
    embed(Path("real"), **MINI).save(file)
    assert outdated(file, fake) == []  # dated by another clock, before the embedding
    (real / "sub" / "added0.png").unlink()
    assert "it holds 7 pictures and held 8" in outdated(file, fake)[0]
    real.rename(tmp_path / "moved")
    assert outdated(file, fake) == []


def test_a_relative_folder_is_found_from_its_file_and_a_tree_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, fake = tmp_path / "before", write_pictures(tmp_path / "fake", 4, first_seed=100)
    write_pictures(before / "real", 3)
    (before / "refs").mkdir()
    monkeypatch.chdir(before)
    embed("real", **MINI).save("refs/real.safetensors")
    assert str(tmp_path).encode() not in (before / "refs/real.safetensors").read_bytes()
    monkeypatch.chdir(tmp_path)
    before.rename(tmp_path / "after")
    smooth_picture(9).save(tmp_path / "after" / "real" / "new.png")
    assert len(outdated(tmp_path / "after" / "refs" / "real.safetensors", fake)) == 1


def test_a_given_date_makes_files_of_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = write_pictures(tmp_path / "real", 3), write_pictures(tmp_path / "fake", 3, first_seed=100)
    first = stored(real).read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    second, third = stored(real).read_bytes(), stored(real).read_bytes()
    assert first != second == third
    assert b"1970-01-02T00:00:00" in third
    assert outdated(tmp_path / "stored" / "real.safetensors", fake) == []
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert main_code(["embed", str(real), "--backbone", "mini", "--out", str(tmp_path / "x.safetensors")]) == 2


def main_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def _damages() -> list[tuple[str, Callable[[dict, dict], None]]]:
    """Changes to the tensors and to the parsed record of a file of four pictures."""

    def header(name: str, value: object) -> tuple[str, Callable[[dict, dict], None]]:
        return f"{name}={value!r:.20}", lambda _, record: record.update({name: value})

    def tensor(name: str, value: np.ndarray) -> tuple[str, Callable[[dict, dict], None]]:
        return f"{name}:{value.dtype}{value.shape}", lambda tensors, _: tensors.update({name: value})

    return [
        *(header("count", value) for value in (-4, 5, 4.0, True, None, "4", 10**40)),
        *(header("kinds", value) for value in (None, {}, [], ["PNG"], [["PNG"]], [["PNG", [3]]], [[3, []]])),
        *(header("skipped", value) for value in (3, [3], [["a"]], [["a", 3]], "ab")),
        *(header("remarks", value) for value in (None, [3], "ab")),
        *(header("made", value) for value in (3, "yesterday", "2026-01-01", [], "")),
        *(header("from", value) for value in (3, [], {})),
        *(header("from_count", value) for value in (-1, "3", None, 1.5)),
        *(header("from_ahead", value) for value in (-1, "3", [])),
        header("recursive", "yes"),
        *(tensor("pixel_hashes", np.zeros(shape, np.uint8)) for shape in ((3, 16), (4, 15), (4,), (0, 16))),
        tensor("pixel_hashes", np.zeros((4, 16), np.float32)),
        tensor("picture_sizes", np.zeros((4, 2), np.uint32)),
        tensor("picture_sizes", np.full((4, 2), -1, np.int32)),
        tensor("picture_kinds", np.full(4, 9, np.uint32)),
        tensor("picture_kinds", np.zeros(5, np.uint32)),
        ("no hashes", lambda tensors, _: tensors.pop("pixel_hashes")),
    ]


def test_a_damaged_record_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, damaged = stored(write_pictures(tmp_path / "real", 4)), tmp_path / "damaged.safetensors"
    with safe_open(file, framework="numpy") as stream:
        header = {key: text for key, text in stream.metadata().items() if key != "sha256"}  # by who can write one
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    for what, change in _damages():
        own, record = dict(tensors), json.loads(header["pictures"])
        change(own, record)
        save_file(own, damaged, metadata={**header, "pictures": json.dumps(record)})
        with pytest.raises(InputError, match=r"damaged.safetensors: the record of its pictures is damaged \(") as found:
            load_stored(damaged)
        assert "\n" not in str(found.value), what
    for text in ("", "{", "[]", "[" * 100_000, "null"):
        save_file(tensors, damaged, metadata={**header, "pictures": text})
        with pytest.raises(InputError, match="expected a JSON object"):
            load_stored(damaged)
    for names in ("[]", '["a", "b", "c"]', '["a", "b", "c", 4]'):
        save_file(tensors, damaged, metadata={**header, "names": names})
        with pytest.raises(InputError, match="damaged"):
            load_stored(damaged)
    assert main_code(["compare", str(damaged), str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_of_other_rows_is_refused(tmp_path: Path) -> None:
    features = embed(write_pictures(tmp_path / "real", 4), **MINI)
    with pytest.raises(ValueError, match="expected a record of 5 pictures, got one of 4"):
        Features(gaussian(5, 3), record=features.record)
