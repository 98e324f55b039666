"""Laws of `rank` and `plan`, from Python and from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics, InputError, compare, plan, rank, relative_test
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.features.matrices import unit_rows


def features(name: str, seed: int, shift: float = 0.0, n: int = 120, names: tuple[str, ...] = ()) -> Features:
    return Features(gaussian(n, 8, seed=seed) + 2.0 + shift * np.arange(8) / 8, {"source": name}, names)


@pytest.fixture
def sets() -> tuple[Features, list[Features]]:
    return features("real", 1), [features("far", 2, 2.5), features("near", 3, 0.1), features("twin", 4, 0.1)]


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_the_order_is_that_of_the_scores_and_the_groups_are_those_of_the_tests(sets: tuple, metric: str) -> None:
    found = rank(*sets, metric=metric)
    (order,) = found.orders
    assert [place.generated for place in order.places][2] == "far"
    assert [place.groups for place in order.places] == ["a", "a", "b"]
    assert [place.score for place in order.places] == sorted(place.score for place in order.places)
    assert len(order.pairs) == 3
    assert sum(pair.neighbours for pair in order.pairs) == 2
    assert found.holds("near", "far")[0]
    assert not found.holds("far", "near")[0]
    assert not found.holds("near", "twin")[0]


def test_scores_are_those_of_compare_and_p_values_those_of_the_relative_test(sets: tuple) -> None:
    reference, generated = sets
    (order,) = rank(reference, generated).orders
    report = compare(reference, generated, metric="mmd")
    by_name = {result.generated: result for result in report.results}
    for place in order.places:
        result = by_name[place.generated]
        assert (place.score, place.standard_error, place.interval) == (
            result.value,
            result.standard_error,
            result.interval,
        )
    pair = next(pair for pair in order.pairs if {pair.better, pair.worse} == {"near", "far"})
    unit = [unit_rows(rows.values) for rows in (reference, generated[1], generated[0])]
    assert pair.p_value == relative_test(reference=unit[0], first=unit[1], second=unit[2]).p_value
    assert pair.p_adjusted >= pair.p_value


def test_the_order_of_the_arguments_does_not_matter(sets: tuple) -> None:
    reference, generated = sets
    there, back = rank(reference, generated), rank(reference, generated[::-1])
    assert [place.generated for place in there.orders[0].places] == [p.generated for p in back.orders[0].places]
    assert [pair.p_adjusted for pair in there.orders[0].pairs] == pytest.approx(
        [pair.p_adjusted for pair in back.orders[0].pairs]
    )


def test_pairs_are_checked_by_name_and_gain_power() -> None:
    names = tuple(f"{i}.png" for i in range(120))
    base = features("base", 2, 0.5, names=names)
    worse = Features(base.values + 0.05 * np.arange(8, dtype=np.float32) / 8, {"source": "worse"}, names)
    reference = features("real", 1)
    loose = rank(reference, [base, worse]).orders[0].pairs[0]
    tight = rank(reference, [base, worse], paired=True).orders[0].pairs[0]
    assert tight.p_value < 0.01 < loose.p_value
    other = Features(base.values, {"source": "other"}, names[::-1])
    with pytest.raises(InputError, match=r"119.png would be paired with 0.png of base"):
        rank(reference, [base, other], paired=True)
    with pytest.raises(InputError, match="half: has 60 pictures and base has 120"):
        rank(reference, [base, Features(base.values[:60], {"source": "half"}, names[:60])], paired=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated": [features("a", 2)]}, "expected two generated sets or more"),
        ({"metric": "kid"}, "expected mmd or fd"),
        ({"alpha": 1.5}, "alpha: expected a number between 0 and 1"),
        ({"bandwidth": "median-pooled"}, "must share"),
        (
            {"generated": [features("a", 2), features("b", 3, n=12)]},
            "^b: 12 pictures are too few for a standard error",
        ),
        ({"generated": [features("a", 2), GaussianStatistics(np.zeros(8), np.eye(8), 9)]}, "mean and covariance only"),
        ({"generated": [features("a", 2), features("b", 3, n=40)], "metric": "fd"}, "^b: .*rank by mmd"),
        ({"reference": features("real", 1, n=12)}, "^real: 12 pictures are too few for a standard error"),
        ({"reference": features("real", 1, n=40), "metric": "fd"}, "^real: 40 pictures .*rank by mmd"),
    ],
)
def test_rank_refuses(change: dict, message: str) -> None:
    given = {"reference": features("real", 1), "generated": [features("a", 2), features("b", 3)], **change}
    with pytest.raises((ArgumentError, InputError), match=message):
        rank(given.pop("reference"), given.pop("generated"), **given)


def saved(folder: Path, found: Features) -> str:
    path = folder / f"{found.provenance['source']}.safetensors"
    found.save(path)
    return str(path)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.fixture
def files(tmp_path: Path, sets: tuple) -> list[str]:
    return [saved(tmp_path, found) for found in (sets[0], *sets[1])]


def test_the_command_prints_a_table_and_writes_json(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "rank.json"
    code, out, _ = call(capsys, "rank", *files, "--json", str(target))
    lines = out.splitlines()
    assert code == 0
    assert lines[3].split()[:4] == ["Place", "Generated", "mmd", "95"]
    assert lines[6].split()[1] == "far.safetensors"
    assert "cannot be told apart at 5 %" in out
    document = json.loads(target.read_text())
    assert document["orders"][0]["places"][2]["groups"] == "b"
    assert document["provenance"]["options"]["metrics"] == ["mmd"]
    _, printed, _ = call(capsys, "rank", *files, "--json", "-")
    assert json.loads(printed)["orders"] == document["orders"]


def test_fail_unless_decides_the_exit_code(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    near, far, twin = "near.safetensors", "far.safetensors", "twin.safetensors"
    assert call(capsys, "rank", *files, "--fail-unless", f"{near}<{far}")[0] == 0
    code, _, err = call(capsys, "rank", *files, "--fail-unless", f"{near} < {twin}")
    assert code == 1
    assert f"is not significantly closer than {twin}" in err or f"{twin} scored closer than {near}" in err
    code, _, err = call(capsys, "rank", *files, "--fail-unless", "near<elsewhere")
    assert code == 2
    assert err.count("\n") == 1
    assert "expected A<B with two of the sets" in err


def test_backbones_agree_or_not(tmp_path: Path) -> None:
    from PIL import Image

    folders = []
    for name, blur in (("real", 0), ("a", 1), ("b", 30)):
        folder = tmp_path / name
        folder.mkdir()
        random = np.random.default_rng(blur)
        for i in range(24):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels[..., 0] = np.minimum(pixels[..., 0].astype(int) + 4 * blur, 255)
            Image.fromarray(pixels).resize((32, 32)).save(folder / f"{i}.png")
        folders.append(folder)
    found = rank(folders[0], folders[1:], backbone="mini")
    assert [order.backbone for order in found.orders] == ["mini"]
    assert found.agreement == ()
    assert found.n_reference == 24


def test_a_plan_from_sets_names_a_number_for_each_difference(sets: tuple) -> None:
    reference, (far, near, _) = sets
    one, two = plan(reference, [far]), plan(reference, [far, near])
    assert [size.alike for size in one.needs[0].sizes] == sorted(size.alike for size in one.needs[0].sizes)
    assert "Same way" in str(one)
    (need,) = two.needs
    assert need.sizes[0].difference == pytest.approx(min(map(abs, need.interval)))
    assert need.sizes[1].difference == pytest.approx(abs(need.value))
    assert all(size.alike == size.unlike for size in need.sizes)
    assert "far minus near" in str(two)
    assert "nearer end of its interval" in str(two)
    (need,) = plan(reference, [far], differences=["10%", 0.05], metric="fd").needs
    assert [size.difference for size in need.sizes] == pytest.approx([0.1 * need.value, 0.05])


def test_a_plan_from_a_report_is_close_to_that_from_the_sets(sets: tuple, tmp_path: Path) -> None:
    reference, (far, *_) = sets
    compare(reference, far, metric="mmd").save(tmp_path / "report.json")
    direct = plan(reference, [far], differences=["20%"]).needs[0].sizes[0].alike
    stored = plan(tmp_path / "report.json", differences=["20%"]).needs[0].sizes[0].alike
    assert direct / 4 <= stored <= 4 * direct  # a report does not say whose variance it is


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}", "no readable report"), ('{"results": []}', "no result of this metric"), ("[1", "no readable report")],
)
def test_a_plan_refuses_what_is_no_report(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=message):
        plan(tmp_path / "x.json")


def test_a_plan_says_where_its_numbers_mean_little(tmp_path: Path) -> None:
    reference, near, twin = features("real", 1), features("near", 3), features("twin", 4)
    assert "may be zero" in plan(reference, [near, twin]).needs[0].remark
    assert "warning: near minus twin: the difference may be zero" in str(plan(reference, [near, twin]))
    with pytest.raises(InputError, match="score the same; plan for one of them"):
        plan(reference, [near, Features(near.values, {"source": "copy"})])
    with pytest.raises(InputError, match="few: 3 pictures are too few for a standard error"):
        plan(reference, [features("few", 5, n=3)])
    named = ((n, (f"{n}.png",) * 2) for n in ("a", "b"))
    pair = [Features(near.values[:2], {"source": name}, names) for name, names in named]
    with pytest.raises(InputError, match=r"b.png would be paired with a.png of a"):
        plan(reference, pair, paired=True)
    with pytest.raises(ArgumentError, match="power: expected a number between alpha"):
        plan(reference, [near], power=0.01)
    with pytest.raises(ArgumentError, match="a report has its backbones"):
        plan(tmp_path / "report.json", paired=True)


def test_stored_features_keep_their_remarks_and_their_copies_are_named() -> None:
    made = {"backbone": "mini", "dim": 8}
    real, other = (Features(features("x", k).values, {"source": n, **made}) for k, n in ((1, "real"), (2, "other")))
    part = Features(np.vstack([real.values[:30], other.values[:60]]), {"source": "part", **made})
    warnings = rank(real, [other, part]).warnings
    assert any(warning.startswith("mini: its numbers are for watching") for warning in warnings)
    assert any(
        "equal features: 30 of 90 pictures of part have (nearly) the features of a picture of real" in warning
        for warning in warnings
    )
    with pytest.raises(ArgumentError, match="dims: only inception"):
        rank(real, [other, part], dims=64)


def test_a_set_is_ranked_once(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="a: given twice"):
        rank(features("real", 1), ["a", "b", "a"])


def test_the_plan_command(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "plan", files[0], files[1], "--difference", "10%")
    assert code == 0
    assert out.splitlines()[1].split() == ["Difference", "Same", "way", "Different", "ways"]
    assert "10 % of the value" in out.splitlines()[2]
    code, _, err = call(capsys, "plan", files[0], files[1], "--difference", "-3")
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = call(capsys, "plan", "missing.json")
    assert (code, err.count("\n")) == (2, 1)


def test_bare_features_rank_by_place_and_by_name() -> None:
    reference, near, far = (features("x", k, shift).values for k, shift in ((1, 0.0), (2, 0.1), (3, 2.5)))
    by_place, by_name = rank(reference, [far, near]), rank(reference, {"far": far, "near": near})
    assert [place.generated for place in by_place.orders[0].places] == ["generated 2", "generated 1"]
    assert [place.generated for place in by_name.orders[0].places] == ["near", "far"]
    assert by_name.orders[0].places[0].score == by_place.orders[0].places[0].score
    assert compare(reference, near, metric="mmd").value("mmd") == by_name.orders[0].places[0].score
    with pytest.raises(InputError, match="folder: no such file or folder"):
        rank(reference, {"a": "folder/", "b": near})
