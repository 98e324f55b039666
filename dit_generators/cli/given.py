"""Options that would say nothing: refused, never ignored."""

from collections.abc import Sequence

import click

from ..errors import ArgumentError
from ..network.model import DiT
from ..sampling.sample import SampleSettings

_GUIDANCE = ("guidance_by", "guidance_channels", "guidance_interval", "guidance_window")
_WINDOW = ("window", "border", "dilation")


def is_given(name: str) -> bool:
    """Whether the user wrote this option of the command that runs."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP)


def check_guidance_options(settings: SampleSettings, scales: Sequence[float]) -> None:
    """Raise ArgumentError for options of guidance where nothing is guided, or of another guidance."""
    named = next((name for name in _GUIDANCE if is_given(name)), None)
    if named and all(scale == 1 for scale in scales):
        raise ArgumentError(
            f"{option(named)}: has no effect at --guidance-scale 1, which is no guidance; give another scale"
        )
    guidance = settings.guidance
    if is_given("guidance_window") and guidance.by == "label":
        raise ArgumentError("--guidance-window: only has an effect with --guidance-by window")
    everywhere = guidance.by == "label" and guidance.channels == "all" and guidance.interval is None
    if settings.labels is not None and everywhere and all(scale == 0 for scale in scales):
        raise ArgumentError("--labels: have no effect at --guidance-scale 0, which uses the null label; leave them out")


def check_adaptive_options(settings: SampleSettings, *, sweeps: bool) -> None:
    """Raise ArgumentError for numbers of steps where dopri5 finds its own."""
    if settings.sampler == "dopri5" and (sweeps or is_given("steps")):
        told = "a sweep compares numbers of steps; use euler or heun" if sweeps else "leave out --steps"
        raise ArgumentError(f"--sampler dopri5: chooses its steps from --rtol and --atol; {told}")


def check_window_options(model: DiT, kinds: Sequence[str | None]) -> None:
    """Raise ArgumentError for options of the window where no layer of any of the kinds has one."""
    patterns = [model.config.attention if kind in (None, "auto") else str(kind) for kind in kinds]
    named = next((name for name in _WINDOW if is_given(name)), None)
    if named and not any("swa" in pattern for pattern in patterns):
        raise ArgumentError(
            f"{option(named)}: only has an effect with swa; the attention here is {', '.join(patterns)}"
        )


def option(name: str) -> str:
    """guidance_by -> --guidance-by."""
    return "--" + name.replace("_", "-")
