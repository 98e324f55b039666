"""A saved record with any one entry changed is refused when it is read, or every form of it can be made."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pictures import gaussian, write_pictures

from cmmd_toolkit import (
    CmmdError,
    Contrast,
    Explanation,
    Features,
    FeatureSet,
    InputError,
    Plan,
    Ranking,
    Report,
    compare,
    contrast,
    explain,
    plan,
    rank,
)
from cmmd_toolkit.report.page.page import page_text
from cmmd_toolkit.report.page.records import page_of
from cmmd_toolkit.report.paper.record import PaperRecord
from cmmd_toolkit.report.screen.screens import screen_of
from cmmd_toolkit.report.terminal import screen_lines

GONE = object()
VALUES = [GONE, None, [], {}, "x", "", -1, 0, 1.5, True, float("nan"), float("inf"), 10**400, [None], {"x": None}]
CHANGES = 60  # of each record, drawn with a seed
NAMES = tuple(f"{label}/{i}.png" for label in ("cat", "dog") for i in range(15))
X, Y, Z = (Features(gaussian(30, 4, seed=k, shift=0.4 * k), {"source": f"/data/{k}"}, NAMES) for k in range(3))


def several(k: int) -> FeatureSet:
    """Features of the same pictures by two backbones."""
    rows = {name: gaussian(30, 4, seed=10 * k + i, shift=0.4 * k) for i, name in enumerate(("mini", "clip"))}
    return FeatureSet({name: Features(own, {"source": f"/data/{k}"}, NAMES) for name, own in rows.items()})


MADE: dict[str, tuple[type[PaperRecord], Callable[[], PaperRecord]]] = {
    "report": (Report, lambda: compare(X, [Y, Z], metric=["mmd", "fd", "recall", "p-value"], per_class=True)),
    "joint test": (Report, lambda: compare(several(0), [several(1), several(2)], metric="mmd", test="joint")),
    "ranking": (Ranking, lambda: rank(X, [Y, Z])),
    "plan": (Plan, lambda: plan(X, Y, differences=["10%", 1.5])),
    "explanation": (Explanation, lambda: explain(X, Y, top=2)),
    "contrast": (Contrast, lambda: contrast(X, Y, Z, top=2)),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where anything stands in a JSON form."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    own = copy.deepcopy(document)
    inner = own
    for key in path[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return own


def forms(record: PaperRecord) -> list[Callable[[], object]]:
    shown = [lambda width=width: screen_lines(screen_of(record), width) for width in (40, 160)]
    made = [record.to_csv, record.to_markdown, record.to_latex, record.to_json, record._repr_html_, record.panels]
    return [lambda: str(record), lambda: page_text(page_of(record, None)), *made, *shown]


@pytest.mark.parametrize("name", list(MADE))
def test_what_is_loaded_can_be_shown_and_all_else_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    kind, make = MADE[name]
    document, drawn = make().to_dict(), random.Random(name)
    document = json.loads(json.dumps(document))
    every = list(places(document))
    refused, said = 0, list[str]()
    for _ in range(CHANGES):
        path, value = drawn.choice(every), drawn.choice(VALUES)
        (tmp_path / "d.json").write_text(json.dumps(changed(document, path, value)))
        try:
            record = kind.load(tmp_path / "d.json")
        except InputError as error:
            said.append(str(error))
            refused += 1
            continue
        for form in forms(record):
            try:
                form()
            except CmmdError as error:  # such as nothing to draw
                said.append(str(error))
    assert not any("\n" in line for line in said)
    assert refused > CHANGES / 5


def test_a_refusal_names_the_place(tmp_path: Path) -> None:
    document = json.loads(compare(X, [Y, Z]).to_json())
    for path, value, words in (
        (("results", 0, "value"), "x", r"results\[0\]\.value: expected float, got str"),
        (("results", 1, "backbone"), GONE, r"results\[1\] has no backbone"),
        (("results", 0, "n_reference"), -3, r"results\[0\]\.n_reference: expected zero or more, got -3"),
        (("results", 0, "interval"), [2.0, 1.0], "expected its lower end first"),
        (("results", 0, "value"), float("nan"), r"results\[0\]\.value: expected a finite number"),
        (("results",), [], "results: expected one result or more"),
        (("provenance", "recipe"), None, "a recipe by its name"),
        (("verdicts", 0, "backbone"), "clip", "verdicts: expected one of features, got 'clip'"),
        (("verdicts", 0, "pairs", 0, "p_value"), None, r"verdicts\[0\]\.pairs\[0\]\.p_value: expected float"),
    ):
        (tmp_path / "r.json").write_text(json.dumps(changed(document, path, value)))
        with pytest.raises(InputError, match=rf"r\.json: expected a report .*make it again \(.*{words}"):
            Report.load(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("findings",), []),
        (("findings", 0, "backbone"), "dinov2"),
        (("p_by_backbone",), {"mini": 0.1, "clip": 0.1, "dinov2": 0.1}),
    ],
)
def test_a_joint_test_without_the_findings_of_its_backbones_is_refused(path: Any, value: Any, tmp_path: Path) -> None:
    document = json.loads(MADE["joint test"][1]().to_json())
    (tmp_path / "r.json").write_text(json.dumps(changed(document, ("joint", 0, "test", *path), value)))
    with pytest.raises(InputError, match=r"r\.json: expected a report .*joint\.test\.findings: expected some of each"):
        Report.load(tmp_path / "r.json")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(share: float, tmp_path: Path) -> None:
    text = compare(X, Y).to_json()
    (tmp_path / "r.json").write_text(text[: int(share * len(text))])
    with pytest.raises(InputError, match="expected a report"):
        Report.load(tmp_path / "r.json")


def test_a_plan_from_a_report_with_odd_sets_has_a_page(tmp_path: Path) -> None:
    folders = [write_pictures(tmp_path / name, 24, first_seed=seed) for name, seed in (("a", 0), ("b", 99))]
    document = json.loads(compare(*folders, backbone="mini", metric="mmd", store=False).to_json())
    document["sets"] = [{}, 3, {"name": 1}, {**document["sets"][0], "sizes": {"1x1": "x"}}, document["sets"][1]]
    (tmp_path / "r.json").write_text(json.dumps(document))
    found = plan(tmp_path / "r.json")
    assert [own["name"] for own in found.sets] == [document["sets"][4]["name"]]
    found.save_html(tmp_path / "plan.html")
