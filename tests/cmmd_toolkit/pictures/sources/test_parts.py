"""Parts of a source for several processes: together the whole in its order, and of a stream no more than is needed."""

from pathlib import Path

import numpy as np
import pytest
from archives import contents, write_parquet, write_tar
from pictures import write_pictures

from cmmd_toolkit.pictures.sources import ImageSource, open_images
from cmmd_toolkit.pictures.sources.place import LocalFile
from cmmd_toolkit.pictures.sources.source import Stream


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The same pictures in every kind of source; in tars other files lie between them."""
    folder = tmp_path_factory.mktemp("sources")
    files = contents(write_pictures(folder / "pictures", 11))
    for shard in range(7):
        own = {name: files[name] for name in list(files)[shard * 2 : shard * 2 + 2]}
        write_tar(folder / f"s-{shard}.tar.gz", {**own, f"{shard}.txt": b"label"}, "w:gz")
    return {
        "folder": folder / "pictures",
        "parquet": write_parquet(folder / "a.parquet", files, rows=2),
        "tar": write_tar(folder / "a.tar.gz", {**files, "a.txt": b"label"}, "w:gz"),
        "shards": str(folder / "s-{0..6}.tar.gz"),
    }


@pytest.mark.parametrize("count", [2, 3, 5, 20])
@pytest.mark.parametrize("kind", ["folder", "parquet", "tar", "shards"])
@pytest.mark.parametrize("most", [None, 6])
def test_parts_are_the_whole_in_its_order(sources: dict[str, object], kind: str, count: int, most: int | None) -> None:
    source = open_images(sources[kind]).subset(most, seed=1)
    every = [[(place, name) for place, (name, _) in source.part(rank, count)] for rank in range(count)]
    assert all(own == sorted(own) for own in every)
    together = sorted(pair for own in every for pair in own)
    assert len({place for place, _ in together}) == len(together)
    assert [name for _, name in together] == [name for name, _ in source]


@pytest.mark.parametrize(("kind", "others"), [("tar", 1), ("shards", 7)])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_other_files_are_counted_once_by_all_parts(
    sources: dict[str, object], kind: str, others: int, count: int
) -> None:
    stream = open_images(sources[kind]).items
    assert isinstance(stream, Stream)
    total = 0
    for rank in range(count):
        assert all(place >= 0 for place, _ in stream.part(rank, count))
        total += stream.others
    assert total == others


def test_a_part_of_parquet_reads_its_own_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{i}.png": np.random.default_rng(i).bytes(20_000) for i in range(40)}
    source: ImageSource = open_images(write_parquet(tmp_path / "a.parquet", files, rows=5))
    read: list[int] = []
    whole = LocalFile.read

    def counted(place: LocalFile, start: int, length: int) -> bytes:
        read.append(length)
        return whole(place, start, length)

    monkeypatch.setattr(LocalFile, "read", counted)
    assert len(list(source)) == 40
    every = sum(read)
    read.clear()
    assert [name for _, (name, _) in source.part(1, 4)] == [f"{i}.png" for i in range(10, 20)]
    assert sum(read) < every / 2
