"""The chart of `dit-gen bench`: time of every attention beside the others, one panel a level."""

from collections.abc import Sequence
from pathlib import Path

from cmmd_toolkit.common.writing import remove_leftovers, replacing

from .measure import Measurement
from .results import device_name
from .settings import BenchSettings


def draw_bench(
    settings: BenchSettings, results: Sequence[Measurement], target: Path, device: str | None = None
) -> None:
    """Write a PNG of milliseconds per picture by batch size; bars start at zero, so their heights compare.

    `device` names the one that was measured, where that is not here.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(settings.levels), 3.6), layout="constrained")
    panels = figure.subplots(1, len(settings.levels), squeeze=False)[0]
    kinds = [(kind, precision) for precision in settings.precisions for kind in settings.attention]
    ran = [kind for kind in kinds if any((r.attention, r.precision) == kind and r.seconds for r in results)]
    several = len(settings.precisions) > 1
    width = 0.8 / max(1, len(ran))
    for panel, level in zip(panels, settings.levels, strict=True):
        for i, kind in enumerate(ran):
            own = [r for r in results if (r.attention, r.precision) == kind and r.level == level]
            found = {r.batch_size: r.seconds for r in own if r.seconds}
            places = [settings.batch_sizes.index(batch) + (i - (len(ran) - 1) / 2) * width for batch in found]
            panel.bar(
                places,
                [1000 * seconds / batch for batch, seconds in found.items()],
                width,
                label=", ".join(kind) if several else kind[0],
            )
        panel.set(title=level, xlabel="batch size")
        panel.set_xticks(range(len(settings.batch_sizes)), [str(batch) for batch in settings.batch_sizes])
        panel.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("milliseconds per image, lower is better")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, max(1, len(ran))))
    pass_name = "forward and backward" if settings.backward else "forward"
    figure.suptitle(
        f"{settings.name}, {settings.config.num_tokens} tokens, {', '.join(settings.precisions)}, {pass_name}, "
        f"{device or device_name(settings.device)}",
        fontsize="medium",
        wrap=True,
    )
    remove_leftovers(target.parent, [target.name])
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
