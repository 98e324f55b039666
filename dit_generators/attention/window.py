"""2-D sliding-window attention: the public function, and which of its engines computes it."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from ..errors import ArgumentError
from .engines.flex import flex_window
from .engines.full import full_attention
from .engines.gather import gather_window
from .engines.halo import halo_window, keys_per_tile
from .engines.masked import masked_window
from .engines.natten import natten_window
from .neighbours import Border, Window

WINDOW_ENGINES: dict[str, Callable[[Tensor, Tensor, Tensor, Window], Tensor]] = {
    "masked": masked_window,
    "halo": halo_window,
    "gather": gather_window,
    "flex": flex_window,
    "natten": natten_window,
}
USER_ENGINES = ("masked", "halo", "natten")  # those that "auto" chooses among; the others are there to compare with


def window_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    grid: int | tuple[int, int],
    window: int | tuple[int, int],
    border: Border = "shift",
    dilation: int = 1,
    engine: str = "auto",
) -> Tensor:
    """Attention in which each token sees a window of its neighbours on a 2-D grid; exact and differentiable.

    out[q] = sum over k in window(q) of softmax(q k / sqrt(head_dim)) v[k]

    Args:
        query, key, value: (B, heads, N, head_dim), tokens in row-major order, any floating type.
        grid: rows and columns of the token grid, N = rows * columns; one number for a square.
        window: rows and columns of the window, odd; one number for a square. 1 is the token itself.
        border: "shift" moves the window inwards at edges, so that each query sees a full window (NATTEN);
            "truncate" leaves out what lies outside the grid.
        dilation: distance of neighbours; each of the dilation^2 interleaved sub-grids attends within itself.
        engine: "auto" (by size, see docs/attention.md), "masked", "halo", "natten"; "gather" and "flex", which "auto"
            never uses, are for comparison. All give the same result.

    Returns:
        (B, heads, N, head_dim).

    Raises:
        ArgumentError: shapes and grid disagree, the window is even or does not fit a grid with border "shift".
        AttentionError: the engine cannot run here.

    Source: Hassani et al., Neighborhood Attention Transformer, arXiv 2204.07143, eq. 1; dilation arXiv 2209.15001.
    """
    rows, columns = check_grid(grid, window, border, dilation)
    if not query.shape == key.shape == value.shape or query.ndim != 4 or query.shape[2] != rows * columns:
        raise ArgumentError(
            f"expected query, key and value of one shape (B, heads, {rows * columns}, head_dim) for a grid of "
            f"{rows} x {columns}, got {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    check_engine(engine)
    whole = Window((rows, columns), as_pair(window), border)
    if engine == "natten":
        return natten_window(query, key, value, whole, dilation)
    if dilation == 1:
        return _attend(query, key, value, whole, engine)
    return _dilated(query, key, value, whole, dilation, engine)


def _dilated(query: Tensor, key: Tensor, value: Tensor, whole: Window, dilation: int, engine: str) -> Tensor:
    """Each of the interleaved sub-grids on its own."""
    spread = [x.unflatten(2, whole.grid) for x in (query, key, value)]
    result = torch.empty_like(spread[0])
    for row in range(dilation):
        for column in range(dilation):
            parts = [x[:, :, row::dilation, column::dilation] for x in spread]
            part_grid = (parts[0].shape[2], parts[0].shape[3])
            flat = [x.flatten(2, 3) for x in parts]
            part = _attend(flat[0], flat[1], flat[2], replace(whole, grid=part_grid), engine)
            result[:, :, row::dilation, column::dilation] = part.unflatten(2, part_grid)
    return result.flatten(2, 3)


def check_grid(
    grid: int | tuple[int, int], window: int | tuple[int, int], border: str, dilation: int
) -> tuple[int, int]:
    """The grid as (rows, columns), or an ArgumentError when the window cannot be used on it."""
    if border not in get_args(Border):
        raise ArgumentError(f"border: expected shift or truncate, got {border!r}")
    if dilation < 1:
        raise ArgumentError(f"dilation: expected 1 or more, got {dilation}")
    grid, window = as_pair(grid), as_pair(window)
    if min(window) < 1 or any(size % 2 == 0 for size in window):
        raise ArgumentError(f"window: expected odd numbers of 1 or more, got {window[0]} x {window[1]}")
    if min(grid) < dilation:
        raise ArgumentError(f"dilation {dilation} is larger than the grid of {grid[0]} x {grid[1]} tokens")
    if border == "shift" and any(size > length // dilation for size, length in zip(window, grid, strict=True)):
        raise ArgumentError(
            f"a window of {window[0]} x {window[1]} with dilation {dilation} does not fit the grid of "
            f"{grid[0]} x {grid[1]} tokens; take a smaller window, border truncate, or attention full"
        )
    return grid


def check_engine(engine: str, known: Collection[str] = ("auto", *WINDOW_ENGINES)) -> None:
    """Raise ArgumentError for an engine of window attention that is none of these."""
    if engine not in known:
        raise ArgumentError(f"window engine {engine!r}: expected {', '.join(known)}")


def as_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """(value, value) for one number."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def engine_for(window: Window) -> str:
    """The engine that `auto` takes: tiles pay when the grid is well above what one tile sees.

    The line is drawn through measurements on two CPU cores, benchmarks/window.py and docs/attention.md.
    """
    return "halo" if window.tokens >= 1.5 * keys_per_tile(window) + 165 else "masked"


def _attend(query: Tensor, key: Tensor, value: Tensor, window: Window, engine: str) -> Tensor:
    sees_all = all(
        size // 2 >= length - 1 or (window.border == "shift" and size == length)
        for size, length in zip(window.size, window.grid, strict=True)
    )
    if sees_all and engine == "auto":
        return full_attention(query, key, value)
    return WINDOW_ENGINES[engine_for(window) if engine == "auto" else engine](query, key, value, window)
