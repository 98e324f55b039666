"""What sets are called: each has a name of its own, given or by its place, and no row refers to itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import gaussian, write_pictures

from cmmd_toolkit import ArgumentError, Features, compare, rank
from cmmd_toolkit.sets.named import Named, as_sources, different

A, B, C = np.random.default_rng(0).integers(0, 256, (3, 20, 16, 16, 3), dtype=np.uint8)
FOLDERS = {"x": Path("a"), "y": "b"}


@pytest.mark.parametrize("kind", [np.asarray, list, iter])
def test_nameless_pictures_are_called_by_their_place(kind: Callable[[Any], Any]) -> None:
    ranking = rank(A, [kind(B), kind(C)], backbone="mini", store=False)
    assert {place.generated for place in ranking.orders[0].places} == {"generated 1", "generated 2"}
    assert ranking.reference == "reference"
    assert "generated 1 and generated 2" in ranking.verdicts[0].text


def test_a_mapping_names_pictures_features_and_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path / "noise", 20)
    report = compare(A, {"x": B, "y": C, "z": tmp_path / "noise"}, backbone="mini", metric="mmd", store=False)
    assert [result.generated for result in report.results] == ["x", "y", "z"]
    assert report.value("mmd", generated="y") == compare(A, C, backbone="mini", metric="mmd", store=False).value("mmd")
    rows = {"p": gaussian(30, 3, seed=1), "q": Features(gaussian(30, 3, seed=2), {"source": "elsewhere"})}
    ranking = rank(gaussian(30, 3, seed=0), rows)
    assert {place.generated for place in ranking.orders[0].places} == {"p", "q"}


def test_equal_names_are_numbered_and_the_last_row_has_no_next() -> None:
    own = [Features(gaussian(30, 3, seed=seed), {"source": "run"}) for seed in (1, 2)]
    ranking = rank(gaussian(30, 3, seed=0), own)
    assert {place.generated for place in ranking.orders[0].places} == {"run", "run (2)"}
    last = str(ranking).splitlines()[5].split()
    assert last[0] == "2"
    assert last[-1] in ("a", "b")  # its group: nothing stands behind it
    assert different(["a", "a", "a (2)", "a"]) == ["a", "a (2)", "a (2) (2)", "a (3)"]


def test_a_set_that_is_given_twice_is_refused_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "a", 20)
    write_pictures(tmp_path / "b", 20, first_seed=9)
    (tmp_path / "link").symlink_to("a")
    for call in (compare, rank):
        for again in ("./a", "a/", Path("a"), tmp_path / "a", "link"):
            with pytest.raises(ArgumentError, match="the same set as a|a: given twice; name each set once"):
                call("b", ["a", again], backbone="mini")
        assert call("b", {"one": "a", "two": "./a"}, backbone="mini").verdicts  # a name of its own: it is meant
    with pytest.raises(ArgumentError, match=r"^https://x.org/a.zip: given twice; name each set once$"):
        compare("b", ["https://u:p@x.org/a.zip?key=1"] * 2, backbone="mini")
    assert compare("a", "a", backbone="mini").results  # the reference may be scored itself


def test_a_list_of_pictures_is_one_set_and_paths_keep_their_names() -> None:
    assert len(as_sources(list(A))) == 1
    assert as_sources(["a", Path("b")]) == ["a", Path("b")]
    assert as_sources(FOLDERS) == [Named("x", Path("a")), Named("y", "b")]
