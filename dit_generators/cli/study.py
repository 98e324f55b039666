"""`dit-gen study` from its options to its record."""

from collections.abc import Sequence
from typing import Any

from ..common.shell import parse_list
from ..study.options import StudyOptions
from .given import is_given
from .training import train_options


def study_options(
    *,
    runs: int,
    samples: int,
    guidance_scale: str,
    sweep_steps: str,
    sweep_images: int,
    draws: int,
    backbone: Sequence[str],
    dims: int,
    bench_model: str,
    **training: Any,
) -> StudyOptions:
    """The record of what click gives."""
    named = [text.partition("=") for text in backbone]
    return StudyOptions(
        training=train_options(**training),
        runs=runs,
        samples=samples,
        draws=draws,
        scales=parse_list(guidance_scale, "--guidance-scale", float),
        sweep_steps=tuple(map(str.strip, sweep_steps.split(","))),
        sweep_images=sweep_images,
        dims=dims if is_given("dims") else None,
        bench_model=bench_model,
        **({"backbones": {name: path or None for name, _, path in named}} if named else {}),
    )
