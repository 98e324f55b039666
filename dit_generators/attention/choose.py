"""`auto`: measure the engines that compute the same result on this device and take the fastest."""

from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from ..common.stopwatch import seconds_of
from ..errors import AttentionError
from .engines.foreign import describe
from .engines.natten import natten_may_work
from .neighbours import Window
from .settings import AttentionSettings

_REPEATS = 5


@dataclass(frozen=True)
class Choice:
    """What `auto` chose: concrete settings, seconds by engine and kind of layer, and why others failed."""

    settings: AttentionSettings
    seconds: dict[str, dict[str, float]]
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = []
        for kind, times in self.seconds.items():
            ordered = sorted(times, key=lambda name: times[name])
            timings = ", ".join(f"{name} {1000 * times[name]:.2f} ms" for name in ordered)
            lines.append(f"{kind} by {ordered[0]} ({timings})")
        lines += [f"{name} did not run ({reason})" for name, reason in self.failed.items()]
        return "attention auto: " + "; ".join(lines)


def choose_attention(
    settings: AttentionSettings, depth: int, grid: tuple[int, int], shape: tuple[int, ...], like: Tensor
) -> Choice:
    """The same meaning as `settings` by the fastest engines for inputs of `shape` (B, heads, N, head_dim).

    `like` gives the device and the type. Never changes what is computed: full attention stays full.
    """
    inputs = views_of_qkv(shape, like)
    seconds: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    chosen = []
    for kind in settings.layers(depth):
        name = "swa" if kind.startswith("swa") else "full"
        if name not in seconds:
            seconds[name] = _measure(_candidates(name, settings, grid, like.device), settings, grid, inputs, failed)
        chosen.append(min(seconds[name], key=lambda engine: seconds[name][engine]))
    pattern = chosen[0] if len(set(chosen)) == 1 else ",".join(chosen)
    return Choice(replace(settings, pattern=pattern), seconds, failed)


def views_of_qkv(shape: tuple[int, ...], like: Tensor, *, requires_grad: bool = False) -> list[Tensor]:
    """Random query, key, value (B, heads, N, head_dim) with the strides of a qkv layer's views, as a model has them."""
    batch, heads, tokens, width = shape
    qkv = torch.randn(batch, tokens, 3, heads, width, device=like.device, dtype=like.dtype)
    return [x.detach().requires_grad_(requires_grad) for x in qkv.permute(2, 0, 3, 1, 4).unbind()]


def _candidates(name: str, settings: AttentionSettings, grid: tuple[int, int], device: torch.device) -> list[str]:
    if name == "full":
        return ["full", "naive", *(["xformers"] if device.type == "cuda" else [])]
    window = Window(grid, (settings.window, settings.window), settings.border)
    return ["swa:masked", "swa:halo", *(["swa:natten"] if natten_may_work(device, window) else [])]


@torch.no_grad()
def _measure(
    names: list[str],
    settings: AttentionSettings,
    grid: tuple[int, int],
    inputs: list[Tensor],
    failed: dict[str, str],
) -> dict[str, float]:
    device, seconds = inputs[0].device, {}
    for name in names:
        try:
            attend = replace(settings, pattern=name).build(1, grid, device)[0]
            attend(*inputs)  # warms up
            seconds[name] = min(seconds_of(partial(attend, *inputs), device) for _ in range(_REPEATS))
        except Exception as error:  # an engine of another package may fail in any way
            failed[name] = describe(error)
    if not seconds:
        reasons = "; ".join(f"{name}: {failed[name]}" for name in names)
        raise AttentionError(f"no attention ran on {device} ({reasons}); choose another `attention`")
    return seconds
