"""`explain`: which pictures make the squared MMD, and which odd ones are too few for it."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import Unpack

from ..common.arguments import whole_number
from ..errors import ArgumentError
from ..estimation.kernel_device import kernels_on
from ..features.feature_set import FeatureSet
from ..features.features import Features
from ..metrics.mmd import Bandwidth, check_bandwidth
from ..metrics.mmd_cost import FEWER, warn_of_cost
from ..report.exhibit import Exhibit
from ..report.explanation import Explanation
from ..report.section import Section
from ..scoring.driving import listed_rows, modes_of, pictures_of, section_of
from ..scoring.exhibit import exhibit_of
from ..sets.embed_sets import EmbeddedSets, embed_sets
from ..sets.named import as_sources
from ..sets.open_sets import OpenedSets, open_sets
from ..sets.run import Run
from ..sets.side import check_rows
from .run_options import RunOptions, takes

MODES, _MOST_MODES = 4, 50


@takes(RunOptions)
def explain(
    reference: Any,
    generated: Any,
    *,
    top: int = 16,
    modes: int | None = None,
    bandwidth: Bandwidth | None = None,
    exhibit: bool = False,
    **options: Unpack[RunOptions],
) -> Explanation:
    """Show which pictures cause the squared MMD between a generated set and a reference set.

        f(z) = mean_i k(x_i, z) - mean_j k(y_j, z)

    The generated pictures with the lowest f are listed, and the reference pictures with the highest. The squared MMD
    is unbiased and unscaled, whatever the recipe: then it is the mean of f over the reference minus its mean over the
    generated set. A picture unlike any real one has a low f only if there are many like it: a single one has f
    near zero, and MMD does not detect it. So a third list has the generated pictures farthest from every real one.

    Args:
        reference, generated: as `compare`, but one generated set, and no mean and covariance.
        top: pictures per list, at least 1; all of a smaller set.
        modes: how many kinds of pictures to look for whose shares in the two sets differ, 0 for none; None is 4 where
            both sets have 100 pictures. Half of the pictures are used to find them, the others to count them.
        bandwidth: of the kernel: a number > 0, "median" (of the reference; the default) or "median-pooled".
        exhibit: as `compare`.
        recipe: one that defines an MMD; it fixes the network, decoding, normalisation and bandwidth.
        others: as `compare`.

    Returns:
        Explanation, with one section for each backbone.

    Raises:
        CmmdError: as `compare`; several generated sets, statistics in place of features, a recipe without MMD.

    Source: Gretton et al. 2012 (JMLR 13), section 2.3.
    """
    top = whole_number(top, "top", 1)
    modes = modes if modes is None else whole_number(modes, "modes", 0, _MOST_MODES)
    if bandwidth is not None:
        check_bandwidth(bandwidth)
    if len(as_sources(generated)) != 1:
        raise ArgumentError(f"generated: expected one set, got {len(as_sources(generated))}; `contrast` takes two")
    run = Run(**options)
    sets = open_sets(reference, generated, run)
    check_explainable(sets)
    with kernels_on(run.device):
        embedded = embed_sets(sets, bandwidth)
        found = [_section(embedded, k, bandwidth, top, modes) for k in range(len(embedded.backbones))]
        sections, unsaid = [section for section, _ in found], [text for _, text in found if text]
        return _explanation(embedded, sections, unsaid, exhibit_of(embedded, exhibit, bandwidth, sections))


def check_explainable(sets: OpenedSets) -> None:
    """Refuse what has no witness function."""
    if "mmd" not in sets.recipe.metrics:
        raise ArgumentError(
            f"recipe: expected one that defines an MMD, got {sets.recipe.name}; use google-cmmd or none"
        )
    check_rows(sets.sides, "an explanation")


def _explanation(
    sets: EmbeddedSets, sections: Sequence[Section], unsaid: Sequence[str], exhibit: Exhibit | str
) -> Explanation:
    first, second = sets.sides
    remarks = [*sets.warnings, *row_remarks(sets), *(text for one in sections for text in _remarks(one)), *unsaid]
    return Explanation(
        first.label,
        second.label,
        tuple(sections),
        tuple(dict.fromkeys(remarks)),
        sets.descriptions(),
        sets.provenance(["mmd"]),
        (
            pictures_of(first, sorted(listed_rows(sections, is_reference=True))),
            pictures_of(second, sorted(listed_rows(sections, is_reference=False))),
        ),
        exhibit,
    )


def _section(
    sets: EmbeddedSets, backbone: int, bandwidth: Bandwidth | None, top: int, modes: int | None
) -> tuple[Section, str]:
    """The lists of a backbone, and why there are no modes where they were asked for."""
    x, y = (sets.recipe.mmd_rows(features) for features in sets.features_on(backbone))
    warn_of_cost(len(x), len(y), x.shape[1], FEWER)
    reference, generated = (side.picture_names() for side in sets.sides)
    names, seed, backbone_name = (reference, generated), sets.run.seed, sets.backbones[backbone]
    count = MODES if modes is None else modes
    kinds = modes_of(x, y, names, count, seed) if count else ""
    unsaid = f"{backbone_name}: no modes: {kinds}" if isinstance(kinds, str) and modes else ""
    known = None if isinstance(kinds, str) else kinds
    width = sets.recipe.bandwidth_or(bandwidth)
    section = section_of(backbone_name, x, y, names, bandwidth=width, top=top, seed=seed, modes=known)
    return section, unsaid


def row_remarks(sets: EmbeddedSets) -> list[str]:
    """Row numbers count within the subset, when one was drawn."""
    return [
        f"{side.short}: features without names, so pictures are called by their row in the subset of max_images"
        for side in sets.sides
        if isinstance(side.stored, (Features, FeatureSet))
        and not side.stored.names
        and side.size == sets.run.max_images
    ]


def _remarks(section: Section) -> list[str]:
    estimate = section.squared_mmd
    remarks = [f"{section.backbone}: {caveat}" for caveat in estimate.caveats]
    if estimate.no_error_reason is not None:
        remarks.append(f"{section.backbone}: no interval of squared MMD: {estimate.no_error_reason}")
    if estimate.interval is not None and estimate.interval[0] <= 0:
        remarks.append(
            f"{section.backbone}: the sets cannot be told apart by squared MMD, whose 95 % interval includes zero; "
            "the lists show chance as much as faults"
        )
    return remarks
