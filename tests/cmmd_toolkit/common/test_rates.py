"""Rates of progress are plain numbers."""

import pytest

from cmmd_toolkit.common.progress import _rate_text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.0213, "0.0213"), (7.0, "7"), (99.96, "100"), (999.7, "1,000"), (4283.0, "4,280")],
)
def test_a_rate_has_no_exponent(rate: float, text: str) -> None:
    assert _rate_text(rate) == text
