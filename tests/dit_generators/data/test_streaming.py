"""Pictures that are decoded when they are needed are those that would be held, from every kind of set."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archives import contents, write_parquet, write_tar
from dit_models import assert_refused, dit_gen
from pictures import smooth_picture, write_pictures
from training_runs import SMALL, assert_same_end, small_run

from dit_generators.data.batches import PixelExamples, make_batch
from dit_generators.data.pictures import Pictures, load_pictures
from dit_generators.data.pixels import StreamedPixels
from dit_generators.data.reading import Reading
from dit_generators.errors import DataError
from dit_generators.sampling.folder import differences

EDGE = 16
COUNT = 11


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "set", COUNT)


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


def two_tars(folder: Path) -> str:
    files = list(contents(folder).items())
    for number, part in enumerate((files[:4], files[4:])):
        write_tar(folder.with_name(f"part-{number}.tar"), dict(part))
    return f"{folder.parent}/part-{{0..1}}.tar"


def compressed(folder: Path) -> Path:
    return write_tar(folder.with_name("set.tar.gz"), contents(folder), "w:gz")


def parquet(folder: Path) -> Path:
    return write_parquet(folder.with_name("set.parquet"), contents(folder), paths=False)


def folder_of_parquet(folder: Path) -> Path:
    target = folder.with_name("tables")
    target.mkdir()
    write_parquet(target / "0.parquet", contents(folder))
    return target


def array(folder: Path) -> Path:
    pixels = [np.asarray(smooth_picture(i)) for i in range(COUNT)]
    np.savez_compressed(folder.with_name("set.npz"), arr_0=np.stack(pixels))
    return folder.with_name("set.npz")


def listed(folder: Path) -> Path:
    target = folder.with_name("set.txt")
    target.write_text("".join(f"set/{name}\n" for name in contents(folder)))
    return target


def dataset(folder: Path) -> Any:
    from datasets import Dataset, Features, Image

    rows = [{"bytes": content, "path": None} for content in contents(folder).values()]
    return Dataset.from_dict({"image": rows}, features=Features({"image": Image()}))


def iterable(folder: Path) -> Any:
    return (smooth_picture(i) for i in range(COUNT))


SOURCES = [str, zipped, two_tars, compressed, parquet, folder_of_parquet, array, listed, dataset, iterable]


def streamed(source: Any, tmp_path: Path, **options: Any) -> Pictures:
    reading = Reading(memory=0, workers=options.pop("workers", 3), folder=tmp_path / "run.pictures")
    return load_pictures(source, EDGE, reading=reading, **options)


@pytest.mark.parametrize("source", SOURCES)
def test_pictures_of_every_kind_of_set_are_those_of_the_folder(tmp_path, folder, source: Callable[[Path], Any]) -> None:
    expected = load_pictures(folder, EDGE)
    found = streamed(source(folder), tmp_path)
    assert isinstance(expected.pixels, np.ndarray)
    assert isinstance(found.pixels, StreamedPixels)
    assert found.pixels.shape == expected.pixels.shape == (COUNT, EDGE, EDGE, 3)
    assert found.sha256 == expected.sha256
    order = [7, 0, 7, *range(COUNT)]
    assert np.array_equal(np.stack(found.pixels.many(order)), expected.pixels[order])
    some = [9, 2, 5]
    assert found.subset(some).sha256 == expected.subset(some).sha256 != expected.sha256
    assert np.array_equal(np.stack(found.subset(some).pixels.many([2, 1])), expected.pixels[[5, 2]])
    if source is not iterable:  # which can be read once only
        assert np.array_equal(
            load_pictures(
                source(folder) if source is not folder_of_parquet else folder.with_name("tables"), EDGE
            ).pixels,
            expected.pixels,
        )


def test_batches_are_equal_for_any_number_of_workers_and_after_a_resume(tmp_path, folder) -> None:
    labels = np.zeros(COUNT, dtype=np.int64)
    expected = load_pictures(folder, EDGE, crop="random")
    whole = make_batch(
        1, range(30), PixelExamples(expected.pixels, EDGE, flip=True), labels, num_timesteps=9, dropout=0.5
    )
    for workers in (0, 1, 3):
        found = streamed(folder, tmp_path, crop="random", workers=workers)
        examples = PixelExamples(found.pixels, EDGE, flip=True)
        for first, last in ((0, 30), (13, 21)):
            part = make_batch(1, range(first, last), examples, labels, num_timesteps=9, dropout=0.5)
            for name in ("x_0", "noise", "timesteps", "labels", "drop"):
                assert torch.equal(getattr(part, name), getattr(whole, name)[first:last])


def test_a_streamed_run_reaches_the_weights_of_a_held_one_and_each_goes_on_as_the_other(tmp_path, folder) -> None:
    options = ["--steps", 6, "--save-every", 2, "--eval-every", 6, "--eval-images", 4, "--held-out", 0.4]
    options += ["--sample-steps", 2, "--crop", "random"]
    assert small_run(folder, tmp_path / "held", *options).run()
    tar = write_tar(tmp_path / "set.tar.gz", contents(folder), "w:gz")
    assert small_run(tar, tmp_path / "streamed", *options, "--memory", "0", "--workers", 3).run()
    assert_same_end(tmp_path / "streamed", tmp_path / "held")
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("held", "streamed")]
    scores = [json.loads(line) for log in logs for line in log.splitlines()]
    assert len({entry["score"] for entry in scores if "score" in entry}) == 1
    tar.unlink()
    write_tar(tar, contents(folder), "w:gz")
    for first, then in (("0", "4GB"), ("4GB", "0")):
        out = tmp_path / f"first-{first}"
        assert small_run(folder, out, *options, "--steps", 2, "--memory", first).run()
        assert small_run(tar, out, *options, "--memory", then).run()
        assert_same_end(out, tmp_path / "held")


def test_latents_are_those_of_held_pictures(tmp_path, folder) -> None:
    from dit_models import save_kl

    options = ["--space", "latent", "--autoencoder", save_kl(tmp_path / "vae"), "--steps", 2]
    assert small_run(folder, tmp_path / "held", *options).run()
    made = (tmp_path / "held.latents" / "00000.safetensors").read_bytes()
    run = small_run(folder, tmp_path / "streamed", *options, "--memory", "0")
    assert (tmp_path / "streamed.latents" / "00000.safetensors").read_bytes() == made
    run = small_run(folder, tmp_path / "again", *options, "--memory", "0", "--latents", tmp_path / "held.latents")
    assert run.run()
    assert_same_end(tmp_path / "again", tmp_path / "held")


def test_classes_are_the_first_folders_of_the_names(tmp_path, folder) -> None:
    for number, path in enumerate(sorted(folder.iterdir())):
        target = folder / ("dog", "ant")[number % 2] / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    expected = load_pictures(folder, EDGE, conditional=True)
    assert expected.classes == ("ant", "dog")
    assert not expected.skipped
    for source in (zipped(folder), two_tars(folder), compressed(folder), folder_of_parquet(folder)):
        found = streamed(source, tmp_path, conditional=True)
        assert found.classes == expected.classes
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.sha256 == expected.sha256
    smooth_picture(50).save(folder / "stray.png")
    found = load_pictures(folder, EDGE, conditional=True)
    assert found.sha256 == expected.sha256
    assert [text.endswith("set: stray.png lies in no class folder") for text in found.skipped] == [True]
    (folder / "stray.png").unlink()
    with pytest.raises(DataError, match=r"set\.parquet: has 0 class folders with pictures, `conditional` needs two"):
        streamed(parquet(folder), tmp_path, conditional=True)


@pytest.mark.parametrize("memory", [None, 0])
def test_the_cls_files_of_webdataset_are_classes_in_the_order_of_their_numbers(tmp_path, memory) -> None:
    files, numbers = list(contents(write_pictures(tmp_path / "set", 6)).values()), (10, 9, 10, 2, 9, 10)
    for shard, rows in enumerate((range(2), range(2, 6))):
        samples: dict[str, bytes] = {}
        for row in rows:
            label = {f"a/{row:04d}.cls": f"{numbers[row]}\n".encode()}  # before or after its picture
            picture = {f"a/{row:04d}.png": files[row], f"a/{row:04d}.json": b"{}"}
            samples |= {**label, **picture} if row % 2 else {**picture, **label}
        if shard:
            samples |= {"a/extra.png": files[0], "a/._0002.cls": b"\0\5\x16\7", "__MACOSX/0002.cls": b"of macOS"}
        write_tar(tmp_path / f"train-{shard}.tar", samples)
    reading = Reading(memory=memory, folder=tmp_path / "known")
    found = load_pictures(str(tmp_path / "train-{0..1}.tar"), EDGE, conditional=True, reading=reading)
    assert found.classes == ("2", "9", "10")
    assert [found.classes[label] for label in found.labels.tolist()] == [str(number) for number in numbers]
    assert found.skipped == (f"{tmp_path}/train-{{0..1}}.tar: train-1.tar:a/extra.png has no .cls",)
    assert len(load_pictures(str(tmp_path / "train-{0..1}.tar"), EDGE, reading=reading).classes) == 0
    wrong = write_tar(tmp_path / "wrong.tar", {"1.png": files[0], "1.cls": b"cat"})
    with pytest.raises(DataError, match=r"wrong\.tar:1\.cls: expected a class as a whole number, got b'cat'"):
        load_pictures(wrong, EDGE, conditional=True, reading=reading)


@pytest.mark.parametrize("memory", [0, 10**9])
def test_a_class_of_which_no_picture_is_usable_is_refused(tmp_path, memory) -> None:
    for name in ("ant", "dog", "hen"):
        write_pictures(tmp_path / "set" / name, 2)
    (tmp_path / "set" / "dog" / "000.png").write_bytes(b"x")
    reading = Reading(memory=memory)
    assert len(load_pictures(tmp_path / "set", EDGE, conditional=True, on_error="skip", reading=reading)) == 5
    (tmp_path / "set" / "dog" / "001.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"class dog has no usable picture; .* the first: .*000\.png"):
        load_pictures(tmp_path / "set", EDGE, conditional=True, on_error="skip", reading=reading)


def test_a_run_in_the_folder_of_its_pictures_is_warned_of(tmp_path, capfd, folder) -> None:
    for out, warned in ((folder / "run", True), (tmp_path / "set-run", False)):
        finished = dit_gen(capfd, "train", folder, "--out", out, *SMALL, "--steps", 1)
        assert finished.code == 0, finished.err
        assert (f"warning: {out} lies in {folder}: " in finished.err) == warned


@pytest.mark.parametrize("memory", ["0", "4GB"])
@pytest.mark.parametrize("source", [str, zipped, compressed, parquet])
def test_a_damaged_picture_is_one_line_or_left_out_and_counted(tmp_path, capfd, folder, memory, source) -> None:
    (folder / "003.png").write_bytes((folder / "003.png").read_bytes()[:-20])
    (folder / "005.png").write_bytes(b"")
    command = ["train", source(folder), "--out", tmp_path / "run", *SMALL, "--steps", 2, "--memory", memory]
    finished = dit_gen(capfd, *command)
    assert finished.code == 2
    assert finished.err.splitlines()[-1].startswith(f"dit-gen: error: {command[1]}")
    assert finished.err.endswith("use --on-error skip\n")
    assert not (tmp_path / "run").exists()
    finished = dit_gen(capfd, *command, "--on-error", "skip")
    assert finished.code == 0, finished.err
    assert "warning: 2 pictures are left out, the first: " in finished.err
    assert "on-error" not in finished.err
    assert "9 pictures to train on" in finished.err
    assert ("decoded as needed" in finished.err) == (memory == "0")
    for name in ("003.png", "005.png"):
        (folder / name).unlink()
    assert small_run(folder, tmp_path / "without", "--steps", 2).run()
    assert_same_end(tmp_path / "run", tmp_path / "without")


def test_a_picture_that_changes_or_vanishes_is_one_line_and_nothing_is_lost(tmp_path, capfd, folder) -> None:
    options = ["--steps", 6, "--save-every", 1, "--memory", "0"]
    assert small_run(folder, tmp_path / "whole", *options).run()
    command = ["train", folder, "--out", tmp_path / "run", *SMALL, *options]
    assert dit_gen(capfd, *command, "--steps", 1).code == 0
    kept = contents(folder)
    for change in ("another", "gone"):
        for path in folder.iterdir():
            smooth_picture(99).save(path) if change == "another" else path.unlink()
        if change == "gone":
            (folder / "000.png").write_bytes(kept["000.png"])
            for name in kept:
                (folder / name).symlink_to("nothing") if name != "000.png" else None
        finished = dit_gen(capfd, *command)
        assert finished.code == 2
        message = "has changed since it was first read; restore" if change == "another" else "a broken link"
        assert message in finished.err.splitlines()[-1]
        for name, content in kept.items():
            (folder / name).unlink()
            (folder / name).write_bytes(content)
    assert dit_gen(capfd, *command).code == 0
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_a_copy_is_made_once_and_again_where_its_source_changed_or_it_is_not_whole(tmp_path, folder) -> None:
    source, known = compressed(folder), tmp_path / "run.pictures"
    before = streamed(source, tmp_path).sha256
    made = (known / "copy.tar").stat().st_mtime_ns
    assert sorted(path.name for path in known.iterdir()) == ["copy.json", "copy.tar", "index.safetensors"]
    assert streamed(source, tmp_path).sha256 == before
    assert (known / "copy.tar").stat().st_mtime_ns == made
    (known / "copy.json").unlink()  # as when it was killed before that
    assert streamed(source, tmp_path).sha256 == before
    assert (known / "copy.tar").stat().st_mtime_ns > made
    smooth_picture(77).save(folder / "004.png")
    (folder / "010.png").unlink()
    after = streamed(compressed(folder), tmp_path)
    assert (len(after), after.sha256) == (COUNT - 1, load_pictures(folder, EDGE).sha256)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"set\.tar\.gz: not a whole tar"):
        streamed(source, tmp_path)
    source.write_bytes(whole)
    assert streamed(source, tmp_path).sha256 == after.sha256
    assert sorted(path.name for path in known.iterdir()) == ["copy.json", "copy.tar", "index.safetensors"]


def test_a_damaged_index_is_made_again(tmp_path, folder) -> None:
    expected, path = streamed(folder, tmp_path).sha256, tmp_path / "run.pictures" / "index.safetensors"
    content = path.read_bytes()
    for damaged in (b"", content[:-40], content[:-1] + bytes([content[-1] ^ 1]), b"\xff" * 100):
        path.write_bytes(damaged)
        assert streamed(folder, tmp_path).sha256 == expected
        assert path.read_bytes() == content


def test_a_run_in_the_folder_at_hand_keeps_what_it_knows_beside_it(tmp_path, folder, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert small_run(folder, Path(), "--steps", 1, "--memory", "0").run()
    assert (tmp_path / "here.pictures" / "index.safetensors").is_file()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "expected the name of a file or folder, got ''"),
        ("absent", "no such folder of pictures, archive or list"),
        ("set/000.png", "is a single picture"),
        ("absent-{0..1}.tar", "absent-0.tar"),
        ("memory://nothing/", "holds no pictures"),
    ],
)
def test_what_is_no_set_of_pictures_is_one_line(tmp_path, capfd, folder, monkeypatch, source, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(dit_gen(capfd, "train", source, "--out", tmp_path / "run", *SMALL, "--steps", 1), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_hashes_of_pictures_are_compared_where_both_runs_recorded_them() -> None:
    now = {"picture_digests_sha256": "a"}
    assert differences({"pictures_sha256": "b"}, now) == []  # of an earlier version
    assert differences({"picture_digests_sha256": "a"}, now) == []
    for before in ({"picture_digests_sha256": "b"}, {}):
        assert differences(before, now) == ["the pictures differ"]
