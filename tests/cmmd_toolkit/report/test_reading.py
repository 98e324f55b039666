"""How numbers are printed: digits by the error, value and value without bias, tests that are no scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features, compare, explain, plan, rank
from cmmd_toolkit.common.text import estimate_texts, number_text, p_phrase, p_text, plain


def features(name: str, seed: int, n: int = 60) -> Features:
    return Features(gaussian(n, 8, seed=seed, shift=2.0), {"source": f"/data/{name}"})


REAL, TWIN = features("real", 1), features("twin", 2)
FAR = Features(features("", 3).values * np.linspace(0.5, 2, 8), {"source": "/data/far"})


# ---- digits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.058, 0.0070, "1.0580"),
        (1.0580123, 0.00996, "1.058"),
        (0.000012345, 0.0000031, "0.0000123"),
        (-2.44382e-05, 0.0004, "-0.00002"),
        (-2.4e-06, 0.0004, "0.00000"),
        (-0.0, 0.1, "0.00"),
        (12345.678, 234.0, "12346"),
        (0.5, 0.0, "0.5000"),
        (0.0, None, "0"),
        (1.0, None, "1.000"),
        (0.99996, None, "1.000"),
        (123456.7, None, "123457"),
        (-2.44382e-05, None, "-0.00002444"),
        (1e-30, None, "0.000000000000000"),
    ],
)
def test_the_error_decides_the_digits(value: float, error: float | None, text: str) -> None:
    assert number_text(value, error) == text


def test_no_number_has_an_exponent_or_a_minus_before_zero() -> None:
    random = np.random.default_rng(0)
    for _ in range(2000):
        value, error = random.standard_normal() * 10 ** random.uniform(-9, 7), 10 ** random.uniform(-9, 7)
        for text in (number_text(value, error), number_text(value), number_text(value, sign="+"), plain(value)):
            assert "e" not in text.lower()
            assert float(text) != 0 or text[0] not in "+-"
        digits = number_text(error, error).replace(".", "").lstrip("0")
        assert len(digits) == 2 or error >= 99.5
        assert abs(float(number_text(value, error)) - value) <= 0.06 * error or error >= 99.5


def test_value_error_and_interval_have_the_same_decimals() -> None:
    texts = estimate_texts(0.038612, 0.025113, 0.0053, (0.01634, 0.03611))
    assert texts == ("0.0386", "0.0251", "0.0053", "0.0163 to 0.0361")
    assert estimate_texts(0.5, None, None, None) == ("0.5000", "-", "-", "-")
    assert estimate_texts(1.0, 1.0, 0.0, (0.886, 1.0)) == ("1.000", "1.000", "0.000", "0.886 to 1.000")


def test_p_values_have_a_form_of_their_own() -> None:
    assert [p_text(p) for p in (1.0, 0.694, 0.00012, 0.0001, 2e-18)] == ["1", "0.69", "0.00012", "0.0001", "< 1e-17"]
    shown = [p_phrase(p) for p in (0.694, 0.0005, 5e-5, 2e-6, 2.1e-18, 0.0)]
    assert shown == ["p = 0.69", "p = 0.0005", "p < 0.0001", "p < 1e-5", "p < 1e-17", "p < 1e-20"]


def test_no_output_has_an_exponent_but_a_p_value(tmp_path: Path) -> None:
    """Features whose distances are about 1e-7, in every text that is printed."""
    small = [Features(1e-4 * own.values, own.provenance) for own in (REAL, TWIN, FAR)]
    report = compare(small[0], small[1:], metric=["fd", "kd", "sw", "copies", "recall", "mmd"])
    report.save(tmp_path / "report.json")
    texts = [str(report), str(explain(*small[:2])), str(plan(small[0], [small[2]], metric="fd"))]
    texts += [str(rank(small[0], small[1:], metric="fd")), str(plan(tmp_path / "report.json"))]
    for text in texts:
        for word in text.replace("< 1e-", "").split():
            assert not ("e-" in word and word[0] in "-+.0123456789"), text
        assert "-0.0000 " not in text
    stored = json.loads((tmp_path / "report.json").read_text())["results"][0]["value"]
    assert stored == report.results[0].value


# ---- the value, and the value without bias ------------------------------------------------------------


def columns(text: str) -> list[dict[str, str]]:
    """The rows of the first table by heading; cells are two blanks apart."""
    lines = text.split("\n\n")[1].splitlines()
    split = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    return [dict(zip(split[0], row, strict=True)) for row in split[1:]]


def test_the_value_without_bias_stands_beside_the_value_and_the_interval_belongs_to_it() -> None:
    report = compare(REAL, TWIN)
    (fd, mmd), rows = report.results, columns(str(report))
    assert fd.corrected is not None
    assert fd.corrected < fd.value
    assert mmd.corrected == mmd.value
    assert (rows[0]["Value"], rows[0]["Without bias"]) == fd.estimate_texts[:2]
    assert rows[1]["Value"] == rows[1]["Without bias"]
    assert "Value: as other tools print it. Without bias:" in str(report)
    for result in report.results:
        assert result.interval is not None
        assert result.interval[0] <= result.corrected <= result.interval[1]


def test_the_column_is_left_out_where_no_number_is_biased() -> None:
    for metric in (["mmd", "kd"], ["recall"]):
        text = str(compare(REAL, TWIN, metric=metric))
        assert "ithout bias" not in text
    released = compare(REAL, TWIN, recipe="google-cmmd", metric="cmmd")
    assert "Without bias" in str(released)
    assert released.results[0].corrected < released.results[0].value


def test_json_has_the_number_without_bias_and_why_there_is_no_error() -> None:
    document = json.loads(compare(REAL, TWIN, metric=["fd", "recall"]).to_json())
    assert document["schema_version"] == 3
    fd, recall = document["results"]
    assert fd["corrected"] < fd["value"]
    assert fd["no_error_reason"] is None
    assert (recall["corrected"], recall["standard_error"]) == (None, None)
    assert "a bootstrap sample contains copies" in recall["no_error_reason"]


def test_every_result_without_an_error_says_why() -> None:
    report = compare(REAL, TWIN, metric="all")
    for result in report.results:
        missing = result.standard_error is None or result.interval is None
        assert missing == (result.no_error_reason is not None), result.metric
        assert not any("no standard error" in caveat for caveat in result.caveats)
    few = compare(features("a", 1, n=9), features("b", 2, n=9), metric="mmd")
    assert few.results[0].no_error_reason in "\n".join(few.warnings)
    assert any(warning.startswith("mmd on features: no error and no interval: 9 ") for warning in few.warnings)


def test_a_ranking_by_fd_names_its_column() -> None:
    ranking = rank(REAL, [FAR, TWIN], metric="fd")
    assert "fd without bias" in str(ranking)
    results = {result.generated: result for result in compare(REAL, [FAR, TWIN], metric="fd").results}
    for place in ranking.orders[0].places:
        result = results[f"/data/{place.generated}"]
        assert (place.score, place.value) == (result.corrected, result.value)


def test_a_plan_from_a_report_starts_from_the_value_without_bias(tmp_path: Path) -> None:
    report = compare(REAL, FAR, metric="fd")
    report.save(tmp_path / "report.json")
    assert plan(tmp_path / "report.json").needs[0].value == report.results[0].corrected
    document = json.loads((tmp_path / "report.json").read_text())
    document["results"][0].pop("corrected")  # schema version 2
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert plan(tmp_path / "old.json").needs[0].value == report.results[0].value


# ---- a test is no score ------------------------------------------------------------------------------


def test_a_p_value_has_a_table_of_its_own_and_no_better_direction() -> None:
    report = compare(REAL, [TWIN, FAR], metric=["p-value", "mmd"])
    assert [r.higher_is_better for r in report.results] == [None, False, None, False]
    scores, tests = str(report).split("Test: do the sets differ at all?")
    assert "p-value" not in scores
    assert "no difference shown" in tests.splitlines()[3]
    assert "the sets differ" in tests.splitlines()[4]
    assert "a test, not a score" in tests
    assert not any("p-value" in warning for warning in report.warnings)
    alone = str(compare(REAL, FAR, metric="p-value"))
    assert alone.splitlines()[0] == "Reference: /data/real   Test: do the sets differ at all?"


def test_a_p_value_of_a_class_is_no_score_either() -> None:
    names = tuple(f"{label}/{i}" for label in ("cat", "dog") for i in range(30))
    sides = [Features(own.values, own.provenance, names) for own in (REAL, FAR)]
    text = str(compare(*sides, metric=["p-value", "mmd"], per_class=True))
    classes, tests = text.split("Class by class", 1)[1].split("Class by class. Test: do the sets differ at all?")
    assert "p-value" not in classes
    assert tests.splitlines()[2].split()[:3] == ["Class", "Generated", "Backbone"]
    assert tests.splitlines()[3].split()[0] == "cat"


def test_no_ranking_by_a_p_value() -> None:
    with pytest.raises(ArgumentError, match="metric: expected mmd or fd"):
        rank(REAL, [TWIN, FAR], metric="p-value")  # type: ignore[arg-type]
