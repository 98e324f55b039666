"""Data sets of the library `datasets`, map-style and streaming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import names_of, pixels_of
from PIL import Image

datasets = pytest.importorskip("datasets")

from cmmd_toolkit import ArgumentError, PictureError, compare, embed, explain  # noqa: E402
from cmmd_toolkit.pictures.sources import open_images  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def of_files(folder: Path) -> Any:
    """Its column names files; nothing is read before it is asked for."""
    paths = sorted(map(str, folder.iterdir()))
    features = datasets.Features({"label": datasets.Value("int64"), "image": datasets.Image()})
    return datasets.Dataset.from_dict({"label": list(range(len(paths))), "image": paths}, features=features)


def of_bytes(folder: Path) -> Any:
    rows = [{"bytes": path.read_bytes(), "path": f"s/{path.name}"} for path in sorted(folder.iterdir())]
    return datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": datasets.Image()}))


def test_the_documented_call_gives_the_numbers_of_the_folder(real: Path, fake: Path) -> None:
    dataset, options = of_bytes(real), {"backbone": "mini", "metric": "mmd", "device": "cpu"}
    expected = compare(real, fake, **options).value("mmd")
    for source in (dataset, of_files(real), dataset.to_iterable_dataset(), dataset.with_format("numpy")):
        assert compare(source, fake, **options).value("mmd") == expected
    both = compare(real, [of_bytes(fake), of_files(fake)], **options)
    assert [result.value for result in both.results] == [expected, expected]


def test_names_are_paths_and_encoded_bytes_are_read(real: Path) -> None:
    assert names_of(of_bytes(real)) == [f"s/{name}" for name in names_of(real)]
    contents = [load.read() for _, load in open_images(of_bytes(real))]
    assert contents == [path.read_bytes() for path in sorted(real.iterdir())]
    assert names_of(of_files(real)) == sorted(map(str, real.iterdir()))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_draw_is_that_of_the_folder(streaming: bool, real: Path) -> None:
    dataset = of_bytes(real).to_iterable_dataset() if streaming else of_bytes(real)
    source = open_images(dataset)
    assert source.size == (None if streaming else 8)
    drawn = source.subset(3, seed=4)
    for (name, own), (other, load) in zip(drawn, open_images(real).subset(3, seed=4), strict=True):
        assert name == f"s/{other}"
        assert np.array_equal(own().pixels, load().pixels)


def test_shuffled_and_selected_rows_are_read_in_their_order(real: Path) -> None:
    chosen = of_bytes(real).shuffle(seed=1).select(range(5))
    assert names_of(chosen) == [
        row["path"] for row in chosen.cast_column("image", datasets.Image(decode=False))["image"]
    ]


def test_a_stream_of_pillow_images_without_features_is_read(real: Path) -> None:
    def rows() -> Any:
        for path in sorted(real.iterdir()):
            with Image.open(path) as image:
                yield {"label": 1, "picture": image.copy()}

    for own, other in zip(pixels_of(datasets.IterableDataset.from_generator(rows)), pixels_of(real), strict=True):
        assert np.array_equal(own, other)


def test_the_sheet_reads_pictures_of_a_stream_again(real: Path, fake: Path, tmp_path: Path) -> None:
    explanation = explain(of_bytes(real).to_iterable_dataset(), of_bytes(fake), backbone="mini", top=3)
    explanation.save_sheet(tmp_path / "a.png")
    row = explanation.sections[0].uncovered[0].row
    assert np.array_equal(explanation.pictures[0][row]().pixels, pixels_of(real)[row])


def test_missing_pictures_are_named_by_their_row(real: Path) -> None:
    dataset = of_files(real)
    (real / "003.png").unlink()
    with pytest.raises(PictureError, match=r"row 3: .*003\.png: cannot be read \(No such file"):
        embed(dataset, backbone="mini")
    assert len(embed(dataset, backbone="mini", on_error="skip")) == 7


def test_what_is_no_set_of_pictures_is_refused(real: Path) -> None:
    dataset = of_bytes(real)
    with pytest.raises(ArgumentError, match=r"expected one split .*, got train, test; give dataset\[SPLIT\]"):
        open_images(datasets.DatasetDict({"train": dataset, "test": dataset}))
    with pytest.raises(ArgumentError, match=r"no column of pictures; it has text \(Value\); use its cast_column"):
        compare(datasets.Dataset.from_dict({"text": ["a", "b"]}), real, backbone="mini")
    two = dataset.add_column("mask", dataset.cast_column("image", datasets.Image(decode=False))["image"])
    with pytest.raises(ArgumentError, match=r"several columns of pictures \(image, mask\).* use its select_columns"):
        open_images(two.cast_column("mask", datasets.Image()))
