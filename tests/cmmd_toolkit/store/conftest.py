"""What the tests of the store share."""

from typing import Any

import pytest

from cmmd_toolkit import Backbone


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that a network has seen."""
    names: list[str] = []
    embed_batch = Backbone.embed

    def counted(self: Backbone, batch: list[Any], own: Any = ()) -> Any:
        names.extend(own)
        return embed_batch(self, batch, own)

    monkeypatch.setattr(Backbone, "embed", counted)
    return names
