"""`auto`: measure the engines that compute the same result on this device and take the fastest."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import AttentionError, DitError
from .natten import natten_works
from .neighbours import Window
from .pattern import AttentionSettings

_REPEATS = 5


@dataclass(frozen=True)
class Choice:
    """What `auto` chose: concrete settings, and the seconds of every engine it measured for each kind of layer."""

    settings: AttentionSettings
    seconds: dict[str, dict[str, float]]

    def __str__(self) -> str:
        lines = []
        for kind, times in self.seconds.items():
            ordered = sorted(times, key=lambda name: times[name])
            timings = ", ".join(f"{name} {1000 * times[name]:.2f} ms" for name in ordered)
            lines.append(f"{kind} by {ordered[0]} ({timings})")
        return "attention auto: " + "; ".join(lines)


def choose_attention(
    settings: AttentionSettings, depth: int, grid: tuple[int, int], shape: tuple[int, ...], like: Tensor
) -> Choice:
    """The same meaning as `settings` by the fastest engines for inputs of `shape` (B, heads, N, head_dim).

    `like` gives the device and the type. Never changes what is computed: full attention stays full.
    """
    inputs = [torch.randn(shape, device=like.device, dtype=like.dtype) for _ in range(3)]
    seconds: dict[str, dict[str, float]] = {}
    chosen = []
    for kind in settings.layers(depth):
        name = "swa" if kind.startswith("swa") else "full"
        if name not in seconds:
            seconds[name] = _measure(_candidates(name, settings, grid, like.device), settings, grid, inputs)
        chosen.append(min(seconds[name], key=lambda engine: seconds[name][engine]))
    return Choice(replace(settings, pattern=_shortest(chosen)), seconds)


def measure_seconds(
    call: Callable[[], object], device: torch.device, repeats: int = _REPEATS, *, warm_up: bool = True
) -> float:
    """Least seconds of `repeats` calls, after one that warms up, synchronised with the device."""
    if warm_up:
        call()
    best = float("inf")
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        best = min(best, time.perf_counter() - start)
    return best


def _candidates(name: str, settings: AttentionSettings, grid: tuple[int, int], device: torch.device) -> list[str]:
    if name == "full":
        return ["full", "naive", *(["xformers"] if device.type == "cuda" else [])]
    window = Window(grid, (settings.window, settings.window), settings.border)
    return ["swa:masked", "swa:halo", *(["swa:natten"] if natten_works(device, window) else [])]


@torch.no_grad()
def _measure(
    names: list[str], settings: AttentionSettings, grid: tuple[int, int], inputs: list[Tensor]
) -> dict[str, float]:
    device, seconds = inputs[0].device, {}
    for name in names:
        try:
            attend = replace(settings, pattern=name).build(1, grid, device)[0]
            seconds[name] = measure_seconds(lambda attend=attend: attend(*inputs), device)  # type: ignore[misc]
        except (AttentionError, torch.OutOfMemoryError):
            continue
    if not seconds:
        raise DitError(f"none of {', '.join(names)} ran on {device}; give --attention another kind")
    return seconds


def _shortest(kinds: list[str]) -> str:
    return kinds[0] if len(set(kinds)) == 1 else ",".join(kinds)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
