"""Laws of the joint verdict of `rank` over several backbones, in every form of the record."""

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import Features, FeatureSet, Ranking, rank
from cmmd_toolkit.cli import main as cli


def seen(rows: np.ndarray, source: str, backbones: tuple[str, ...] = ("clip", "dinov2")) -> FeatureSet:
    """The same pictures under two backbones of different width and unit."""
    views = {"clip": rows[:, :6] + 3, "dinov2": 100 * np.tanh(rows[:, 3:]) + 200, "siglip": rows[:, ::2] + 2}
    made = {name: {"backbone": name, "source": source} for name in backbones}
    return FeatureSet({name: Features(views[name].astype(np.float32), made[name]) for name in backbones})


def four(n: int = 150, shifts: tuple[float, ...] = (0.1, 0.2, 1.6)) -> tuple[FeatureSet, list[FeatureSet]]:
    far = zip("abc", shifts, strict=True)
    sets = [seen(gaussian(n, 9, seed=k) + shift, name) for k, (name, shift) in enumerate(far)]
    return seen(gaussian(n, 9, seed=77), "real"), sets


@pytest.fixture(scope="module", params=["mmd", "fd"])
def ranking(request: pytest.FixtureRequest) -> Ranking:
    return rank(*four(), metric=request.param)


def test_one_backbone_has_no_joint_verdict_and_its_json_is_as_before(tmp_path: Path) -> None:
    rows = [Features(gaussian(60, 5, seed=k) + 0.3 * k, {"source": str(k)}) for k in range(3)]
    found = rank(rows[0], rows[1:])
    assert found.joint is None
    assert "joint" not in found.to_dict()
    assert "Average" not in str(found)


def test_the_average_is_of_distances_over_the_spread_of_the_reference(ranking: Ranking) -> None:
    joint = ranking.joint
    assert joint is not None
    assert joint.backbones == ("clip", "dinov2")
    scores = [{place.generated: place.score for place in order.places} for order in ranking.orders]
    for place in joint.average.places:
        expected = sum(w * own[place.generated] for w, own in zip(joint.weights, scores, strict=True))
        assert place.score == pytest.approx(expected, rel=1e-6)
    assert [place.score for place in joint.average.places] == sorted(place.score for place in joint.average.places)


def test_every_pair_has_the_largest_p_value_of_its_backbones(ranking: Ranking) -> None:
    assert ranking.joint is not None
    assert len(ranking.joint.everywhere) == len(ranking.joint.average.pairs) == 3
    for test, pair in zip(ranking.joint.everywhere, ranking.joint.average.pairs, strict=True):
        assert (test.better, test.worse) == (pair.better, pair.worse)
        own = [
            next(p for p in order.pairs if {p.better, p.worse} == {test.better, test.worse}) for order in ranking.orders
        ]
        agree = all(p.better == test.better for p in own)
        assert test.agree == agree
        assert test.p_value == (max(p.p_value for p in own) if agree else 1.0)
        assert ranking.holds(test.better, test.worse)[0] == (test.p_adjusted < 0.05)


def test_every_form_shows_it(ranking: Ranking, tmp_path: Path) -> None:
    text = str(ranking)
    assert "Average over clip and dinov2" in text
    assert "Verdict of clip and dinov2 together, at 0.05:" in text
    assert "On average: " in text
    assert "On every backbone: " in text
    ranking.save(tmp_path / "r.json")
    assert Ranking.load(tmp_path / "r.json") == ranking
    assert json.loads((tmp_path / "r.json").read_text())["joint"]["average"]["backbone"] == "average"
    rows = [row for row in ranking.rows() if row["backbone"] == "average"]
    assert [row["generated"] for row in rows] == [place.generated for place in ranking.joint.average.places]  # type: ignore[union-attr]
    assert isinstance(rows[0]["p_every_backbone"], float)
    assert rows[-1]["p_every_backbone"] is None
    assert len(ranking.paper_tables()) == len(ranking.panels()) == 3
    assert "p, every" in ranking.to_markdown()
    assert "p, every" in ranking.to_latex()
    assert "On every backbone" in ranking._repr_html_()
    ranking.save_html(tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert "On every backbone" in html
    assert "Average over clip and dinov2" in html


def test_backbones_that_contradict_each_other_are_named() -> None:
    n = 200
    first, second = gaussian(n, 9, seed=1), gaussian(n, 9, seed=2)
    first[:, 0] += 1.5  # which clip sees alone
    second[:, 8] += 1.5  # and dinov2
    found = rank(seen(gaussian(n, 9, seed=3), "real"), [seen(first, "a"), seen(second, "b")])
    assert found.joint is not None
    assert "They contradict each other: b is closer than a on clip, but a on dinov2." in found.joint.texts[1]
    assert not found.holds("a", "b")[0]
    assert not found.holds("b", "a")[0]


def test_the_order_of_backbones_and_sets_does_not_matter() -> None:
    reference, sets = four(80)
    there, back = rank(reference, sets), rank(reference, sets[::-1], backbone=["dinov2", "clip"])
    assert there.joint is not None
    assert back.joint is not None
    assert [own.generated for own in there.joint.average.places] == [o.generated for o in back.joint.average.places]
    for one, other in zip(there.joint.average.pairs, back.joint.average.pairs, strict=True):
        assert one.p_value == pytest.approx(other.p_value, abs=0.02)
        assert one.difference == pytest.approx(other.difference, rel=1e-6)


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_copies_under_one_backbone_only_are_copies_under_all(metric: str) -> None:
    """Rounded otherwise in another batch, a copy is not one to the last bit."""
    reference, sets = four(120)
    rows = {name: own.values.copy() for name, own in sets[0].items()}
    for own in rows.values():
        own[60:110] = own[:50]
    rows["dinov2"][60:110] *= 1 + 1e-6
    copied = FeatureSet({name: Features(own, sets[0][name].provenance) for name, own in rows.items()})
    loose, tight = rank(reference, [copied, *sets[1:]], metric=metric), rank(reference, sets, metric=metric)
    assert loose.joint is not None
    assert tight.joint is not None
    errors = [
        next(own.standard_error for own in found.joint.average.places if own.generated == "a")  # type: ignore[union-attr]
        for found in (loose, tight)
    ]
    assert errors[0] > errors[1]


def test_the_gate_asks_all_backbones_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, sets = four()
    paths = []
    for name, own in zip("xabc", (reference, *sets), strict=True):
        own.save(tmp_path / f"{name}.safetensors")
        paths.append(str(tmp_path / f"{name}.safetensors"))
    codes = {}
    for gate in ("a.safetensors<c.safetensors", "a.safetensors<b.safetensors"):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["rank", *paths, "--fail-unless", gate])
        codes[gate] = stopped.value.code or 0
        capsys.readouterr()
    assert list(codes.values()) == [0, 1]
