"""Records on paper: every digit in rows, tables whose bold the tests decide, LaTeX that compiles, figures that fit."""

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features, InputError, Report, compare, contrast, explain, plan, rank
from cmmd_toolkit.backbones.remarks import MINI_REMARK
from cmmd_toolkit.report.paper.figure import SMALLEST, WIDTH
from cmmd_toolkit.report.paper.fitting import fitted
from cmmd_toolkit.report.paper.latex import escaped, to_latex
from cmmd_toolkit.report.paper.record import PaperRecord
from cmmd_toolkit.report.paper.scores import best_sets
from cmmd_toolkit.report.paper.table import Heading, PaperTable, in_parts, name_cell, number_cell

ODD = "[m] a_b\\c {d} <e> \"q\" -- 50% #1 $x$ & ~ ^ ` * '' | é"
NAMES = tuple(f"{label}/{i}.png" for label in ("cat", ODD) for i in range(30))


def features(name: str, seed: int, shift: float = 0.0) -> Features:
    return Features(gaussian(60, 4, seed=seed, shift=shift), {"source": f"/data/{name}"}, NAMES)


REAL, NEAR, FAR, ALSO_FAR = features("real", 0), features("near", 1), features(ODD, 2, 1.0), features("far too", 3, 1.0)
REPORT = compare(REAL, [FAR, NEAR, ALSO_FAR], metric=["mmd", "fd", "recall", "p-value"], per_class=True)
LONG = [f"runs/2024-01-exp-{letter}/samples/step-100000-ema" for letter in "abc"]
RECORDS: dict[str, PaperRecord] = {
    "report": REPORT,
    "ranking": rank(REAL, [FAR, NEAR, ALSO_FAR], metric="fd"),
    "plan": plan(REAL, FAR, differences=["10%", 0.2, 0.05]),
    "explanation": explain(REAL, FAR, top=3),
    "contrast": contrast(REAL, FAR, NEAR, top=3),
}


@pytest.fixture(params=list(RECORDS))
def record(request: pytest.FixtureRequest) -> PaperRecord:
    return RECORDS[request.param]


# ---- rows -------------------------------------------------------------------------------------------


def test_csv_keeps_every_digit(record: PaperRecord) -> None:
    rows = record.rows()
    read = list(csv.DictReader(io.StringIO(record.to_csv())))
    assert len(read) == len(rows) > 0
    for own, there in zip(rows, read, strict=True):
        assert tuple(there) == record.columns
        assert set(own) == set(record.columns)
        for name, value in own.items():
            text = there[name]
            assert text == "" if value is None else text == str(value)
            if isinstance(value, float):
                assert float(text) == value


def test_no_text_of_a_csv_is_a_formula_and_every_text_can_be_read_back() -> None:
    names = ("=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "'=1", "''-1", "\uff1d1", "'a", "a=1", "1-1", "")
    result = REPORT.results[0]
    report = replace(REPORT, results=tuple(replace(result, generated=name, value=-1.5) for name in names))
    read = list(csv.DictReader(io.StringIO(report.to_csv(), newline="")))
    cells = [row["generated"] for row in read[: len(names)]]
    assert not any(cell[:1] in tuple("=+-@\t\r\n\uff1d") for cell in cells if cell)
    assert tuple(re.sub(r"^'(?='*[=+\-@\t\r\n\uff1d])", "", cell) for cell in cells) == names
    assert cells[-4:] == ["'a", "a=1", "1-1", ""]
    assert {row["value"] for row in read[: len(names)]} == {"-1.5"}  # numbers stay numbers


def test_names_that_are_no_utf_8_are_escaped_in_data_frames() -> None:
    result = replace(REPORT.results[0], generated="caf\udce9")
    report = replace(REPORT, results=(result,), results_per_class={})
    assert report.to_dataframe()["generated"].tolist() == ["caf\\udce9"]


def test_rows_of_a_report_are_its_results() -> None:
    every = [*REPORT.results, *(result for own in REPORT.results_per_class.values() for result in own)]
    assert [row["value"] for row in REPORT.rows()] == [result.value for result in every]
    assert [(row["low"], row["high"]) for row in REPORT.rows()] == [result.interval or (None, None) for result in every]
    assert {row["class"] for row in REPORT.rows()} == {None, "cat", ODD}


def test_a_data_frame_holds_the_rows(record: PaperRecord) -> None:
    frame = record.to_dataframe()
    assert tuple(frame.columns) == record.columns
    for row, (_, own) in zip(record.rows(), frame.iterrows(), strict=True):
        assert all(own[name] == value for name, value in row.items() if value is not None)


def test_without_pandas_a_data_frame_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ArgumentError, match=r"pip install 'cmmd-toolkit\[pandas\]', or write `to_csv"):
        REPORT.to_dataframe()


# ---- bold -------------------------------------------------------------------------------------------


def bold(text: str) -> list[str]:
    return [found for found in re.findall(r"\*\*(.+?)\*\*", text) if "±" in found]


def test_the_closest_set_is_bold_where_it_beats_every_other() -> None:
    assert best_sets(REPORT) == {("features", "mmd", "near")}
    value, _, error, _ = next(
        result.estimate_texts for result in REPORT.results if (result.generated, result.metric) == ("/data/near", "mmd")
    )
    assert bold(REPORT.to_markdown()) == [f"{value} ± {error}"]
    assert REPORT.to_latex().count(r"\textbf") == 1


def test_nothing_is_bold_among_sets_that_cannot_be_told_apart_or_where_one_is_not_tested() -> None:
    tied = compare(REAL, [FAR, ALSO_FAR], metric="mmd")
    assert not bold(tied.to_markdown())
    assert "here none is" in tied.to_markdown()
    (verdict,) = REPORT.verdicts
    fewer = replace(verdict, pairs=tuple(pair for pair in verdict.pairs if pair.worse != "far too"))
    assert not bold(replace(REPORT, verdicts=(fewer,)).to_markdown())
    single = compare(REAL, NEAR)
    assert not bold(single.to_markdown())
    assert "Bold" not in single.to_markdown()


def test_of_a_biased_metric_the_number_without_bias_is_bold() -> None:
    report = compare(REAL, [FAR, NEAR], metric="fd")
    near = next(result for result in report.results if result.generated == "/data/near")
    assert bold(report.to_markdown()) == [f"{near.estimate_texts[1]} ± {near.estimate_texts[2]}"]


def test_a_ranking_has_the_first_in_bold_by_its_tests() -> None:
    assert len(bold(RECORDS["ranking"].to_markdown())) == 1
    assert not bold(rank(REAL, [FAR, ALSO_FAR]).to_markdown())


# ---- tables -----------------------------------------------------------------------------------------


def test_every_number_of_a_report_stands_in_its_table() -> None:
    for text, sign in ((REPORT.to_markdown(), "±"), (REPORT.to_latex(), r"$\pm$")):
        for result in REPORT.results:
            if result.standard_error is not None:
                value, _, error, _ = result.estimate_texts
                assert f"{value.replace('-', '$-$') if '$' in sign else value} {sign} {error}" in text


def test_many_metrics_of_one_set_are_rows_and_many_columns_are_several_tables() -> None:
    metrics = ["fd", "mmd", "kd", "precision", "recall", "density", "coverage", "sw"]
    (table,) = compare(REAL, NEAR, metric=metrics).paper_tables()
    assert [heading.text for heading in table.headings] == ["Backbone", "Metric", "near"]
    assert [row[1].text for row in table.rows[:3]] == ["fd ↓", "fd without bias ↓", "mmd ↓"]
    assert len(table.rows) == len(metrics) + 1
    wide = PaperTable(
        "c",
        (Heading("name", is_name=True), *(Heading(str(i)) for i in range(15))),
        ((name_cell("a"), *(number_cell(str(i)) for i in range(15))),),
        ("note",),
    )
    parts = in_parts(wide, 6)
    assert [cell.text for part in parts for cell in part.rows[0] if cell.is_number] == [str(i) for i in range(15)]
    assert [part.notes for part in parts] == [(), (), ("note",)]


def test_a_markdown_row_has_one_cell_a_column_whatever_the_names_hold(record: PaperRecord) -> None:
    for block in record.to_markdown().split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
            assert len(counts) == 1, block


def test_a_loaded_record_prints_the_same(record: PaperRecord, tmp_path: Path) -> None:
    record.save(tmp_path / "r.json")
    loaded = type(record).load(tmp_path / "r.json")
    for form in ("to_csv", "to_markdown", "to_latex", "to_svg", "_repr_html_"):
        assert getattr(loaded, form)() == getattr(record, form)(), form


def test_a_notebook_gets_escaped_html(record: PaperRecord) -> None:
    text = record._repr_html_()
    assert "<e>" not in text
    assert text.count("<tr>") == text.count("</tr>") > 1


def test_sets_of_one_name_keep_a_row_each_and_none_is_bold() -> None:
    twins = [Features(gaussian(60, 4, seed=seed, shift=shift), {"source": "same"}) for seed, shift in ((1, 0), (2, 2))]
    told_apart = compare(REAL, twins, metric="mmd")
    report = replace(told_apart, results=tuple(replace(own, generated="same") for own in told_apart.results))  # of old
    (table,) = report.paper_tables()
    assert [row[0].text for row in table.rows] == ["same", "same (2)"]
    assert len(bold(told_apart.to_markdown())) == 1
    assert [row[1].text for row in table.rows] == [result.estimate_texts[0] for result in report.results]
    assert not bold(report.to_markdown())


@pytest.mark.parametrize("name", ["explanation", "contrast"])
def test_every_listed_picture_stands_in_each_form_with_its_numbers(name: str) -> None:
    record = RECORDS[name]
    rows, (table,) = record.rows(), record.paper_tables()
    assert len(rows) == len(table.rows) == 3 * (3 if name == "explanation" else 4)
    for row, cells in zip(rows, table.rows, strict=True):
        kind, picture, witness, change, nearest, distance = (cell.text for cell in cells)
        assert (picture, nearest) == (row["picture"], row["nearest"])
        assert kind.split()[0] == str(row["list"]).split()[0]
        for text, number in ((witness, row["witness"]), (change, row["change"]), (distance, row["distance"])):
            assert float(text) == pytest.approx(number, abs=0.51 * 10.0 ** -len(text.partition(".")[2]))
            assert text in record.to_markdown()
            assert text.replace("-", "$-$") in record.to_latex()
        assert picture.rpartition("/")[2] in record.to_latex()  # long names lose their middle
    assert [row["place"] for row in rows] == [1, 2, 3] * (len(rows) // 3)


def test_a_notebook_shows_a_figure_without_pyplot() -> None:
    picture = REPORT.plot()._repr_png_()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture == REPORT.plot()._repr_png_()


# ---- LaTeX ------------------------------------------------------------------------------------------

_ALLOWED = re.compile(
    r"\\[&%$#_{}]|\\text(?:backslash|ascii\w+|less|greater|bar)\{\}|\\char34\{\}|\{\[\}|\{\]\}|\{\*\}|\{\}"
)


def test_no_letter_of_a_name_means_anything_to_tex() -> None:
    for text in (ODD, "\\\\[1cm]", "a--b,,c---", "%", "", *map(chr, range(33, 127))):
        rest = _ALLOWED.sub("", escaped(text))
        assert not set(rest) & set('\\{}$&#^_~%[]*<>|`"'), text
        assert "--" not in escaped(text)


def test_latex_compiles_with_any_name(record: PaperRecord, tmp_path: Path) -> None:
    """With letters of every script: pdfLaTeX shows the code of those that it has no font for."""
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex")
    odd = PaperTable(
        "日 %", (Heading("[", "日 ж", True), Heading("v")), ((name_cell("ħ😀"), number_cell("-1.5")),), ("日",)
    )
    (tmp_path / "table.tex").write_text(to_latex([*record.paper_tables(), odd]), encoding="utf-8")
    (tmp_path / "main.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\listoftables\input{table}\end{document}"
    )
    for _ in range(2):  # the second reads what the first wrote
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
        made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        if b"booktabs.sty' not found" in made.stdout:
            pytest.skip("this TeX has no booktabs")
        assert made.returncode == 0, made.stdout[-2000:]


def test_no_table_is_wider_than_the_text_of_an_article(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex")
    sets = {name: features("x", seed, seed / 10) for seed, name in enumerate(LONG, 1)}
    scores = compare(REAL, sets, metric=["fd", "mmd", "recall", "density"])
    records = [rank(REAL, sets), scores, plan(scores), REPORT]
    body = "".join(record.to_latex() for record in records)
    labels = re.findall(r"\\label\{(.*)\}", body)
    assert len(set(labels)) == len(labels) > len(records)
    assert all(re.fullmatch("tab:cmmd-(rank|compare|plan|classes)-[a-z0-9-]+", label) for label in labels)
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}"
    (tmp_path / "main.tex").write_text(head + body + r"\end{document}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "main.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    if b"booktabs.sty' not found" in made.stdout:
        pytest.skip("this TeX has no booktabs")
    assert made.returncode == 0
    assert not re.findall(rb"Overfull .*|.*multiply defined.*", made.stdout)


def test_a_plan_keeps_how_large_the_reference_must_be() -> None:
    (need,) = plan(REAL, FAR, differences=[0.2]).needs
    lacking = replace(need, sizes=tuple(replace(size, unlike=None, reference_unlike=4850) for size in need.sizes))
    text = replace(RECORDS["plan"], needs=(lacking,)).to_latex()
    assert "none (4,850)" in text
    assert "how many it needs at least" in text


def test_class_tables_have_their_pictures_and_a_ranking_says_how_to_read_it() -> None:
    assert "| 30, 30 |" in REPORT.to_markdown()
    said = RECORDS["ranking"].to_markdown()
    assert "Frechet distance" in said
    assert "not corrected; below zero this set is closer" in said


def test_a_minus_is_a_minus_in_captions_and_notes_too() -> None:
    table = PaperTable("v -0.5, a-1, 2024-01", (Heading("a", is_name=True),), ((name_cell("x"),),), ("(-2)",))
    text = to_latex([table])
    assert "v $-$0.5, a-1, 2024-01" in text
    assert "($-$2)" in text


def test_line_breaks_in_names_break_no_table() -> None:
    odd = Features(REAL.values, {"source": "/data/a\n\n| b\x1b"})
    for report in (compare(odd, [NEAR, odd], metric="mmd"), rank(odd, [NEAR, FAR]), explain(odd, NEAR, top=1)):
        assert r"a\textbackslash{}n\textbackslash{}n" in report.to_latex()
        assert "\x1b" not in report.to_latex() + report.to_markdown() + report._repr_html_()
        (caption, *_) = report.to_markdown().splitlines()
        assert caption.startswith("**")
        assert caption.endswith("**")


# ---- figures ----------------------------------------------------------------------------------------


def texts_of(figure: Any) -> Iterator[Any]:
    from matplotlib.text import Text

    yield from (text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip())


def test_a_figure_is_one_column_wide_and_every_text_is_legible_and_inside(record: PaperRecord) -> None:
    figure = record.plot()
    assert figure.get_size_inches()[0] == WIDTH == 3.3
    assert all(text.get_fontsize() >= SMALLEST == 7 for text in texts_of(figure))
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_record_gives_the_same_file(kind: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        REPORT.plot(tmp_path / f"{name}.{kind}")
    first, second = (tmp_path / f"{name}.{kind}" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_figure_shows_values_without_bias_and_their_intervals() -> None:
    figure = REPORT.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["features"] * 3  # mmd, fd and recall; a p-value is no score
    assert "features, class cat" in titles[3:]
    assert len(titles) == 5  # a panel for each class, by the metric of the verdict
    own = [result for result in REPORT.results if result.metric == "fd"]
    marks = [line for line in figure.axes[1].lines if line.get_marker() not in ("None", "|")]
    assert [line.get_xdata()[0] for line in marks] == [result.corrected for result in own]
    bars = [tuple(line.get_xdata()) for line in figure.axes[1].lines if line.get_linestyle() == "-"]
    assert bars == [result.interval for result in own]
    assert len({line.get_marker() for line in marks}) == len(marks)  # reads in grey


def test_long_names_leave_the_axis_its_width_and_no_ticks_touch() -> None:
    sets = {name: features("x", seed, seed / 10) for seed, name in enumerate(LONG, 1)}
    given, ordered = compare(REAL, sets, metric="mmd").plot(), rank(REAL, sets).plot()
    for figure in (given, ordered):
        (axes,) = figure.axes
        assert axes.get_position().width > 0.5
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert len(set(labels)) == len(LONG)
        assert all("…" in label for label in labels)
        boxes = sorted((box.x0, box.x1) for box in (own.get_window_extent() for own in axes.get_xticklabels()))
        assert all(left[1] < right[0] for left, right in pairwise(boxes))


def test_a_set_has_one_colour_in_every_figure() -> None:
    def looks(panel: Any) -> dict[str, int]:
        return {Path(point.label).name: point.series for point in panel.points}

    first = REPORT.results[0]
    given = dict.fromkeys([first.reference, *(result.generated for result in REPORT.results)])
    ranking = replace(rank(REAL, [FAR, NEAR, ALSO_FAR]), sets=tuple({"name": name} for name in given))
    assert looks(ranking.panels()[0]) == looks(REPORT.panels()[0])
    assert looks(REPORT.panels()[0]) == looks(REPORT.panels()[-1])


def test_of_many_classes_the_worst_are_drawn_and_the_title_says_so() -> None:
    own = tuple(result for result in REPORT.results_per_class["cat"] if result.generated == "/data/near")
    many = {f"c{i:02}": tuple(replace(r, value=r.value + i, corrected=None) for r in own) for i in range(20)}
    whole = tuple(result for result in REPORT.results if result.generated == "/data/near")
    panel = replace(REPORT, results=whole, results_per_class=many, verdicts=()).panels()[-1]
    assert panel.title == "features, by class, 12 worst of 20"
    assert [point.label for point in panel.points] == [f"c{i:02}" for i in range(8, 20)]


def test_a_plan_draws_both_cases_and_names_the_one_without_a_number() -> None:
    (need,) = plan(REAL, FAR, differences=[0.2, 0.1]).needs
    lacking = replace(need, sizes=tuple(replace(size, unlike=None) for size in need.sizes))
    figure = replace(RECORDS["plan"], needs=(lacking,)).plot()
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert shown == ["same way", "different ways: reference too small"]


def test_what_must_be_said_of_a_backbone_stands_in_every_form(record: PaperRecord) -> None:
    said = replace(record, warnings=(MINI_REMARK,))
    start = MINI_REMARK.partition(";")[0]
    assert start in said.to_latex()
    assert start in said.to_markdown()
    assert any("watching a run" in text.get_text() for text in texts_of(said.plot()))
    assert "watching a run" not in "".join((record.to_latex(), record.to_markdown()))


def test_shortened_names_fit_and_stay_apart() -> None:
    twins = ["a" * 30 + str(i) + "b" * 30 for i in range(3)]
    for names in (LONG, twins, [*LONG, "short", LONG[0]], ["x" * 99]):
        short = fitted(names, 22)
        assert all(len(text) <= 22 for text in short)
        assert len(set(short)) == len(set(names))
    assert fitted(["short", "a"], 22) == ["short", "a"]


def test_the_metrics_of_a_figure_can_be_chosen() -> None:
    assert len(REPORT.plot(metric="fd").axes) == 1 + 2  # the whole sets, then each class
    with pytest.raises(ArgumentError, match="no score kid in this report; choose from mmd, fd"):
        REPORT.plot(metric="kid")


def test_many_metrics_are_drawn_by_the_one_that_the_verdict_rests_on() -> None:
    report = compare(REAL, [NEAR, FAR], metric=["fd", "mmd", "kd", "precision", "recall", "density", "sw"])
    assert [panel.axis.split()[0] for panel in report.panels()] == ["mmd"]


def test_a_figure_of_another_kind_and_a_folder_that_is_absent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"ends in \.png, \.svg or \.pdf"):
        REPORT.plot(tmp_path / "figure.jpg")
    with pytest.raises(InputError, match="create it first"):
        REPORT.plot(tmp_path / "no" / "figure.png")
    with pytest.raises(ArgumentError, match="nothing to draw"):
        compare(REAL, NEAR, metric="p-value").plot()
    assert not list(tmp_path.iterdir())


def test_report_load_reads_what_the_command_wrote(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "r.json")
    assert Report.load(tmp_path / "r.json").to_latex() == REPORT.to_latex()
