"""`contrast`: which pictures make one generated set closer to the reference than another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import Unpack

from ..common.arguments import whole_number
from ..errors import ArgumentError
from ..estimation.kernel_device import kernels_on
from ..metrics.mmd import Bandwidth, MmdReference, check_one_ruler
from ..metrics.mmd_cost import FEWER, warn_of_cost
from ..report.contrast import Contrast, ContrastSection, differences_of
from ..scoring.contrasting import contrast_section
from ..scoring.driving import pictures_of
from ..scoring.exhibit import exhibit_of
from ..sets.embed_sets import EmbeddedSets, embed_sets
from ..sets.open_sets import open_sets
from ..sets.run import Run
from .explain import check_explainable, row_remarks
from .run_options import RunOptions, takes


@takes(RunOptions)
def contrast(
    reference: Any,
    first: Any,
    second: Any,
    *,
    top: int = 16,
    bandwidth: Bandwidth | None = None,
    exhibit: bool = False,
    **options: Unpack[RunOptions],
) -> Contrast:
    """Say which pictures are behind the difference of two generated sets' squared MMDs to one reference.

        D = MMD^2(reference, first) - MMD^2(reference, second)

    Four lists: the pictures of each generated set whose removal would bring it closest to the reference, and the
    reference pictures that one set covers better than the other (by the mean kernel to each).

    Args:
        reference, first, second: as `compare`, one set each, and no mean and covariance.
        bandwidth: of the kernel, the same for both: a number > 0 or "median" (of the reference; the default).
        exhibit, others: as `explain`.

    Returns:
        Contrast, with one section for each backbone.

    Raises:
        CmmdError: as `explain`; "median-pooled", which gives each set a different bandwidth.
    """
    top = whole_number(top, "top", 1)
    if bandwidth is not None:
        check_one_ruler(bandwidth)
    run = Run(**options)
    sets = open_sets(reference, [first, second], run)
    if len(sets.sides) != 3:
        raise ArgumentError(f"first, second: expected one set each, got {len(sets.sides) - 1} in all")
    check_explainable(sets)
    with kernels_on(run.device):
        embedded = embed_sets(sets, bandwidth)
        sections = [_section(embedded, k, bandwidth, top) for k in range(len(embedded.backbones))]
        short = (sets.sides[0].short, sets.sides[1].short, sets.sides[2].short)
        shown = exhibit_of(embedded, exhibit, bandwidth, differences=differences_of(sections, short))
    return replace(_contrast(embedded, sections), exhibit=shown)


def _section(sets: EmbeddedSets, backbone: int, bandwidth: Bandwidth | None, top: int) -> ContrastSection:
    x, y, z = (sets.recipe.mmd_rows(features) for features in sets.features_on(backbone))
    for rows in (y, z):
        warn_of_cost(len(x), len(rows), x.shape[1], FEWER)
    ruler = MmdReference(x, sets.recipe.bandwidth_or(bandwidth), "unbiased", sets.run.seed)
    reference, first, second = (side.picture_names() for side in sets.sides)
    return contrast_section(sets.backbones[backbone], ruler, (y, z), (reference, first, second), top)


def _contrast(sets: EmbeddedSets, sections: Sequence[ContrastSection]) -> Contrast:
    reference, first, second = sets.sides
    remarks = [*sets.warnings, *row_remarks(sets)]
    for one in sections:
        if one.interval is None:
            reason = one.first.no_error_reason or one.second.no_error_reason
            remarks.append(f"{one.backbone}: no test of the difference: {reason}")
        elif one.interval[0] <= 0 <= one.interval[1]:
            remarks.append(
                f"{one.backbone}: the 95 % interval of the difference includes zero; the lists show chance as much as "
                "a difference of the sets"
            )
    real = [entry.row for one in sections for entry in (*one.nearer_to_first, *one.nearer_to_second)]
    own = [[entry.row for one in sections for entry in getattr(one, name)] for name in ("first_worst", "second_worst")]
    return Contrast(
        reference.label,
        first.label,
        second.label,
        tuple(sections),
        tuple(dict.fromkeys(remarks)),
        sets.descriptions(),
        sets.provenance(["mmd"]),
        (
            pictures_of(reference, sorted(set(real))),
            pictures_of(first, sorted(set(own[0]))),
            pictures_of(second, sorted(set(own[1]))),
        ),
    )
