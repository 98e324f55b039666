"""The records that commands return are read from JSON as they were written, and nothing else is taken for one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import gaussian

from cmmd_toolkit import Explanation, Features, InputError, Plan, Ranking, Report, compare, explain, plan, rank
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.cli.options import in_flags
from cmmd_toolkit.report.document import Document, read_object

NAMES = tuple(f"{label}/{i}.png" for label in ("cat", "dog") for i in range(20))
X, Y, Z = (
    Features(gaussian(40, 4, seed=seed, shift=0.4 * seed), {"source": f"/data/{seed}"}, NAMES) for seed in range(3)
)
MADE: dict[type[Document], Callable[[], Any]] = {
    Report: lambda: compare(X, [Y, Z], metric="all", per_class=True),
    Ranking: lambda: rank(X, [Y, Z]),
    Plan: lambda: plan(X, Y, differences=["10%", 1.5]),
    Explanation: lambda: explain(X, Y, top=3),
}


@pytest.fixture(params=list(MADE), ids=lambda kind: kind.__name__)
def document(request: pytest.FixtureRequest) -> Document:
    return MADE[request.param]()


def test_what_was_saved_is_loaded_as_an_equal_record(document: Any, tmp_path: Path) -> None:
    document.save(tmp_path / "saved.json")
    loaded = type(document).load(tmp_path / "saved.json")
    assert loaded == document
    assert loaded.to_json() == document.to_json()
    assert str(loaded) == str(document)


def test_every_record_has_the_same_top_keys_for_the_same_things(document: Document) -> None:
    found = document.to_dict()
    assert found["kind"] == type(document).__name__.lower()
    assert found["schema_version"] == document.schema_version
    assert isinstance(found["warnings"], list)
    assert isinstance(found["sets"], list)
    assert {"versions", "command", "created", "options", "seed"} <= found["provenance"].keys()


def test_a_loaded_explanation_says_why_it_has_no_pictures(tmp_path: Path, real: Path, fake: Path) -> None:
    explain(real, fake, backbone="mini").save(tmp_path / "e.json")
    with pytest.raises(InputError, match="a saved explanation holds no pictures"):
        Explanation.load(tmp_path / "e.json").save_sheet(tmp_path / "sheet.png")


def test_another_record_is_refused_in_one_line(document: Any, tmp_path: Path) -> None:
    document.save(tmp_path / "d.json")
    for kind in MADE.keys() - {type(document)}:
        with pytest.raises(InputError, match=rf"d\.json: expected an? {kind.kind} .*got '{document.kind}'"):
            kind.load(tmp_path / "d.json")


def changed(found: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> str:
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(schema_version=99),
        lambda found: found.update(warnings=3),
        lambda found: found.update(warnings=[3]),
        lambda found: found.update(results=[{}]),
        lambda found: found["results"][0].update(value="x"),
        lambda found: found["results"][0].update(value=True),
        lambda found: found["results"][0].update(interval=[1.0]),
        lambda found: found["results"][0].update(n_reference=1.5),
        lambda found: found["results"][0].pop("caveats"),
        lambda found: found.update(provenance=[]),
        lambda found: found.update(results_per_class=[{"class": "cat"}]),
        lambda found: found.update(results_per_class=[3]),
        lambda found: found.update(results_per_class=[{**found["results"][0], "class": 1.5}]),
    ],
)
def test_a_changed_report_is_refused_in_one_line(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(changed(compare(X, Y).to_dict(), change))
    with pytest.raises(InputError, match=r"r\.json: expected a report") as refused:
        Report.load(tmp_path / "r.json")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "[" * 100_000, "\xff", '{"kind": "report"}'])
def test_a_file_that_is_no_record_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(text.encode("latin-1"))
    for path in (tmp_path / "r.json", tmp_path):
        with pytest.raises(InputError, match="expected a report"):
            Report.load(path)
    with pytest.raises(InputError, match="no such file"):
        Report.load(tmp_path / "absent.json")


def test_every_command_writes_its_record_and_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "xyz"]
    for path, own in zip(paths, (X, Y, Z), strict=True):
        own.save(path)
    for command, sets, kind in (
        ("compare", paths, Report),
        ("rank", paths, Ranking),
        ("plan", paths[:2], Plan),
        ("explain", paths[:2], Explanation),
    ):
        target = tmp_path / f"{command}.json"
        for json_file in ("-", target):
            with pytest.raises(SystemExit) as stopped:
                cli.main([command, *map(str, sets), "--json", str(json_file)])
            assert not stopped.value.code
            out = capsys.readouterr().out
            shown = json.loads(out) if json_file == "-" else read_object(target, "")
            assert shown["kind"] == kind.kind
            assert shown["provenance"]["command"].startswith("cmmd")
        assert out == in_flags(str(kind.load(target)), cli.main)
