"""Masks and indices: made once, however many layers and steps use them, and constants of a compiled graph."""

from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType

import torch
from torch import Tensor, nn

from .neighbours import Window

# A model needs at most ten at once: four sub-grids of a dilated window and a smaller one that guides, in two types.
_KEPT = 16
Make = Callable[..., Tensor]  # (window, other plain values) -> table


def made_once(make: Make) -> Make:
    """`make`, which gives a table for a window and plain values (numbers, texts, types, devices), with a memory.

    torch.compile calls it while it traces and keeps the tensor as a buffer of its graph: no compiled operator makes a
    table, and all layers share one. What is made of a tensor without numbers, as torch.export does, is not kept.
    """
    kept: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()

    def look_up(grid: tuple[int, int], size: tuple[int, int], border: str, *values: object) -> Tensor:
        key = (grid, size, border, *values)
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        with torch.inference_mode(False), torch.no_grad():
            made = make(Window(grid, size, border), *values)  # type: ignore[arg-type]
            if type(made) is not Tensor:
                return made
            kept[key] = nn.Parameter(made.contiguous(), requires_grad=False)  # the compiler takes its size for fixed
        if len(kept) > _KEPT:
            kept.popitem(last=False)
        return kept[key]

    constants = [_constant(look_up, f"{make.__module__}.{make.__name__}.{i}".replace(".", "_")) for i in range(16)]

    def table(window: Window, *values: object) -> Tensor:
        # A constant for each table of a graph: sub-grids of a dilated window differ by one row, one column or both, and
        # a window that guides is of another size. No graph may hold two windows whose sizes are equal modulo 8: they
        # share one.
        place = 4 * (window.size[0] // 2 % 4) + 2 * (window.grid[0] % 2) + window.grid[1] % 2
        return constants[place](window.grid, window.size, window.border, *values)

    return table


def _constant(function: Make, name: str) -> Make:
    """A copy of the function whose result the compiler takes for a constant of this name, one a graph.

    What torch.compiler.assume_constant_result does, without its import of the compiler: seconds at every start.
    """
    assert isinstance(function, FunctionType)
    code = function.__code__.replace(co_name=name)
    copy = FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)
    copy._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return copy
