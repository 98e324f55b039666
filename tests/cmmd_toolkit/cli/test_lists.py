"""The lists of `cmmd backbones`, `metrics` and `doctor` fit the terminal; a pipe gets them whole."""

from collections.abc import Callable

import pytest

from cmmd_toolkit.cli.doctor import print_backbones, print_doctor, print_metrics


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("show", [print_backbones, print_metrics, print_doctor])
def test_no_line_is_wider_than_the_terminal(
    show: Callable[[], None], width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show()
    whole = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as rich sees it
    monkeypatch.setenv("COLUMNS", str(width))
    show()
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert max(map(len, whole.splitlines())) > width
    assert {line.split()[0] for line in whole.splitlines() if line} <= set(shown.split())
