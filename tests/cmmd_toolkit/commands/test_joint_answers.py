"""`compare --test joint`: the answer in every form, corrected for several sets, refused before work is done."""

import json
from pathlib import Path

import numpy as np
import pytest

from cmmd_toolkit import ArgumentError, Features, FeatureSet, Report, compare
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.commands.limits import ABOVE, BELOW, parse_limit
from cmmd_toolkit.report.joint import EVERY


def features(n: int, spread: float, seed: int, name: str) -> FeatureSet:
    """Two backbones: one sees how much six classes spread, the other is told nothing."""
    random = np.random.default_rng(seed)
    means = 3 * np.random.default_rng(99).standard_normal((6, 8))
    rows = means[random.integers(0, 6, n)] + spread * random.standard_normal((n, 8))
    every = {"sees": rows, "blind": np.random.default_rng(seed + 50).standard_normal((n, 3))}
    return FeatureSet(
        {key: Features(own.astype(np.float32), {"backbone": key, "source": name}) for key, own in every.items()}
    )


@pytest.fixture(scope="module")
def report() -> Report:
    sets = [features(220, 1.0, 1, "real"), features(200, 0.55, 2, "narrow"), features(210, 1.0, 3, "good")]
    return compare(sets[0], sets[1:], metric="mmd", test="joint")


def test_the_answer_names_backbone_width_and_side(report: Report) -> None:
    narrow, good = report.joint
    assert narrow.text.startswith("narrow differs from real (p = 0.001). Seen on sees (p = 0.001), most clearly at ")
    assert "where generated pictures lie closer together than those of the reference" in narrow.text
    assert "Not shown on blind (p = " in narrow.text
    assert good.text.startswith("No difference between good and real is shown on sees and blind (p = ")


def test_p_values_are_corrected_for_the_sets(report: Report) -> None:
    narrow, good = report.joint
    assert narrow.p_adjusted == pytest.approx(2 * narrow.test.p_value)
    assert good.p_adjusted == good.test.p_value
    alone = compare(features(220, 1.0, 1, "real"), features(200, 0.55, 2, "narrow"), metric="mmd", test="joint")
    assert alone.joint[0].test.p_value == narrow.test.p_value == alone.joint[0].p_adjusted
    assert narrow.test.p_by_backbone == {key: min(1, 2 * p) for key, p in alone.joint[0].test.p_by_backbone.items()}


def test_every_form_shows_it(report: Report, tmp_path: Path) -> None:
    narrow = report.joint[0]
    assert narrow.text in str(report)
    for text in (report.to_markdown(), report.to_latex(), report._repr_html_()):
        assert "Joint test: do the sets differ at all?" in text
        assert EVERY in text
    rows = [row for row in report.rows() if row["metric"] == "joint"]
    assert [(row["generated"], row["backbone"]) for row in rows] == [
        (name, backbone) for name in ("narrow", "good") for backbone in (EVERY, "sees", "blind")
    ]
    assert rows[0]["value"] == narrow.p_adjusted
    report.save_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count(narrow.text) == 1
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").joint == report.joint
    assert report.provenance["options"]["test"] == "joint"


def test_a_report_without_joint_tests_is_read_too(report: Report, tmp_path: Path) -> None:
    document = report.to_dict()
    del document["joint"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert Report.load(tmp_path / "old.json").joint == ()


def test_rows_of_unit_length_are_compared_as_mmd_compares_them(report: Report) -> None:
    medians = report.joint[0].test.parameters["median_distance"]
    assert set(medians) == {"sees", "blind"}
    assert all(0 < median < 2 for median in medians.values())


def test_what_has_no_rows_or_another_recipe_is_refused() -> None:
    rows = features(30, 1.0, 1, "real")
    with pytest.raises(ArgumentError, match="test: real holds mean and covariance only, and the joint test needs"):
        compare(rows["sees"], rows["sees"].statistics(), test="joint")
    with pytest.raises(ArgumentError, match="test: expected joint, got 'energy'"):
        compare(rows, rows, test="energy")  # type: ignore[arg-type]


def test_a_gate_closes_where_the_sets_differ(report: Report) -> None:
    sentence = "narrow: the joint test {} gives 0.001, below 0.05: the sets differ"
    for text, where in (("joint=0.05", "over all backbones"), ("sees:joint=0.05", "on sees")):
        limit = parse_limit(BELOW, text, ["mmd"], "joint")
        limit.check_backbones(["sees", "blind"])
        assert limit.failures(report) == [sentence.format(where)]
    assert parse_limit(BELOW, "blind:joint=0.05", ["mmd"], "joint").failures(report) == []
    for option, text, test, message in (
        (BELOW, "joint=0.05", None, "joint is not among the metrics of this run .*; add --test joint$"),
        (BELOW, "joint=5", "joint", "a p-value is between 0 and 1; use --fail-below joint=0.05"),
        (BELOW, "joint=0", "joint", "a p-value is between 0 and 1"),
        (ABOVE, "joint=0.05", "joint", "use --fail-below joint=0.05"),
        (BELOW, "joint:corrected=0.05", "joint", "which has no bias"),
    ):
        with pytest.raises(ArgumentError, match=message):
            parse_limit(option, text, ["mmd"], test)


def test_the_command_prints_it_and_refuses_a_recipe_in_one_line(
    real: Path, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--backbone", "mini", "--device", "cpu", "--no-store", "--metric", "mmd"]
    for more, code in (([*options, "--test", "joint"], 0), (["--recipe", "google-cmmd", "--test", "joint"], 2)):
        with pytest.raises(SystemExit) as stopped:
            main(["compare", str(real), str(fake), *more])
        assert int(stopped.value.code or 0) == code
    captured = capsys.readouterr()
    assert "Joint test at 0.05:" in captured.out
    assert f"{fake.name} (joint test)" in captured.err
    assert "recipe google-cmmd defines none; leave out --test or --recipe" in captured.err
