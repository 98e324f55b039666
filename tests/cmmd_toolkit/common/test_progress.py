"""Progress: a bar on a terminal, lines elsewhere; both end with everything that was done."""

import pytest

from cmmd_toolkit.common import progress
from cmmd_toolkit.common.progress import show_progress


def test_without_a_terminal_lines_come_now_and_then_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, lines in ((1e9, ["4/4"]), (-1.0, ["1/4", "4/4", "4/4"])):
        monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", seconds)
        with show_progress("real/", 4) as advance:
            advance(1)
            advance(3)
        shown = capsys.readouterr().err.splitlines()
        assert [line.partition(" images")[0] for line in shown] == [f"real/: {count}" for count in lines]


def test_on_a_terminal_the_bar_shows_what_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with show_progress("real/", 4) as advance:
        advance(1)
        advance(2)
    assert "3/4 images" in capsys.readouterr().err
