"""Which attention each layer has: the text that users write, such as `swa*3,full`, and what it stands for."""

import re
from dataclasses import dataclass
from functools import partial

import torch

from ..errors import ArgumentError
from . import Attention
from .engines.full import full_attention
from .engines.naive import naive_attention
from .engines.natten import check_natten
from .engines.xformers import check_xformers, xformers_attention
from .neighbours import Border, Window
from .window import USER_ENGINES, check_engine, check_grid, window_attention

DENSE = {"naive": naive_attention, "full": full_attention, "xformers": xformers_attention}
KINDS = (*DENSE, "swa")
_ITEM = re.compile(r"([a-z]+)(?::([a-z]+))?(?:\*([0-9]{1,3}))?")


@dataclass(frozen=True)
class AttentionSettings:
    """How a model attends: a pattern of kinds over its layers and one window for those that are `swa`."""

    pattern: str = "full"
    window: int = 3
    border: Border = "shift"
    dilation: int = 1

    def layers(self, depth: int) -> list[str]:
        """One of naive, full, xformers, swa, swa:ENGINE for each layer; the pattern repeats until the last."""
        kinds = self._kinds()
        return [kinds[i % len(kinds)] for i in range(depth)]

    def meaning(self, depth: int) -> list[tuple[object, ...]]:
        """What each layer computes, whichever engine does it: equal meanings give equal images."""
        window = ("swa", self.window, self.border, self.dilation)
        return [window if kind.startswith("swa") else ("full",) for kind in self.layers(depth)]

    def canonical(self) -> dict[str, object]:
        """The meaning as JSON: engines with one result have one name, and a window is there only where it counts."""
        kinds = ["swa" if kind.startswith("swa") else "full" for kind in self._kinds()]
        if "swa" not in kinds:
            return {"pattern": "full"}
        pattern = "swa" if "full" not in kinds else ",".join(kinds)
        return {"pattern": pattern, "window": self.window, "border": self.border, "dilation": self.dilation}

    def check(self, depth: int, grid: tuple[int, int]) -> None:
        """Raise ArgumentError when the pattern is no pattern or the window does not fit the grid."""
        if any(kind.startswith("swa") for kind in self.layers(depth)):
            check_grid(grid, self.window, self.border, self.dilation)

    def build(self, depth: int, grid: tuple[int, int], device: torch.device) -> tuple[Attention, ...]:
        """One function (query, key, value) -> result for each layer, engines checked against the device."""
        self.check(depth, grid)
        return tuple(self._function(kind, grid, device) for kind in self.layers(depth))

    def describe(self) -> str:
        """For people: `full`, or `swa (window 3, shift)`."""
        if not any(kind.startswith("swa") for kind in self._kinds()):
            return self.pattern
        dilated = f", dilation {self.dilation}" if self.dilation > 1 else ""
        return f"{self.pattern} (window {self.window}, {self.border}{dilated})"

    def _kinds(self) -> list[str]:
        return [kind for item in self.pattern.replace(" ", "").split(",") for kind in _expand(item, self.pattern)]

    def _function(self, kind: str, grid: tuple[int, int], device: torch.device) -> Attention:
        name, _, engine = kind.partition(":")
        if name == "xformers":
            check_xformers(device)
        if name in DENSE:
            return DENSE[name]
        if engine == "natten":
            check_natten(Window(grid, (self.window, self.window), self.border), device)
        return partial(
            window_attention,
            grid=grid,
            window=self.window,
            border=self.border,
            dilation=self.dilation,
            engine=engine or "auto",
        )


def _expand(item: str, pattern: str) -> list[str]:
    match = _ITEM.fullmatch(item)
    if not match or match[1] not in KINDS or match[3] == "0" or (match[2] and match[1] != "swa"):
        raise ArgumentError(
            f"attention: expected {', '.join(KINDS)}, auto, or a pattern of them over the layers such as swa*3,full, "
            f"got {pattern!r}; swa:ENGINE fixes the engine ({', '.join(USER_ENGINES)})"
        )
    if match[2]:
        check_engine(match[2], USER_ENGINES)
    kind = f"{match[1]}:{match[2]}" if match[2] else match[1]
    return [kind] * int(match[3] or 1)
