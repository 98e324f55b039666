"""`dit-gen study` from its options to its record."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cmmd_toolkit.common.outputs import Outputs

from ..common.shell import parse_list
from ..study.options import StudyOptions
from ..study.record import study_report
from .given import is_given
from .training import train_options

_SAME = ("runs", "samples", "draws", "sweep_images", "bench_model", "bench_minutes")  # here and in the record


def study_options(
    *, guidance_scale: str, sweep_steps: str, backbone: Sequence[str], dims: int, **given: Any
) -> StudyOptions:
    """The record of what click gives."""
    same = {name: given.pop(name) for name in _SAME}
    if backbone:
        same["backbones"] = {name: path or None for name, _, path in (text.partition("=") for text in backbone)}
    return StudyOptions(
        training=train_options(**given),
        scales=parse_list(guidance_scale, "--guidance-scale", float),
        sweep_steps=tuple(map(str.strip, sweep_steps.split(","))),
        dims=dims if is_given("dims") else None,
        **same,
    )


def deliver_scores(page: Path, outputs: Outputs) -> None:
    """Write the scores of a finished study in the forms that were asked for; print one of them, or the page's name."""
    if not outputs.files:
        click.echo(page)
        return
    report = study_report(page.parent)
    for write in outputs.writers(report):
        write()
    text = outputs.text(report)
    click.echo(page if text is None else text, nl=text is None)
