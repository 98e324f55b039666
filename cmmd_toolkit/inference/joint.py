"""One exact test of "these two sets differ", over several backbones and widths of kernel at once.

All backbones see the same pictures, so a deal of the pictures is a deal of the rows of all of them. Under each backbone
Gaussian and Laplace kernels of several widths, around the median distance and down to that of nearest neighbours, give
two statistics each (`dealt_kernels`): the squared MMD, and which set is denser at that width. Each is in units of its
own standard deviation over all deals, and the test statistic is the largest of all. What is made of the pooled pictures
alone, and of all deals alike, leaves the observed deal one among others where both sets come from one distribution, so
p is exact at every size (Phipson and Smyth 2010). The step-down maximum over the same deals (Westfall and Young 1993)
says which backbones and widths show a difference.

Pictures are pooled in the order of a hash of their features: neither their order nor which set is the reference decides
the rounding, the rows of the median or anything else but the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, comb, log
from typing import Any

import numpy as np

from ..common.progress import Advance, ShowProgress, show_no_progress
from ..common.text import p_phrase
from ..errors import ArgumentError
from ..estimation.deal_forms import Family, Kernel, ScaledRows, forms_of
from ..estimation.kernels import centre_of
from ..metrics.mmd_cost import warn_of_deals
from ..pictures.sources import subset_rows
from .dealt_kernels import DealtKernels, step_down
from .pooled_pictures import Sides, by_backbone, checked_sides, deals, nearest_of, ruler_of, taken
from .two_sample import checked_draws, kept_rows, thinned

WIDTHS = (2.0, 1.0, 0.5, 0.25)
FAMILIES: tuple[Family, ...] = ("gaussian", "laplace")
PERMUTATIONS, MOST_ROWS = 1999, 10_000
_MOST_NARROWER = 3
_SMALL = 0.05  # the level at which a test that cannot reach it is said to be one


@dataclass(frozen=True)
class JointFinding:
    """What one kernel shows under one backbone.

    Attributes:
        backbone, kernel: names; the kernel is "gaussian" or "laplace".
        width: of the kernel, a multiple of the median distance over both sets; bandwidth: the same in feature units.
        difference: squared MMD, in standard deviations over all deals.
        contrast: mean kernel between generated pictures minus that between reference ones, in standard deviations over
            all deals; above zero generated pictures lie closer together at this width, below zero farther apart.
        p_difference, p_contrast: corrected for all backbones, kernels and statistics of the test.
    """

    backbone: str
    kernel: str
    width: float
    bandwidth: float
    difference: float
    contrast: float
    p_difference: float
    p_contrast: float

    @property
    def p_value(self) -> float:
        """The smaller of both."""
        return min(self.p_difference, self.p_contrast)

    @property
    def score(self) -> float:
        """The larger of both statistics."""
        return max(self.difference, abs(self.contrast))


@dataclass(frozen=True)
class JointTest:
    """What `joint_test` returns.

    Attributes:
        p_value: the chance of a maximum at least this large, over all backbones and kernels, if both sets come from one
            distribution.
        p_by_backbone: corrected for all backbones: where it is below alpha, the sets differ under that backbone.
        findings: one for each backbone and kernel.
        n_reference, n_generated: pictures used.
        permutations: number of random deals (reassignments to the sets); p_value is at least 1 / (permutations + 1).
        parameters: seed, and the median distance of each backbone, JSON-able.
        caveats: subsets, copies, too few pictures for a small p, and backbones that see no difference between any two.
    """

    p_value: float
    p_by_backbone: Mapping[str, float]
    findings: tuple[JointFinding, ...]
    n_reference: int
    n_generated: int
    permutations: int
    parameters: Mapping[str, Any]
    caveats: tuple[str, ...] = ()

    def strongest(self, backbone: str) -> JointFinding:
        """The finding of a backbone with the largest statistic. Raises ArgumentError for one without findings."""
        if backbone not in self.p_by_backbone:
            raise ArgumentError(f"backbone: expected one of {', '.join(self.p_by_backbone)}, got {backbone}")
        return max((own for own in self.findings if own.backbone == backbone), key=lambda own: own.score)

    def among(self, sets: int) -> "JointTest":
        """The same as one of so many generated sets: p-values of backbones and findings times their number."""

        def corrected(p_value: float) -> float:
            return min(1.0, sets * p_value)

        findings = tuple(
            replace(own, p_difference=corrected(own.p_difference), p_contrast=corrected(own.p_contrast))
            for own in self.findings
        )
        by_backbone = {name: corrected(p_value) for name, p_value in self.p_by_backbone.items()}
        return replace(self, p_by_backbone=by_backbone, findings=findings)

    def __repr__(self) -> str:
        names = ", ".join(self.p_by_backbone)
        return f"JointTest({p_phrase(self.p_value)} over {names}, {self.permutations:,} permutations)"


def joint_test(
    *,
    reference: Any,
    generated: Any,
    permutations: int = PERMUTATIONS,
    max_rows: int = MOST_ROWS,
    seed: int = 0,
    progress: ShowProgress | None = None,
) -> JointTest:
    """Do two sets of pictures differ under any of several backbones, at any width of kernel? One exact p-value.

    The features are used as given: normalise embeddings to unit length first, as `compare` does.

    Args:
        reference, generated: a mapping from the names of backbones to features (N, D) of the same N pictures in the
            same order, such as a `FeatureSet`; or features of one backbone as array, tensor or `Features`. At least two
            pictures per side.
        permutations: random reassignments of the pictures (deals), at least 19.
        max_rows: pictures used in all, at least 40. Of more, a seeded subset of the larger set is taken, and the
            smaller is kept whole unless it has more than half of them.
        seed: of the deals, of the subset and of the median distance.
        progress: shows how far it is, in pictures; None shows nothing. More than 10^12 multiplications warn
            (CostWarning) how long they take.

    Returns:
        JointTest; a small p_value says that the sets differ. A large one does not say that they are equal. Where a set
        holds exact copies, everything is of all pictures or of the distinct ones, whichever p_value is larger: a model
        that repeats itself differs, a file that was copied by mistake does not, and features cannot tell.

    Raises:
        ArgumentError: other backbones or widths on the two sides, other numbers of pictures under two backbones, fewer
            than two pictures, statistics in place of features, NaN or infinity, nothing but one picture.

    Source: Westfall and Young 1993, algorithm 4.1; Schrab et al. 2023 (JMLR 24) for many widths; the two statistics and
    their moments over all deals: Song and Chen 2024 (Biometrika 111).
    """
    seed = checked_draws(permutations, max_rows, seed)
    given = checked_sides(by_backbone(reference, "reference"), by_backbone(generated, "generated"), seed)
    n, m = sizes = [len(next(iter(side.values()))) for side in given]
    counts = kept_rows(n, m, max_rows)
    caveats = [*thinned((n, m), counts, "pictures"), *_too_few(*counts)]
    chosen = (taken(side, subset_rows(size, few, seed)) for side, size, few in zip(given, sizes, counts, strict=True))
    sides = Sides(*chosen)
    pools, distinct = [_Pool(sides, seed)], sides.distinct()
    if min(distinct.counts) < 2:
        caveats.append("all pictures of a set are copies of one")
    elif distinct.counts != counts:
        pools.append(_Pool(distinct, seed))
    passes = [own for pool in pools for own in pool.passes]
    warn_of_deals(*counts, len(pools[0].rulers), passes, permutations + 1)
    with (progress or show_no_progress)("joint test", sum(counts)) as advance:
        tests = [
            _test(pool, permutations, seed, caveats, lambda share: advance(share * sum(counts) / len(passes)))
            for pool in pools
        ]
    return _larger(*tests) if len(tests) > 1 else tests[0]


def _too_few(n: int, m: int) -> list[str]:
    """A caveat where no features could give a small p: with equal numbers each deal has the value of its opposite."""
    least = (2 if n == m else 1) / comb(n + m, n)
    if least <= _SMALL:
        return []
    return [f"{n} and {m} pictures are too few: p is hardly below {least:.2g} whatever they are"]


def kernels_for(nearest: float) -> tuple[Kernel, ...]:
    """The kernels of one backbone, whose nearest neighbours are so many median distances apart: narrower ones, down to
    that width, where it is less than the least of WIDTHS, as in features of tight classes."""
    least = min(WIDTHS)
    steps = 0 if nearest >= least else min(_MOST_NARROWER, ceil(log(least / nearest, 4)))
    narrower = tuple(float(own) for own in np.geomspace(least, nearest, steps + 1)[1:])
    return tuple(Kernel(family, width) for family in FAMILIES for width in (*WIDTHS, *narrower))


def _larger(every: JointTest, distinct: JointTest) -> JointTest:
    """The test that holds whether copies are draws of their own or copied files."""
    counts = f"{distinct.n_reference:,} reference and {distinct.n_generated:,} generated pictures are distinct"
    readings = f"{p_phrase(every.p_value)} of all pictures, {p_phrase(distinct.p_value)} without copies"
    larger = distinct if distinct.p_value > every.p_value else every
    return replace(larger, caveats=(*larger.caveats, f"copies within a set: {counts}; {readings}; the larger is given"))


class _Pool:
    """The pictures of both sets, pooled, and what measures them under each backbone that tells any two apart."""

    def __init__(self, sides: Sides, seed: int) -> None:
        self.counts = sides.counts
        self.rows, self.is_reference = sides.pooled()
        self.rulers: dict[str, float] = {}
        self.kernels: dict[str, tuple[Kernel, ...]] = {}
        for backbone, given in self.rows.items():
            rows = given.astype(np.float64)
            if (ruler := ruler_of(rows, seed)) is not None:
                self.rulers[backbone] = ruler
                self.kernels[backbone] = kernels_for(nearest_of(rows, ruler, seed))
        if not self.rulers:
            raise ArgumentError(
                f"all pictures have the same features on {', '.join(self.rows)}; there is nothing to compare"
            )

    @property
    def passes(self) -> list[tuple[int, int]]:
        """Feature dimensions and number of kernels of each backbone."""
        return [(self.rows[backbone].shape[1], len(kernels)) for backbone, kernels in self.kernels.items()]

    def scaled(self, backbone: str) -> ScaledRows:
        """The rows under a backbone, in units of its ruler."""
        rows = self.rows[backbone].astype(np.float64)
        narrowest = min(kernel.width for kernel in self.kernels[backbone])
        return ScaledRows(rows, centre_of(rows), self.rulers[backbone], narrowest)


def _test(pool: _Pool, permutations: int, seed: int, caveats: Sequence[str], advance: Advance) -> JointTest:
    """The test of these pictures; `advance` takes the share done of each backbone."""
    signs, rulers = deals(pool.is_reference, permutations, seed), pool.rulers
    where = [(backbone, kernel) for backbone, kernels in pool.kernels.items() for kernel in kernels]
    dealt = [
        DealtKernels.of(forms_of(pool.scaled(backbone), kernels, signs, advance), signs)
        for backbone, kernels in pool.kernels.items()
    ]
    differences = np.concatenate([own.differences for own in dealt])
    contrasts = np.concatenate([own.contrasts for own in dealt])
    p_value, adjusted = step_down(np.concatenate([differences, np.abs(contrasts)]))
    findings = tuple(
        JointFinding(backbone, kernel.family, kernel.width, kernel.width * rulers[backbone], *map(float, numbers))
        for (backbone, kernel), *numbers in zip(
            where, differences[:, 0], contrasts[:, 0], *adjusted.reshape(2, -1), strict=True
        )
    )
    if blind := [backbone for backbone in pool.rows if backbone not in rulers]:
        caveats = [*caveats, f"all pictures have the same features on {', '.join(blind)}, which is left out"]
    found = {name: min(own.p_value for own in findings if own.backbone == name) for name in rulers}
    parameters = {"seed": seed, "median_distance": rulers}
    return JointTest(p_value, found, findings, *pool.counts, permutations, parameters, tuple(caveats))
