"""Records on a terminal: no line over the width, no number broken or lost unsaid, names apart, warnings counted."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pictures import gaussian
from rich.cells import cell_len
from rich.console import Console

from cmmd_toolkit import Features, Report, Result, compare, contrast, explain, plan, rank
from cmmd_toolkit.backbones.remarks import MINI_REMARK
from cmmd_toolkit.report.paper.record import PaperRecord
from cmmd_toolkit.report.screen.cells import in_one_line, shortened_to, wrapped
from cmmd_toolkit.report.screen.fit import DROPPED
from cmmd_toolkit.report.screen.warning_lines import FULL, MOST, MOST_LINES, warning_entries
from cmmd_toolkit.report.terminal import print_report

WIDTHS = (60, 80, 100, 160)
NARROW = (30, 40, 50)
LONG = "/home/someone/experiments/2031-05-17_a-rather-long-name-for-a-run/step_0001250000/samples-with-guidance-4"
SETS = [f"{LONG}/{name}" for name in ("model-a", "model-b-with-another-long-name", "模型丙", "c")]
BACKBONES = ["inception", "clip", "siglip", "siglip2", "align", "dinov2", "openclip:ViT-bigG-14/laion2b_s39b_b160k"]
VALUES = [(-0.0000123, 0.0000456), (0.03126, 0.0051), (12345.678, 234.5), (1e-9, 2e-10), (0.5, None)]
NUMBER = re.compile(r"(?<![\w.,])[+-]?\d[\d,]*(?:\.\d+)?(?![\w.,]*\d)")


def result(generated: str, backbone: str, metric: str, value: float, error: float | None) -> Result:
    interval = None if error is None else (value - 2 * error, value + 2 * error)
    corrected = None if error is None else value - error / 3
    return Result(
        f"{LONG}/real", generated, backbone, metric, value, error, interval, 50_000, 1250, {}, corrected=corrected
    )


def report(sets: list[str], backbones: list[str], metrics: tuple[str, ...], classes: tuple[str, ...] = ()) -> Report:
    def results(shift: int) -> tuple[Result, ...]:
        keys = [(s, b, m) for s in sets for b in backbones for m in metrics]
        return tuple(result(*key, *VALUES[(i + shift) % len(VALUES)]) for i, key in enumerate(keys))

    warnings = tuple(f"{name}: {i + 3} pictures converted: alpha over white" for i, name in enumerate(sets))
    by_class = {name: results(i) for i, name in enumerate(classes)}
    return Report(results(0), warnings, (), {"recipe": {"name": "default"}}, by_class)


def features(name: str, seed: int, shift: float = 0.0) -> Features:
    names = tuple(f"a-folder-of-pictures-with-a-long-name/picture_{i:08d}.png" for i in range(60))
    return Features(gaussian(60, 4, seed=seed, shift=shift), {"source": f"{LONG}/{name}"}, names)


REAL, OTHERS = features("real", 0), [features(name, i, 0.3 * i) for i, name in enumerate(("near", "far", "farther"), 1)]
RECORDS: dict[str, PaperRecord] = {
    "many backbones": report(SETS, BACKBONES, ("fd", "mmd")),
    "many metrics": report(SETS[:1], ["mini"], ("fd", "mmd", "kd", "precision", "recall", "fd-infinity", "p-value")),
    "classes": report(SETS[:2], ["mini"], ("fd", "mmd"), ("n01440764 tench, Tinca tinca, a fish", "狗", "x")),
    "twenty sets": report([f"{LONG}/run-{i:03d}" for i in range(20)], ["clip"], ("mmd",)),
    "ranking": rank(REAL, OTHERS),
    "ranking by fd": rank(REAL, OTHERS, metric="fd"),
    "plan": plan(REAL, OTHERS[1]),
    "explanation": explain(REAL, OTHERS[2], top=3),
}


def shown(record: PaperRecord, width: int, **options: Any) -> str:
    stream = io.StringIO()
    given = {"force_terminal": True, "highlight": False, "color_system": None, **options}
    print_report(record, Console(file=stream, width=width, **given))
    return stream.getvalue()


@pytest.fixture(params=list(RECORDS))
def record(request: pytest.FixtureRequest) -> PaperRecord:
    return RECORDS[request.param]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_over_the_width_and_no_number_is_broken(record: PaperRecord, width: int) -> None:
    text = shown(record, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    whole = set(NUMBER.findall(str(record)))
    tables = [line for line in text.partition("warning: ")[0].splitlines() if "  " in line and "…" not in line]
    for line in tables:
        assert set(NUMBER.findall(line)) <= whole, line


@pytest.mark.parametrize("width", NARROW)
def test_a_narrow_terminal_breaks_no_number_either(record: PaperRecord, width: int) -> None:
    lines = [line for line in shown(record, width).partition("warning: ")[0].splitlines() if "…" not in line]
    assert max(map(cell_len, lines)) <= width
    whole = set(NUMBER.findall(str(record)))
    names = "|".join(map(re.escape, ("picture_", "step_", "n01440764", "run-")))  # paths may be broken anywhere
    for line in lines:
        if not re.search(names, line):
            assert set(NUMBER.findall(line)) <= whole, line


@pytest.mark.parametrize("width", WIDTHS)
def test_every_value_is_there_and_what_is_left_out_is_said(width: int) -> None:
    for name in ("many backbones", "many metrics", "classes", "twenty sets"):
        own = RECORDS[name]
        assert isinstance(own, Report)
        text = shown(own, width)
        said = re.findall(r"Left out at this width: ([^;]*);", " ".join(text.split()))
        left_out = said[0].split(", ") if said else []
        assert set(left_out) <= set(DROPPED)
        assert [*left_out] == sorted(left_out, key=DROPPED.index)
        for one in own.results:
            value, corrected, error, interval = one.estimate_texts
            cells = {"Value": value, "Without bias": corrected, "Std. error": error, "95 % interval": interval}
            kept = [cell for heading, cell in cells.items() if heading not in left_out]
            if one.metric != "p-value":
                assert any(all(cell in line for cell in kept) for line in text.splitlines()), one


def test_more_width_leaves_less_out_and_has_bars() -> None:
    texts = [shown(RECORDS["many metrics"], width) for width in (60, 160)]
    assert ["├" in text for text in texts] == [False, True]
    assert "one scale for all sets of a metric" in texts[1]
    assert [text.count("Left out") for text in texts] == [1, 0]


def test_bars_of_one_metric_share_a_scale() -> None:
    sets = tuple(result(name, "clip", "mmd", value, 1.0) for name, value in (("a", 2.0), ("b", 12.0)))
    text = shown(Report(sets, (), (), {"recipe": {"name": "default"}}), 160)
    bars = [line[line.index("├") :] if "├" in line else "" for line in text.splitlines()]
    first, second = (bar for bar in bars if bar)
    starts = [line.index("├") for line in text.splitlines() if "├" in line]
    ends = [line.index("┤") for line in text.splitlines() if "┤" in line]
    assert starts[0] < ends[0] < starts[1] < ends[1]
    assert len(first) == len(second)
    assert ends[1] - starts[1] == pytest.approx(ends[0] - starts[0], abs=1)


def test_names_that_are_shortened_stay_apart() -> None:
    names = [f"{'x' * 50}-{i}-{'y' * 50}" for i in range(3)]
    assert shortened_to(names, 20) == names  # the middle tells them apart
    assert shortened_to(["a" * 30 + "1", "a" * 30 + "2"], 10) == ["aaa…aaaaa1", "aaa…aaaaa2"]
    assert cell_len(shortened_to(["模" * 30], 11)[0]) <= 11


def test_full_paths_stand_in_the_json_and_base_names_on_the_terminal() -> None:
    own = RECORDS["many backbones"]
    assert LONG not in shown(own, 80)
    assert LONG in own.to_json()
    assert "Reference: real" in shown(own, 80)


def test_short_names_stay_in_their_rows_and_no_column_is_explained_that_is_not_there() -> None:
    texts = {width: shown(RECORDS["ranking"], width) for width in (60, 160)}
    assert re.search(r"^ +1  near ", texts[60], re.MULTILINE)
    assert ["Difference to next:" in texts[width] for width in (60, 160)] == [False, True]
    assert all("p: of this set against the one below it" in text for text in texts.values())


# ---- warnings ---------------------------------------------------------------------------------------


def test_warnings_of_one_kind_are_one_entry() -> None:
    entries = warning_entries(
        [f"{name}: {n} pictures converted" for name, n in (("a", 3), ("b", 1_200), ("c", 4))], "abc", 80
    )
    assert entries == ([["a: 3 pictures converted (and 2 like it)"]], True)
    other = warning_entries(["a: 3 pictures converted", "a: 3 pictures skipped"], "a", 80)
    assert other == ([["a: 3 pictures converted"], ["a: 3 pictures skipped"]], False)


@pytest.mark.parametrize("width", WIDTHS)
def test_advice_is_whole_on_a_terminal(width: int) -> None:
    one = replace(RECORDS["twenty sets"], warnings=(MINI_REMARK,))
    text = shown(one, width)
    assert MINI_REMARK in " ".join(text.split())
    assert "Full warnings" not in text


def test_a_warning_takes_three_lines_at_most() -> None:
    entries, shortened = warning_entries(["word " * 100], "", 40)
    assert [len(lines) for lines in entries] == [MOST_LINES]
    assert shortened
    assert entries[0][-1].endswith("…")
    assert max(map(len, entries[0])) <= 40


@pytest.mark.parametrize("width", WIDTHS)
def test_at_most_five_warnings_are_shown_and_the_rest_counted(width: int) -> None:
    kinds = ("one", "two", "three", "four", "five", "six", "seven")
    many = replace(RECORDS["twenty sets"], warnings=tuple(f"{word} is odd: " + "and so on, " * 20 for word in kinds))
    lines = [line for line in shown(many, width).splitlines() if line.startswith("warning: ")]
    assert len(lines) == MOST + 1
    assert FULL in shown(many, width).splitlines()
    assert lines[MOST] == "warning: 2 more warnings"
    assert all(word in line for word, line in zip(kinds, lines[:MOST], strict=False))
    assert str(many).count("warning: ") == len(kinds)  # a pipe gets them all


def test_what_a_terminal_leaves_out_of_warnings_stands_in_json_and_on_the_page(tmp_path: Path) -> None:
    warnings = tuple(f"{word} is odd: {'and so on, ' * 40}the end of {word}" for word in "abcdefgh")
    own = replace(RECORDS["ranking"], warnings=warnings)
    assert "the end of a" not in shown(own, 80)
    own.save_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(text in own.to_json() and text in page and text in str(own) for text in warnings)


def test_a_line_is_cut_between_words() -> None:
    text = "JPEG against lossless: real is JPEG, a lossless: compression artefacts alone change every metric 0.123456"
    for width in range(20, 120):
        line = in_one_line(text, width)
        assert cell_len(line) <= width
        assert line == text or (line.endswith(" …") and text.startswith(line[:-2]) and text[len(line) - 2] in " :;,")


def test_a_wrapped_sentence_keeps_its_words() -> None:
    text = "p at most 0.0032, from -0.0420 to -0.0105, for a-name-with-hyphens"
    for width in range(20, 80):
        lines = wrapped(text, width)
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= width


# ---- colour -----------------------------------------------------------------------------------------


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own = RECORDS["many metrics"]
    assert "\x1b[" in shown(own, 80, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shown(own, 80, color_system="standard")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("COLUMNS", "70")
    assert shown(own, 80, force_terminal=False) == str(own)
    assert "\x1b[" not in str(own)


def test_a_terminal_of_ascii_gets_ascii(record: PaperRecord) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="backslashreplace")
    print_report(record, Console(file=stream, width=160, force_terminal=True, highlight=False, color_system=None))
    stream.flush()
    lines = stream.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert not any(sign in line for line in lines for sign in ("\\u2500", "\\u251c", "\\u2026", "\\u25cf"))


def test_control_characters_of_names_do_not_reach_the_terminal() -> None:
    odd = "a\x1b[31m\r\nb"
    sets = (result(odd, "clip", "mmd", 1.0, 0.1), result("c", "clip", "mmd", 1.0, 0.1))
    text = shown(Report(sets, (f"{odd}: odd",), (), {"recipe": {"name": "default"}}), 80)
    assert "\x1b" not in text
    assert "\r" not in text


def test_control_characters_of_names_do_not_reach_a_pipe() -> None:
    odd, plain = "a\x1b[31m\r\nb\u202e\x85c\u2028\udce9", "abc"
    texts: list[list[str]] = []
    for name in (odd, plain):
        names = tuple(f"{name}{i}" for i in range(40))
        x, y, z = (Features(gaussian(40, 3, seed=i, shift=0.3 * i), {"source": f"{name}{i}"}, names) for i in range(3))
        warned = replace(compare(x, [y, z], metric=["mmd", "p-value"]), warnings=(f"{name}: odd",))
        records = [warned, rank(x, [y, z]), plan(x, y), explain(x, y, top=2), contrast(x, y, z, top=2)]
        texts.append([str(record) for record in records])
    for text, other in zip(*texts, strict=True):
        assert text.count("\n") == other.count("\n")
        assert all(line.isprintable() for line in text.split("\n"))


def test_letters_of_two_cells_are_counted_as_two_in_sentences_too() -> None:
    many = replace(RECORDS["twenty sets"], warnings=("模型丙" * 30 + " 模型丙: odd",))
    for width in WIDTHS:
        assert max(cell_len(line) for line in shown(many, width).splitlines()) <= width
    assert all(cell_len(line) <= 11 for line in wrapped("模型丙 " * 9 + "模" * 20, 11))
