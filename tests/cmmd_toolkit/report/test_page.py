"""`save_html`: one page of a result, seen in a real browser; and what it says where no pictures are at hand."""

import io
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CONTRASTS, chromium, opened
from pictures import gaussian, smooth_picture
from PIL import Image

from cmmd_toolkit import (
    ArgumentError,
    Contrast,
    Explanation,
    Features,
    GaussianStatistics,
    InputError,
    Ranking,
    Report,
    compare,
    contrast,
    embed,
    explain,
    plan,
    rank,
)
from cmmd_toolkit.cli import main as cli
from cmmd_toolkit.common.text import interval_text, number_text, printable
from cmmd_toolkit.estimation.principal import plane_of
from cmmd_toolkit.report.contrast import answer as closer_of
from cmmd_toolkit.report.page.charts import WIDTH, Mark, Row, chart, name_width, ticks_of
from cmmd_toolkit.report.page.thumbnails import COLUMNS, EDGE, TILE, Thumbnail, Unreadable, read_set
from cmmd_toolkit.report.plan import answer
from cmmd_toolkit.report.screen.warning_lines import warning_entries
from cmmd_toolkit.report.warning_kinds import warning_kinds, words_of
from cmmd_toolkit.scoring import exhibit as exhibits

HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(2)<!--.png',
    "{{ 7*7 }}'.png",
    "a\u202egnp.png",
    "x" * 200 + ".png",
    "new\nline.png",
)


def write_class(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        smooth_picture(seed + i, (150, 90) if i % 2 else (40, 40)).save(folder / f"{i:02d}.png")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sets of two classes, with pictures and a class of hostile names."""
    root = tmp_path_factory.mktemp("sets")
    found = [root / "real", root / "<b>fake", root / ("long-" * 20 + "name")]
    for place, own in enumerate(found):
        write_class(own / "<script>alert(3)<", 10, 100 * place)
        write_class(own / "dog", 10, 100 * place + 50)
    for place, name in enumerate(HOSTILE):
        smooth_picture(900 + place).save(found[1] / "dog" / name)
    return found


@pytest.fixture(scope="module")
def report(sets: list[Path]) -> Report:
    names = ["fd", "mmd", "precision"]
    return compare(
        sets[0], sets[1:], metric=names, per_class=True, exhibit=True, backbone="mini", command="cmmd <b>compare"
    )


@pytest.fixture(scope="module")
def page_file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    report.save_html(path := tmp_path_factory.mktemp("page") / "report.html")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


# ---- in the browser -------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (800, "dark"), (1400, "light")])
def test_a_page_fits_is_legible_and_runs_nothing_that_names_hold(
    browser: Any, page_file: Path, width: int, scheme: str
) -> None:
    with opened(browser, page_file, width, scheme) as page:
        reach = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert reach[0] <= reach[1] == width
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        assert [found for found in contrasts if found[0] < 4.5] == []
        assert page.locator("img[src='x']").count() == 0
        assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert page.get_by_alt_text("<img src=x onerror=alert(1)>.png").count() > 0


def test_a_page_has_landmarks_one_title_and_headings_in_order(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, 800, "light") as page:
        for role in ("banner", "navigation", "main", "contentinfo"):
            assert page.get_by_role(role).count() == 1, role
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.evaluate("[...document.images].every((e) => e.hidden || e.alt)")
        assert page.evaluate("[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash))")
        assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size") == page.evaluate(
            "document.querySelectorAll('[id]').length"
        )


def test_the_keyboard_reaches_everything_and_steps_through_the_map(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, 800, "light") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reached: list[str] = []
        while (reached or [""])[-1] not in ("skip", "body"):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.className || document.activeElement.localName"))
        assert reached.count("plane") == 1
        assert {"a", "scroll", "command", "summary"} <= set(reached)
        page.locator(".plane").focus()
        seen = []
        for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowUp"):
            page.keyboard.press(key)
            seen.append((page.locator(".map .names").inner_text(), page.locator(".pick").get_attribute("cx")))
        assert seen[1] == seen[3] != seen[2]
        across = [float(place) for _, place in seen]
        assert across[0] <= across[1] <= across[2] <= across[4]
        assert all(re.match(r"(real|<b>fake|long-.*name): ", name) for name, _ in seen)


def test_a_tap_on_the_map_shows_the_picture_itself(browser: Any, sets: list[Path], tmp_path: Path) -> None:
    compare(sets[0], sets[1], exhibit=True, backbone="mini").save_html(tmp_path / "map.html")
    with opened(browser, tmp_path / "map.html", 1400, "light") as page:
        page.locator(".plane").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        told = page.locator(".map .names").inner_text()
        place = page.evaluate("""() => { const r = document.querySelector('.pick').getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2]; }""")
        page.keyboard.press("End")
        page.mouse.click(*place)
        assert page.locator(".map .names").inner_text() == told
        drawn = page.evaluate("document.querySelector('.map canvas').toDataURL()")
        own, name = told.split(": ", 1)
        folder = sets[0] if own == "real" else sets[1]
        with Image.open(io.BytesIO(b64decode(drawn.split(",")[1]))) as shown, Image.open(folder / name) as picture:
            middle = np.asarray(shown.convert("RGB").resize((24, 24)), float)[8:16, 2:-2]
            factor = 192 / max(picture.size)
            size = tuple(round(side * factor) for side in picture.size)
            whole = Image.new("RGB", (192, 192), "white")
            whole.paste(picture.convert("RGB").resize(size), ((192 - size[0]) // 2, (192 - size[1]) // 2))
            wanted = np.asarray(whole.resize((24, 24)), float)[8:16, 2:-2]
        assert np.abs(middle - wanted).mean() < 20


# ---- what it says ---------------------------------------------------------------------------------


def test_a_page_holds_every_number_warning_and_the_command(report: Report, page_file: Path) -> None:
    text = page_file.read_text()
    for result in report.results:
        assert all(own in text for own in result.estimate_texts)
    assert "cmmd &lt;b&gt;compare" in text
    assert text.count("<li>", text.index('id="warnings"'), text.index('id="sets"')) == len(report.warnings)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "&lt;script&gt;alert(3)&lt;" in text


def test_two_pages_of_one_report_are_equal(report: Report, page_file: Path, tmp_path: Path) -> None:
    report.save_html(tmp_path / "again.htm")
    assert (tmp_path / "again.htm").read_bytes() == page_file.read_bytes()


def test_rank_explain_and_plan_have_pages_with_what_they_found(sets: list[Path], tmp_path: Path) -> None:
    ranking = rank(sets[0], sets[1:], backbone="mini", exhibit=True)
    explanation = explain(*sets[:2], backbone="mini", top=30, exhibit=True)
    sizes = plan(*sets[:2], backbone="mini")
    for number, record in enumerate((ranking, explanation, sizes)):
        record.save_html(tmp_path / f"{number}.html")
    ranked, explained, planned = ((tmp_path / f"{number}.html").read_text() for number in range(3))
    assert all(pair.better in ranked.replace("&lt;", "<").replace("&gt;", ">") for pair in ranking.orders[0].pairs)
    assert ranked.count('class="sheet"') == 3
    assert len(re.findall("<li><div", explained)) == 24 + 20 + 24
    assert "Different ways: if their mistakes have nothing in common" in planned
    (need,) = sizes.needs
    assert need.interval is not None
    assert answer(need).replace("<b>", "&lt;b&gt;") in planned
    assert interval_text(need.interval, None) in planned
    assert planned.count('class="dot"') == sum(n is not None for own in need.sizes for n in (own.alike, own.unlike)) > 0
    for record, kind in ((ranking, Ranking), (explanation, Explanation)):
        record.save(tmp_path / "x.json")
        loaded = kind.load(tmp_path / "x.json")
        assert loaded == record
        loaded.save_html(tmp_path / "loaded.html")
        text = (tmp_path / "loaded.html").read_text()
        assert "only the numbers were kept" in text
        assert "<img" not in text


def test_the_page_of_a_difference_shows_every_listed_picture_beside_its_nearest(
    sets: list[Path], browser: Any, tmp_path: Path
) -> None:
    found = contrast(*sets, backbone="mini", top=3, exhibit=True)
    found.save_html(tmp_path / "difference.html")
    text = (tmp_path / "difference.html").read_text()
    pairs = re.findall(r'<p class="names">(.*?)<br><span class="note">near (.*?)<br>', text)
    (section,) = found.sections
    lists = (section.first_worst, section.second_worst, section.nearer_to_first, section.nearer_to_second)
    expected = [(entry.name, entry.nearest) for entries in lists for entry in entries]
    assert [tuple(map(unescape, pair)) for pair in pairs] == [tuple(map(printable, pair)) for pair in expected]
    frames = re.findall(r'frame set(\d)">.*?frame set(\d)">', text, re.DOTALL)
    assert frames == [("1", "0")] * 3 + [("2", "0")] * 3 + [("0", "1")] * 3 + [("0", "2")] * 3
    assert "minus to the second. Change: of the difference" in text
    for width in (360, 1400):
        with opened(browser, tmp_path / "difference.html", width, "light") as page:
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    found.save(tmp_path / "c.json")
    Contrast.load(tmp_path / "c.json").save_html(tmp_path / "loaded.html")
    assert all(printable(name) in unescape((tmp_path / "loaded.html").read_text()) for name, _ in expected)


def test_a_plan_whose_reference_is_too_small_says_what_suffices() -> None:
    x, y = gaussian(400, 3, seed=0), gaussian(60, 3, seed=1, shift=2)
    found = plan(x, y, differences=["50%", 1e-4])
    (large, small), (need,) = found.needs[0].sizes, found.needs
    assert small.unlike is None
    assert f"reference too small; {small.as_many_unlike:,} and as many real" in " ".join(str(found).split())
    assert small.as_many_unlike > small.reference_unlike > 400
    assert f"minimum of real ones is {small.reference_unlike:,}, depending on the row" in str(found)
    assert large.unlike is not None
    assert f"{number_text(large.difference)} (50 % of the value) takes {large.unlike:,} pictures in each" in answer(
        need
    )
    assert answer(need).endswith("Smaller ones need a larger reference.")
    assert f"{small.as_many_unlike:,} pictures in each generated set and as many real" in answer(
        replace(need, sizes=(small,))
    )


def test_what_is_not_at_hand_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    x, y = (Features(gaussian(30, 6, seed=seed), {"source": f"set {seed}"}) for seed in (0, 1))
    compare(x, y, metric="mmd", exhibit=True).save_html(tmp_path / "features.html")
    text = (tmp_path / "features.html").read_text()
    assert "30 pictures; not shown: stored features hold no pictures" in text
    assert "Nothing is known about the pictures" in text
    assert "<svg" in text
    assert "row 7" in text
    statistics = GaussianStatistics(np.zeros(3), np.eye(3), 50)
    compare(statistics, Features(gaussian(30, 3)), exhibit=True).save_html(tmp_path / "moments.html")
    text = (tmp_path / "moments.html").read_text()
    assert text.count("Not shown: ") == 2
    assert "<script" not in text


def test_what_a_page_shows_besides_never_costs_the_numbers(tmp_path: Path) -> None:
    alike = Features(np.ones((20, 4), np.float32))  # no kernel has a width for them
    report = compare(alike, alike, metric="precision", exhibit=True)
    report.save_html(tmp_path / "alike.html")
    text = (tmp_path / "alike.html").read_text()
    assert "Not shown: the median distance within the reference is zero" in text
    assert report.results[0].estimate_texts[0] in text


def test_the_sheet_of_tiles_of_each_set_is_found_where_sets_are_equal(real: Path, tmp_path: Path) -> None:
    compare(real, real, backbone="mini", exhibit=True).save_html(tmp_path / "same.html")
    assert re.findall(r'id="tiles-(\d)"', (tmp_path / "same.html").read_text()) == ["0", "1"]


def test_a_picture_that_vanished_leaves_its_reason_on_the_page(real: Path, fake: Path, tmp_path: Path) -> None:
    report = compare(real, fake, backbone="mini", exhibit=True)
    (fake / "002.png").unlink()
    (fake / "003.png").write_bytes(b"no picture")
    report.save_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "002.png: not shown: " in text
    assert "003.png: not shown: " in text


def test_many_sets_are_cut_and_said(tmp_path: Path) -> None:
    many = {f"set {i}": Features(gaussian(12, 4, seed=i)) for i in range(9)}
    report = compare(Features(gaussian(12, 4, seed=99)), many, metric="mmd", exhibit=True)
    report.save_html(tmp_path / "many.html")
    assert f"Not shown: set {exhibits.MOST_SETS}, set {exhibits.MOST_SETS + 1}, set 8." in (
        tmp_path / "many.html"
    ).read_text().replace("generated ", "")
    panel = (tmp_path / "many.html").read_text().split('class="panel"')[1].split("</figure>")[0]
    assert re.findall(r'<g class="set(\d)">', panel) == ["1", "2", "3", "4", "5", "6", "1", "2", "3"]


def test_a_draw_of_many_pictures_lists_them_by_their_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = Features(gaussian(60, 3, seed=1)), Features(gaussian(50, 3, seed=2, shift=0.5))
    monkeypatch.setattr(exhibits, "MOST_DRIVING", 20)
    exhibit = compare(x, y, metric="mmd", exhibit=True).exhibit
    assert not isinstance(exhibit, str)
    assert not isinstance(exhibit.drivers, str)
    (driver,) = exhibit.drivers
    unit = [own.values / np.linalg.norm(own.values, axis=1, keepdims=True) for own in (x, y)]
    for entry in driver.section.alien:
        assert entry.name == f"row {entry.row}"
        assert entry.nearest == f"row {entry.nearest_row}"
        assert np.linalg.norm(unit[1][entry.row] - unit[0][entry.nearest_row]) == pytest.approx(
            entry.distance, rel=1e-4
        )
    assert "20 of 60" in driver.note


# ---- refusals -------------------------------------------------------------------------------------


def test_a_page_that_cannot_be_written_is_refused_before_a_picture_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    for command in ("compare", "rank", "explain", "plan"):
        for name, words in (("no/x.html", "does not exist; create it first"), ("x.txt", "a name that ends in .html")):
            with pytest.raises(SystemExit) as stopped:
                cli.main([command, str(broken), str(broken), "--html", str(tmp_path / name)])
            err = capsys.readouterr().err
            assert stopped.value.code == 2
            assert words in err
            assert err.count("\n") == 1


def test_a_wrong_name_and_a_folder_are_refused(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"ends in \.html"):
        report.save_html(tmp_path / "page.pdf")
    (tmp_path / "x.html").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        report.save_html(tmp_path / "x.html")


# ---- its parts ------------------------------------------------------------------------------------


def test_thumbnails_are_bounded_and_small_pictures_are_kept_exactly(tmp_path: Path) -> None:
    small, large = smooth_picture(1, (40, 20)), smooth_picture(2, (500, 250))
    loads: dict[int, Any] = {}
    for row, own in enumerate((small, large)):
        loads[row] = _Load(np.asarray(own))
    found, sheet = read_set(loads, {0, 1}, [1, 0], lambda _count: None)
    first, second = found[0], found[1]
    assert isinstance(first, Thumbnail)
    assert isinstance(second, Thumbnail)
    with Image.open(io.BytesIO(b64decode(first.address.split(",")[1]))) as kept:
        assert np.array_equal(np.asarray(kept), np.asarray(small))
    assert (first.is_small, second.is_small) == (True, False)
    assert (second.width, second.height) == (EDGE, EDGE // 2)
    with Image.open(io.BytesIO(b64decode(sheet.split(",")[1]))) as tiles:
        assert tiles.size == (COLUMNS * TILE, TILE)
    nothing, none = read_set("no pictures", {3}, [3], lambda _count: None)
    assert (nothing, none) == ({3: Unreadable("no pictures")}, "")


class _Load:
    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __call__(self) -> "_Load":
        return self


@pytest.mark.parametrize("reach", [(0, 1), (-3, 7), (0.0123, 0.0131), (1e-9, 3e-9), (250, 260), (0, 4e7)])
def test_ticks_are_round_equally_far_apart_and_within(reach: tuple[float, float]) -> None:
    ticks = ticks_of(*reach)
    values = [value for value, _ in ticks]
    assert 2 <= len(values) <= 6
    assert reach[0] - 1e-12 <= values[0]
    assert values[-1] <= reach[1] * (1 + 1e-9)
    assert np.allclose(np.diff(values), values[1] - values[0])
    assert all(float(text) == pytest.approx(value, rel=1e-9, abs=1e-15) for value, text in ticks)


def test_marks_lie_where_their_values_are() -> None:
    marks = [Mark(1, "a", 2.0, "2", (1.0, 4.0)), Mark(2, "b", 8.0, "8")]
    drawn = chart("t", "lower", [Row("", [mark]) for mark in marks])
    first, second = drawn.drawn
    assert drawn.zero is not None
    assert (first.x - drawn.zero) / (second.x - drawn.zero) == pytest.approx(1 / 4, abs=0.01)
    assert (first.high - drawn.zero) / (first.low - drawn.zero) == pytest.approx(4, abs=0.2)
    assert chart("t", "r", [Row("c", [replace(marks[0], value=0.0, interval=None)])], bars=True).height > 0


def test_names_and_values_stand_free_of_each_other_and_of_the_lines() -> None:
    marks = [Mark(1, "a", 2.0, "2.0 (1.0 to 4.0)"), Mark(2, "name-" * 30 + "end", 8.0, "8.0 (7.0 to 9.0)")]
    drawn = chart("t", "lower", [Row("", [mark]) for mark in marks])
    (short, long), (first, second) = drawn.labels, drawn.drawn
    assert first.y - 13 == pytest.approx(short.y, abs=1)
    assert second.y - 13 >= long.y + 12
    assert short.shown == "a"
    assert long.shown.endswith("name-end")
    assert 250 < name_width(long.shown) <= WIDTH
    assert not [y for y in (short.y, long.y, second.y - 13) for top, low in drawn.bands if top < y < low]
    assert all(any(top < own.y < low for top, low in drawn.bands) for own in drawn.drawn)


def test_a_test_of_a_pair_claims_no_order_that_is_not_shown(tmp_path: Path) -> None:
    x, y, z, far = (
        Features(gaussian(40, 4, seed=seed, shift=2 + shift), {"source": f"set {seed}"})
        for seed, shift in ((0, 0), (1, 0.1), (2, 0.1), (3, 3))
    )
    ranking = rank(x, [y, z, far], exhibit=True)
    counted: list[int] = []

    @contextmanager
    def count(_title: str, total: int | None) -> Iterator[Any]:
        counted.append(total or 0)
        yield lambda _step: None

    ranking.save_html(tmp_path / "r.html", progress=count)
    text = (tmp_path / "r.html").read_text()
    rows = [
        re.findall('data-heading="(.*?)".*?>(.*?)</t', row)
        for row in text[text.index('id="tests"') :].split("<tr ")[2:5]
    ]
    for pair, row in zip(ranking.orders[0].pairs, rows, strict=True):
        told = dict(row)
        assert (told["First"], told["Second"]) == (pair.better, pair.worse)
        apart = pair.p_adjusted < 0.05
        assert told["Reading"] == (f"{pair.better} is closer" if apart else "cannot be told apart")
    assert {"Closer", "Farther"}.isdisjoint(dict(rows[0]))
    assert counted == []  # no picture is at hand, so none is promised


def test_the_plane_of_rows_is_their_two_principal_components() -> None:
    rows = (gaussian(60, 12, seed=3) @ np.diag([9, 5, *[1] * 10])).astype(np.float32)
    points, shares = plane_of(rows, 0)
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(points), np.abs(left[:, :2] * sizes[:2]), atol=1e-3)
    assert shares == pytest.approx(tuple(sizes[:2] ** 2 / (sizes**2).sum()), rel=1e-6)
    assert plane_of(np.ones((5, 4), np.float32), 0)[1] == (0, 0)
    assert plane_of(np.arange(6, dtype=np.float32)[:, None], 0)[1] == pytest.approx((1, 0))


def test_a_difference_is_answered_before_its_numbers() -> None:
    rows = [gaussian(60, 4, seed=k) + shift for k, shift in enumerate((0, 0.1, 2))]
    (section,) = contrast(*map(Features, rows)).sections
    assert section.difference < 0
    names = ("real", "near", "far")
    assert closer_of(section, names) == "near is closer to real than far on features."
    undecided = replace(section, interval=(-1.0, 1.0))
    assert closer_of(undecided, names) == "near and far cannot be told apart by their distance to real on features."
    other = replace(section, difference=1.0, interval=(0.5, 1.5))
    assert closer_of(other, names) == "far is closer to real than near on features."


def test_every_warning_is_in_one_group(report: Report) -> None:
    warnings = [*report.warnings, "something nobody thought of"]
    groups = warning_kinds(warnings, words_of(report))
    assert sorted(text for kinds in groups.values() for kind in kinds for text in kind) == sorted(warnings)
    assert groups["Remarks"][-1] == ["something nobody thought of"]


def test_a_page_folds_warnings_of_one_kind_as_a_terminal_does(report: Report, tmp_path: Path) -> None:
    names = dict.fromkeys(result.generated for result in report.results)
    odd = [f"something odd about {name}, {n} times" for n, name in enumerate(names, 3)]
    own = replace(report, warnings=(*odd, "something else"))
    own.save_html(tmp_path / "page.html")
    page = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert all(text in page for text in own.warnings)
    assert page.count("<summary>and ") == 1
    assert f"and {len(odd) - 1} like it" in page
    entries, _ = warning_entries(own.warnings, words_of(own), 1000)
    assert entries == [[f"{odd[0]} (and {len(odd) - 1} like it)"], ["something else"]]


def test_that_features_may_not_be_comparable_is_among_the_first_of_a_terminal(sets: list[Path]) -> None:
    """Also where every metric says why it has no error."""
    mini = embed(sets[0], backbone="mini")
    other = replace(mini, provenance={**mini.provenance, "weights_sha256": "0" * 64})
    found = compare(other, sets[1], backbone="mini", metric="all")
    entries, cut = warning_entries(found.warnings, words_of(found), 1000)
    assert cut
    assert any("made with different weights" in line for lines in entries for line in lines)


@pytest.mark.slow
def test_five_thousand_pictures_stay_under_fifteen_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    sides = []
    for name in ("real", "fake"):
        folder = tmp_path / name
        folder.mkdir()
        for i in range(2500):
            Image.fromarray(noise.integers(0, 256, (96, 96, 3), np.uint8)).save(folder / f"{i:04d}.png")
        sides.append(folder)
    compare(*sides, backbone="mini", exhibit=True).save_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 15e6
