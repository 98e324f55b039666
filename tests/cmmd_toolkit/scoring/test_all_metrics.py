"""`compare` with every metric: the values of the bare functions, which way is better, what is left out, and classes."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import gaussian, write_pictures

from cmmd_toolkit import (
    ArgumentError,
    CmmdError,
    Features,
    GaussianStatistics,
    compare,
    embed,
    frechet_distance,
    load_backbone,
    squared_mmd,
)
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.commands.limits import parse_limit
from cmmd_toolkit.estimation.estimate import Estimate
from cmmd_toolkit.inference.two_sample import two_sample_test
from cmmd_toolkit.metrics.frechet_infinity import frechet_distance_infinity
from cmmd_toolkit.metrics.inception_score import inception_score
from cmmd_toolkit.metrics.kid import kernel_distance
from cmmd_toolkit.metrics.memorisation import memorisation
from cmmd_toolkit.metrics.neighbours import neighbour_metrics
from cmmd_toolkit.metrics.sliced import mind, sliced_wasserstein
from cmmd_toolkit.metrics.vendi import vendi_score
from cmmd_toolkit.scoring.scorers import SCORERS, ScorerInput, least_pictures
from cmmd_toolkit.sets.metric_names import METRICS, NUMBERS
from cmmd_toolkit.sets.recipes import RECIPES, find_recipe


def two_sample_estimate(reference: Features, generated: Features) -> Estimate:
    found = two_sample_test(reference=unit(reference), generated=unit(generated))
    return Estimate(found.p_value, found.n_reference, found.n_generated, found.parameters, found.caveats)


ROWS = (*(name for name, spec in METRICS.items() if spec.needs == "rows"),)
BARE: dict[str, Callable[..., object]] = {
    "fd": frechet_distance,
    "fd-infinity": frechet_distance_infinity,
    "p-value": two_sample_estimate,
    "kd": kernel_distance,
    "precision": lambda **sides: neighbour_metrics(**sides).precision,
    "recall": lambda **sides: neighbour_metrics(**sides).recall,
    "density": lambda **sides: neighbour_metrics(**sides).density,
    "coverage": lambda **sides: neighbour_metrics(**sides).coverage,
    "vendi": lambda reference, generated: vendi_score(generated=generated),
    "vendi-truncated": lambda reference, generated: vendi_score(generated=generated, truncation=32),
    "mind": mind,
    "sw": sliced_wasserstein,
    "authpct": lambda **sides: memorisation(**sides).auth_pct,
    "copies": lambda **sides: memorisation(**sides).copies,
}

BARE_ON_TEN = [name for name in NUMBERS if name != "fd-infinity"]  # ten pictures per side allow the others


def features(n: int, seed: int, dim: int = 6) -> Features:
    return Features(gaussian(n, dim, seed=seed), {"source": f"/data/{seed}"})


def unit(rows: Features) -> np.ndarray:
    return rows.values / np.linalg.norm(rows.values, axis=1, keepdims=True)


X, Y = features(30, 1), features(26, 2)


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    """Pictures that nobody can read: a check that comes before reading does not stumble over them."""
    for folder in ("", "dog", "cat"):
        for i in range(6):
            path = tmp_path / "junk" / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("no picture")
    return tmp_path / "junk"


@pytest.mark.parametrize("name", [name for name in METRICS if name != "is"])
def test_values_and_intervals_are_those_of_the_bare_functions(name: str) -> None:
    (result,) = compare(X, Y, metric=name).results
    number = METRICS[name].number
    if number == "mmd":
        expected = squared_mmd(reference=unit(X), generated=unit(Y))
    else:
        expected = BARE[number](reference=X, generated=Y)
    assert (result.metric, result.value) == (name, float(expected))
    assert (result.standard_error, result.interval) == (expected.standard_error, expected.interval)
    assert result.corrected == expected.corrected
    assert (result.n_reference, result.n_generated) == (expected.n_reference, expected.n_generated)
    assert expected.parameters.items() <= result.parameters.items()
    assert set(expected.caveats) <= set(result.caveats)


def test_the_seed_reaches_the_draws_that_no_protocol_fixes() -> None:
    (sliced, scaled) = compare(X, Y, metric=["sw", "mind"], seed=7).results
    assert sliced.value == float(sliced_wasserstein(reference=X, generated=Y, seed=7))
    assert scaled.value == float(mind(reference=X, generated=Y, seed=2020))


def test_vendi_comes_with_the_references_own_score() -> None:
    (result,) = compare(X, Y, metric="vendi").results
    assert result.parameters["vendi_of_reference"] == float(vendi_score(generated=X))
    (result,) = compare(X, Y, metric="vendi-truncated").results
    assert result.parameters["vendi_of_reference"] == float(vendi_score(generated=X, truncation=32))


@pytest.mark.parametrize("scorer", ["neighbours", "copies"])
def test_metrics_of_one_pass_come_from_one_call(scorer: str) -> None:
    score = SCORERS[scorer](ScorerInput(X, find_recipe(None), None, 0, None))
    assert set(score(Y).estimates) == {name for name, spec in METRICS.items() if spec.scorer == scorer}


def test_several_sets_keep_their_order_and_their_values() -> None:
    sets = [features(25, seed) for seed in (3, 4)]
    names = ["recall", "kd", "precision"]
    report = compare(X, sets, metric=names)
    assert [(r.generated, r.metric) for r in report.results] == [(f"/data/{s}", n) for s in (3, 4) for n in names]
    for one in sets:
        for name in names:
            alone = compare(X, one, metric=name).value(name)
            assert report.value(name, generated=one.provenance["source"]) == alone


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ("torch-fidelity", "kid"),
        ("torchmetrics", "kid"),
        ("clean-fid", "kid"),
        ("torch-fidelity", "precision"),
        ("torch-fidelity", "recall"),
        ("torch-fidelity", "mind"),
    ],
)
def test_recipes_bring_their_tools_protocol(recipe: str, name: str) -> None:
    n = 1001 if name == "kid" and recipe != "clean-fid" else 40
    x, y = features(n + 9, 5, dim=4), features(n, 6, dim=4)
    expected = {
        "kid": lambda: kernel_distance(reference=x, generated=y, recipe=recipe),
        "precision": lambda: neighbour_metrics(reference=x, generated=y, recipe=recipe).precision,
        "recall": lambda: neighbour_metrics(reference=x, generated=y, recipe=recipe).recall,
        "mind": lambda: mind(reference=x, generated=y),
    }[name]()
    (result,) = compare(x, y, metric=name, recipe=recipe).results
    assert result.value == float(expected)
    assert dict(result.parameters) == dict(expected.parameters)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "default"])
def test_a_recipe_refuses_what_it_does_not_define(recipe: str, junk: Path) -> None:
    plan = RECIPES[recipe]
    for name in set(NUMBERS) - set(plan.metrics):
        with pytest.raises(ArgumentError, match=f"recipe {recipe} does not define {name}; it computes "):
            compare(junk, junk, metric=name, recipe=recipe)


@pytest.mark.parametrize("name", ROWS)
def test_mean_and_covariance_refuse_what_needs_rows_before_a_picture_is_read(name: str, junk: Path) -> None:
    statistics = GaussianStatistics(np.zeros(256), np.eye(256), 300, {"backbone": "unknown"})
    with pytest.raises(ArgumentError, match=f"{name}: one side holds mean and covariance only.*use `metric='fd'`"):
        compare(statistics, junk, metric=name)


def test_too_few_pictures_are_refused_before_one_is_read(junk: Path) -> None:
    few = junk / "dog"
    for options, message in (
        ({"metric": "kid", "recipe": "torch-fidelity"}, "kid: expected at least 1,000 pictures per side under recipe"),
        ({"metric": "density", "max_images": 5, "backbone": "mini"}, "density: expected at least 6 pictures per side"),
        ({"metric": "is", "backbone": "inception"}, "is: expected at least 10 pictures per side, got 6"),
    ):
        with pytest.raises(ArgumentError, match=message):
            compare(few, few, **options)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in ("is", "mmd")])
@pytest.mark.parametrize("recipe", ["default", "torch-fidelity"])
def test_the_least_number_of_pictures_is_the_bare_functions(name: str, recipe: str) -> None:
    if name not in RECIPES[recipe].metrics:
        return
    least = least_pictures(METRICS[name], RECIPES[recipe])
    enough, few = features(least, 1, dim=2), features(least - 1, 2, dim=2)
    assert np.isfinite(compare(enough, enough, metric=name, recipe=recipe).value(name))
    if least > 2:
        score = SCORERS[METRICS[name].scorer](ScorerInput(enough, find_recipe(recipe), None, 0, None))
        with pytest.raises(ArgumentError, match=f"{least:,}|{least}|{least - 1}"):
            score(few)


def test_each_metric_knows_which_way_is_better() -> None:
    higher = {name for name, spec in METRICS.items() if spec.higher_is_better}
    assert higher == {"precision", "recall", "density", "coverage", "vendi", "vendi-truncated", "is", "authpct"}
    assert [name for name, spec in METRICS.items() if spec.higher_is_better is None] == ["p-value"]
    report = compare(X, Y, metric=["fd", "copies", "recall"])
    assert [result.higher_is_better for result in report.results] == [False, False, True]
    legend = str(report).splitlines()
    assert "fd = Frechet distance; lower is closer to the reference." in legend
    assert any(line.startswith("copies = ") and line.endswith("; lower is better.") for line in legend)
    assert any(line.startswith("recall = ") and line.endswith("; higher is better.") for line in legend)


# ---- all -------------------------------------------------------------------------------------------


def test_all_is_everything_that_stored_features_allow() -> None:
    report = compare(X, Y, metric="all")
    assert [result.metric for result in report.results] == [name for name in NUMBERS if name != "is"]
    assert any(warning.startswith("'is' was left out: class logits need") for warning in report.warnings)
    assert report.provenance["options"]["metrics"] == [result.metric for result in report.results]


def test_all_keeps_a_published_name_that_was_asked_for() -> None:
    names = [result.metric for result in compare(X, Y, metric=["fid", "all"]).results]
    assert names == ["fid", *(name for name in NUMBERS if name not in ("fd", "is"))]


def test_all_under_a_recipe_and_of_statistics_says_what_is_missing() -> None:
    report = compare(X, Y, metric="all", recipe="clean-fid")
    assert [result.metric for result in report.results] == ["fd", "kd"]
    assert any("were left out: recipe clean-fid computes fd, kd" in warning for warning in report.warnings)
    report = compare(X.statistics(), Y, metric="all")
    assert [result.metric for result in report.results] == ["fd"]
    assert any("left out: one side holds mean and covariance only" in warning for warning in report.warnings)
    with pytest.raises(ArgumentError, match="mmd: one side holds mean and covariance only"):
        compare(X.statistics(), Y, metric="all", recipe="google-cmmd")


def test_all_goes_on_where_one_metric_is_undefined() -> None:
    same = Features(np.ones((12, 3)))
    report = compare(same, features(12, 3, dim=3), metric="all")
    assert "mmd" not in [result.metric for result in report.results]
    assert any(warning.startswith("mmd on features left out: ") for warning in report.warnings)
    with pytest.raises(ArgumentError, match="median"):
        compare(same, features(12, 3, dim=3), metric="mmd")


# ---- pictures --------------------------------------------------------------------------------------


def test_what_a_set_does_not_allow_is_said_with_its_name() -> None:
    x, y, z = (Features(gaussian(30, 4, seed=k), {"source": f"{name}.npy"}) for k, name in enumerate("xyz"))
    z.values[7] = 0
    with pytest.raises(ArgumentError, match=r"^z\.npy: expected rows with a direction, got zeros in row 7"):
        compare(x, [y, z], metric="vendi")
    with pytest.raises(ArgumentError, match=r"^z\.npy: expected rows with a direction, got zeros in row 7"):
        compare(z, [x, y], metric="vendi")
    left_out = compare(x, [y, z], metric="all").warnings
    assert any("vendi, vendi-truncated on features left out: z.npy: expected rows" in warning for warning in left_out)
    broken = GaussianStatistics(np.zeros(4), -np.eye(4), provenance={"source": "broken.npz"})
    for sides in ((x, [y, broken]), (broken, [y])):
        with pytest.raises(ArgumentError, match=r"^broken\.npz: the covariance has a negative eigenvalue"):
            compare(*sides, metric="fd")


def test_copied_pictures_are_found_and_no_name_comes_twice(tmp_path: Path) -> None:
    train = write_pictures(tmp_path / "train", 9)
    generated = write_pictures(tmp_path / "generated", 2, first_seed=50)
    for i in range(6):
        (generated / f"copy{i}.png").write_bytes((train / f"{i:03d}.png").read_bytes())
    report = compare(train, generated, backbone="mini", metric=["copies", "authpct"])
    x, y = (embed(side, backbone="mini") for side in (train, generated))
    bare = memorisation(reference=x, generated=y)
    assert [result.value for result in report.results] == [float(bare.copies), float(bare.auth_pct)]
    assert report.value("authpct") <= 25
    assert any("rounded differently" in caveat for caveat in report.results[0].caveats)


def test_the_inception_score_is_of_the_logits_without_bias(tmp_path: Path, inception_weights: Path) -> None:
    options = {"backbone": "inception", "weights": inception_weights}
    fake = write_pictures(tmp_path / "fake", 10)
    rows = embed(fake, **options)
    weight = torch.load(inception_weights, weights_only=True)["fc.weight"]
    assert weight.shape == (1008, 2048)
    logits = torch.nn.functional.linear(torch.from_numpy(rows.values), weight)
    report = compare(rows, fake, metric=["is", "all"], **options)
    assert report.value("is") == pytest.approx(float(inception_score(generated=logits)), rel=1e-5)
    assert [result.metric for result in report.results] == ["is", *(n for n in BARE_ON_TEN if n != "is")]
    assert (report.results[0].n_reference, report.results[0].n_generated) == (None, 10)


@pytest.mark.parametrize("recipe", ["default", "torch-fidelity", "torchmetrics"])
def test_the_inception_score_follows_the_recipe(recipe: str) -> None:
    classifier = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    found = SCORERS["inception-score"](ScorerInput(X, find_recipe(recipe), None, 0, classifier))(Y).estimates["is"]
    protocol = "torch-fidelity" if recipe == "default" else recipe
    assert found == inception_score(generated=Y.values @ classifier.T, recipe=protocol)


def test_only_whole_weights_of_all_dims_classify(inception_weights: Path) -> None:
    assert load_backbone("inception", weights=inception_weights, dims=64).classifier is None
    classifier = load_backbone("inception", weights=inception_weights).classifier
    assert classifier is not None
    assert (classifier.shape, classifier.dtype) == ((1008, 2048), np.float32)
    assert load_backbone("mini").classifier is None


def test_without_class_logits_the_inception_score_is_refused(
    junk: Path, tmp_path: Path, inception_weights: Path
) -> None:
    state = torch.load(inception_weights, weights_only=True)
    torch.save({key: value for key, value in state.items() if not key.startswith("fc.")}, tmp_path / "bare.pth")
    pictures = write_pictures(tmp_path / "real", 10)
    wide, narrow = (Features(gaussian(12, dim), {"backbone": "inception"}) for dim in (2048, 64))
    inception = {"backbone": "inception", "weights": inception_weights}
    other_dims = "is: class logits need Inception's 2,048 dimensions"
    for sides, options, message in (
        ((wide, wide), {}, "is: class logits need Inception's last layer, and stored features come without it"),
        ((junk, junk), {**inception, "dims": 64}, other_dims),
        ((narrow, junk), inception, other_dims),
        ((junk, junk), {"backbone": "clip"}, "'is' is not defined on clip; use `backbone='inception'`"),
        ((wide, pictures), {**inception, "weights": tmp_path / "bare.pth"}, "is: .* hold no fc.weight"),
    ):
        with pytest.raises(CmmdError, match=message):
            compare(*sides, metric="is", **options)


# ---- classes ---------------------------------------------------------------------------------------


def in_classes(seed: int, **counts: int) -> Features:
    names = tuple(f"{label}/{i}.png" for label, count in counts.items() for i in range(count))
    return Features(gaussian(len(names), 4, seed=seed), {"source": f"/data/{seed}"}, names)


def of_class(table: Features, label: str) -> Features:
    rows = [i for i, name in enumerate(table.names) if name.startswith(f"{label}/")]
    return Features(table.values[rows], table.provenance)


def test_each_class_scores_as_if_compared_alone() -> None:
    x, y, z = in_classes(1, cat=22, dog=25), in_classes(2, dog=21, cat=24), in_classes(3, cat=23)
    names = ["fd", "mmd", "recall", "vendi"]
    report = compare(x, [y, z], metric=names, per_class=True)
    assert report.results == compare(x, [y, z], metric=names).results
    assert list(report.results_per_class) == ["cat", "dog"]
    found = {
        (label, result.generated, result.metric): (result.value, result.interval, result.n_generated)
        for label, own in report.results_per_class.items()
        for result in own
    }
    expected = {
        (label, result.generated, result.metric): (result.value, result.interval, result.n_generated)
        for label, sets in (("cat", [y, z]), ("dog", [y]))
        for result in compare(of_class(x, label), [of_class(own, label) for own in sets], metric=names).results
    }
    assert list(found) == list(expected)
    assert found == expected
    assert any("3 has no dog, which 1 has; left out" in warning for warning in report.warnings)


def test_what_is_left_out_per_class_is_named() -> None:
    x, y = in_classes(1, cat=30, dog=3, elk=9, owl=1, yak=4), in_classes(2, cat=30, dog=3, emu=9, owl=7, yak=4)
    y = Features(np.vstack([y.values, y.values[:1]]), y.provenance, (*y.names, "stray.png"))
    report = compare(x, y, metric=["fd", "coverage"], per_class=True)
    assert {label: [r.metric for r in own] for label, own in report.results_per_class.items()} == {
        "cat": ["fd", "coverage"],
        "dog": ["fd"],
        "yak": ["fd"],
    }
    said = "\n".join(report.warnings)
    for words in (
        "2 has no elk, which 1 has",
        "1 has no emu, which 2 has",
        "1 has fewer than two pictures of owl",
        "2 has 1 picture outside any folder",
        "coverage takes at least 6 pictures per side; left out in dog, yak",
        "no more pictures than feature dimensions in dog, yak",
    ):
        assert words in said


def test_a_class_where_a_metric_is_undefined_does_not_stop_the_rest() -> None:
    x, y = in_classes(1, cat=9, dog=9), in_classes(2, cat=9, dog=9)
    x.values[:9] = 1.0
    report = compare(x, y, metric="mmd", per_class=True)
    assert list(report.results_per_class) == ["dog"]
    assert any("per class: mmd on features: " in w and w.endswith("left out in cat") for w in report.warnings)


def test_class_folders_of_pictures_are_scored_from_one_pass(tmp_path: Path) -> None:
    for side, seed in (("real", 0), ("fake", 100)):
        for label, count in (("cat", 4), ("dog", 3)):
            write_pictures(tmp_path / side / label, count, first_seed=seed + count)
    read: list[int] = []
    report = compare(
        tmp_path / "real",
        tmp_path / "fake",
        backbone="mini",
        metric=["kd", "sw"],
        per_class=True,
        progress=lambda *_: nullcontext(read.append),
    )
    assert sum(read) == 14
    alone = compare(tmp_path / "real" / "dog", tmp_path / "fake" / "dog", backbone="mini", metric=["kd", "sw"])
    pairs = zip(report.results_per_class["dog"], alone.results, strict=True)
    for result, expected in pairs:
        assert result.value == pytest.approx(expected.value, rel=1e-4)
        assert result.n_reference == 3
    document = json.loads(report.to_json())
    rows = [(row["class"], row["metric"], row["value"]) for row in document["results_per_class"]]
    assert rows == [(label, r.metric, r.value) for label, own in report.results_per_class.items() for r in own]
    table = str(report).split("Class by class")[1].splitlines()
    assert table[2].split()[:2] == ["Class", "Generated"]
    assert [line.split()[:4] for line in table[3:5]] == [["cat", "fake", "mini", "kd"], ["cat", "fake", "mini", "sw"]]


def test_no_common_class_is_refused_before_a_picture_is_read(junk: Path, tmp_path: Path) -> None:
    flat = write_pictures(tmp_path / "flat", 2)
    named = in_classes(1, cat=5)
    for sides, message in (
        (
            (junk, flat),
            "per_class: expected the same class folders .*junk/dog/1.png; .*flat has no folders",
        ),
        ((named, features(5, 2, dim=4)), "; /data/1 has the folders cat; /data/2 has no folders"),
        ((named, in_classes(2, dog=5)), "; /data/1 has the folders cat; /data/2 has the folders dog"),
        ((named, named.statistics()), "/data/1 holds mean and covariance only, and a class needs"),
    ):
        with pytest.raises(ArgumentError, match=message):
            compare(*sides, per_class=True, metric="fd")


# ---- the command -----------------------------------------------------------------------------------


def test_help_names_every_metric_from_the_table() -> None:
    shown = " ".join(CliRunner().invoke(cli.main.commands["compare"], ["--help"]).output.split())
    assert (
        f"Repeatable: {', '.join(METRICS)}, one of another package, or all; see `cmmd metrics`. [default: fd and mmd]"
        in shown
    )


def test_limits_go_the_way_of_their_metric() -> None:
    report = compare(X, Y, metric=["fid", "recall"])
    fid, recall = (result.value for result in report.results)
    assert parse_limit("--fail-above", f"fd={fid + 1}", ["fid"]).failures(report) == []
    assert "above" in parse_limit("--fail-above", f"fd={fid - 1}", ["fid"]).failures(report)[0]
    assert parse_limit("--fail-below", f"recall={recall}", ["all"]).failures(report) == []
    (line,) = parse_limit("--fail-below", "recall=1.5", ["recall"]).failures(report)
    assert line == f"/data/2: recall on features is {recall:.4f}, below 1.5"
    for option, text, metrics, message in (
        ("--fail-above", "recall=0.5", ["recall"], "for recall, higher is better; use --fail-below recall=0.5"),
        ("--fail-below", "fid=3", ["fid"], "for fid, lower is closer to the reference; use --fail-above fid=3"),
        (
            "--fail-below",
            "recall=high",
            ["recall"],
            r"expected \[BACKBONE:\]METRIC\[:corrected\]=VALUE, such as coverage=0.5",
        ),
        ("--fail-below", "recall=1", [], r"recall is not among the metrics of this run \(fd, mmd\)"),
        ("--fail-below", "recal=1", ["all"], "recal is not among the metrics"),
    ):
        with pytest.raises(ArgumentError, match=message):
            parse_limit(option, text, metrics)
    with pytest.raises(ArgumentError, match=r"no such metric among the results \(fid, recall\)"):
        parse_limit("--fail-below", "vendi=1", ["all"]).failures(report)


def test_the_command_scores_classes_and_keeps_the_lower_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for seed, path in enumerate(sides):
        in_classes(seed, cat=8, dog=8).save(path)
    arguments = ["compare", *map(str, sides), "--metric", "coverage", "--metric", "fd", "--per-class"]
    for limit, expected in (("coverage=0", 0), ("coverage=2", 1)):
        with pytest.raises(SystemExit) as stopped:
            cli.main([*arguments, "--fail-below", limit])
        captured = capsys.readouterr()
        assert int(stopped.value.code or 0) == expected
        assert "Class by class" in captured.out
        assert ("below 2" in captured.err) == bool(expected)
