"""The feature store finds the same pictures again in every kind of source."""

import zipfile
from pathlib import Path

import datasets
import numpy as np
from archives import contents, write_parquet, write_tar
from web_server import serving

from cmmd_toolkit import embed


def test_pictures_are_recognised_in_every_source(real: Path, tmp_path: Path, seen: list[str]) -> None:
    files, options = contents(real), {"backbone": "mini", "device": "cpu", "store": tmp_path / "store"}
    expected = embed(real, **options).values
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    (tmp_path / "a.txt").write_text("\n".join(f"real/{name}" for name in files))
    rows = [{"bytes": data, "path": name} for name, data in files.items()]
    dataset = datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": datasets.Image()}))

    del seen[:]
    with serving(tmp_path) as server:
        for source in (
            *(tmp_path / "a.zip", tmp_path / "a.txt", dataset, dataset.to_iterable_dataset()),
            write_tar(tmp_path / "a.tar", files),
            write_tar(tmp_path / "a.tar.gz", files, "w:gz"),
            write_parquet(tmp_path / "a.parquet", files),
            *(f"{server.url}/{own}" for own in ("real", "a.zip", "a.tar", "a.parquet", "a.txt")),
        ):
            assert np.array_equal(embed(source, **options).values, expected)
    assert set(seen) <= {"a grey picture"}, "no network has seen a picture twice"
