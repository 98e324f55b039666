"""Kernel distance: squared MMD with a polynomial kernel (KID, on Inception features).

    k(x, y) = (gamma x.y + coef0)^degree,   gamma = 1 / D
    unbiased  mean_{i!=j} k(x_i, x_j) + mean_{i!=j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)
    biased    the same means with the diagonals included

By default the whole sets are used once: subsets add noise and cost more. Rows are float64, made block by block where a
copy of a set would take more than 256 MiB. The recipes average over random subsets as the tools do whose numbers they
reproduce.

    torch-fidelity   100 subsets of 1,000, RandomState(2020), reference rows drawn first, ddof 0
    torchmetrics     100 subsets of 1,000, torch's generator, reference first, ddof 0; the tool does not seed
    clean-fid        100 subsets of at most 1,000, numpy's generator, GENERATED first; the tool does not seed
    dgm-eval         the same with the reference first
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import MOST_REPEATS, check_seed, real_number, text, whole_number
from ..common.row_collector import IN_MEMORY
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.intervals import covering_copies, distance_estimate
from ..estimation.kernel_device import device_of_kernels, kernels_beside
from ..estimation.kernels import PolynomialRows, Sliced, sums_between, sums_within
from ..estimation.shared_rows import without_copies
from ..estimation.streamed_rows import StreamedRows
from ..estimation.subset_sums import Draw, subset_values
from ..estimation.ustatistics import Term, biased_value_of
from .mmd import BIASED, check_estimator
from .neighbours import checked_pair

_SUBSETS, SUBSET_SIZE = 100, 1000
_MOST_DEGREE = 100
_MOST_DIGITS = 135  # sums over 1e7 rows are squared once
_EXACT_MULTIPLICATIONS = 5e10  # up to which products of subsets are float64
_SINGLE_DEGREE, _SINGLE_SQUARE = 5, 1e24  # beyond them float32 has no digits, or no range, left
_SPREAD = "subset_std is the spread over overlapping subsets, not a standard error; whole sets (the default) have one"

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How a tool draws its subsets: `shrink` takes smaller ones where a set has fewer rows."""

    seed: int = 0
    shrink: bool = False
    generated_first: bool = False
    torch: bool = False


RECIPES = {
    "torch-fidelity": Recipe(seed=2020),
    "torchmetrics": Recipe(torch=True),
    "clean-fid": Recipe(shrink=True, generated_first=True),
    "dgm-eval": Recipe(shrink=True),
}


def kernel_distance(
    *,
    reference: Any,
    generated: Any,
    recipe: str = "default",
    estimator: str = "unbiased",
    subsets: int | None = None,
    subset_size: int | None = None,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    seed: int | None = None,
) -> Estimate:
    """Squared MMD with a polynomial kernel, unscaled; formula at the top of the file.

    The kernel is not invariant under a common shift, so features are used as given.

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`, at least two rows each. Where
            one is a tensor on a GPU, the pairs are summed there, as inside `kernels_on`.
        recipe: "default" (whole sets, no randomness), "torch-fidelity", "torchmetrics", "clean-fid", "dgm-eval".
        estimator: "unbiased" or, for the default recipe, "biased".
        subsets, subset_size: of a recipe with subsets; None takes 100 and 1,000.
        degree, gamma, coef0: of the kernel; gamma None is 1 / D.
        seed: of the subsets; None takes the recipe's (2020 for torch-fidelity, else 0). Whole sets need none.

    Returns:
        Estimate, lower is better, 0 on average for equal distributions when unbiased, so it may be negative.
        `parameters`: recipe, estimator, degree, gamma, coef0, and of subsets: subsets, subset_size, subset_std, seed,
        precision (float32 products beyond 5e10 multiplications). The default recipe has a standard error and a 95 %
        interval.

    Raises:
        ArgumentError: widths differ, fewer than two rows, NaN or infinity, a subset larger than a set
            (torch-fidelity, torchmetrics), options that the recipe does not have.

    Source: Binkowski et al. 2018 (arXiv:1801.01401), section 4; Gretton et al. 2012 (JMLR 13), eq. 3 and 5.
    """
    x, y = checked_pair(reference, generated, 2, "a kernel distance")
    kernel = _checked_kernel(degree, 1.0 / x.shape[1] if gamma is None else gamma, coef0)
    _check_options(recipe, estimator, (subsets, subset_size))
    _check_range(kernel, (x, y))
    parameters = {"recipe": recipe, "estimator": estimator, **kernel._asdict()}
    if recipe == "default":
        with kernels_beside(reference, generated):
            return _whole(x, y, kernel, estimator, parameters)
    count = whole_number(_SUBSETS if subsets is None else subsets, "subsets", 1, MOST_REPEATS)
    wanted = whole_number(SUBSET_SIZE if subset_size is None else subset_size, "subset_size", 2)
    seed = None if seed is None else check_seed(seed)
    with kernels_beside(reference, generated):
        return _over_subsets(x, y, kernel, (count, wanted, seed), parameters)


class Kernel(NamedTuple):
    """The polynomial kernel (gamma x.y + coef0)^degree."""

    degree: int
    gamma: float
    coef0: float

    def terms(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Term, Term, Term]:
        rows, others = (PolynomialRows(_float64(own), *self) for own in (x, y))
        return (
            Term(1.0, sums_within(rows), "reference"),
            Term(1.0, sums_within(others), "generated"),
            Term(-2.0, sums_between(rows, others), "reference", "generated"),
        )


def _float64(rows: NDArray[Any]) -> Sliced:
    """The rows in float64: themselves, a copy, or made block by block where that would be large."""
    if rows.dtype == np.float64 or rows.size * 8 <= IN_MEMORY:
        return rows.astype(np.float64, copy=False)
    return StreamedRows(rows, np.zeros(rows.shape[1]), np.float64, 1.0)


def _whole(x: NDArray[Any], y: NDArray[Any], kernel: Kernel, estimator: str, parameters: dict[str, Any]) -> Estimate:
    terms, n, m = kernel.terms(x, y), len(x), len(y)
    estimate = distance_estimate(terms, n, m, parameters)
    a, b = without_copies(x), without_copies(y)
    if n + m > len(a) + len(b) and min(len(a), len(b)) > 1:
        estimate = covering_copies(estimate, distance_estimate(kernel.terms(a, b), len(a), len(b), parameters))
    return estimate if estimator == "unbiased" else replace(estimate, value=biased_value_of(terms), caveats=(BIASED,))


def _over_subsets(
    x: NDArray[Any], y: NDArray[Any], kernel: Kernel, options: tuple[int, int, int | None], parameters: dict[str, Any]
) -> Estimate:
    count, wanted, seed = options
    rule = RECIPES[parameters["recipe"]]
    seed = rule.seed if seed is None else seed
    size = _subset_size(wanted, (len(x), len(y)), rule)
    draws = _draws(rule, (len(x), len(y)), size, count, seed)
    values, precision = _subset_values(x, y, kernel, list(draws))
    drawn = {"subsets": count, "subset_size": size, "subset_std": float(values.std()), "seed": seed}
    every = {**parameters, **drawn, "precision": precision}
    shrunk = (f"subsets of {size} rows, since a set has no {wanted}",) if size < wanted else ()
    value = float(values.mean())
    return Estimate(value, len(x), len(y), every, shrunk, corrected=value, no_error_reason=_SPREAD)


def _subset_values(x: NDArray[Any], y: NDArray[Any], kernel: Kernel, draws: Sequence[Draw]) -> tuple[Float, str]:
    """The distance of each pair of subsets, and the precision it was computed with."""
    multiplications = 3.0 * len(draws) * len(draws[0][0]) ** 2 * x.shape[1]
    if (device := device_of_kernels(np.float64, multiplications)) is not None:
        from ..estimation.device_subsets import subset_values as on_device

        return on_device(device, x.astype(np.float64), y.astype(np.float64), kernel, draws), "float64"
    single = multiplications > _EXACT_MULTIPLICATIONS and kernel.degree <= _SINGLE_DEGREE
    single = single and 1 / _SINGLE_SQUARE < _largest_square((x, y)) < _SINGLE_SQUARE
    precision = "float32 products, float64 sums" if single else "float64"
    return subset_values(x, y, kernel, draws, single), precision


def _draws(rule: Recipe, lengths: tuple[int, int], size: int, count: int, seed: int) -> Iterator[Draw]:
    """Row numbers of the subsets, reference first, in the tool's order of drawing."""
    if rule.torch:
        import torch

        generator = torch.Generator().manual_seed(seed)
        for _ in range(count):
            i, j = (torch.randperm(n, generator=generator)[:size].numpy() for n in lengths)
            yield i, j
        return
    random = np.random.RandomState(seed)
    for _ in range(count):
        if rule.generated_first:
            j, i = (random.choice(n, size, replace=False) for n in reversed(lengths))
        else:
            i, j = (random.choice(n, size, replace=False) for n in lengths)
        yield i, j


def _subset_size(wanted: int, lengths: tuple[int, int], rule: Recipe) -> int:
    if wanted > min(lengths) and not rule.shrink:
        raise ArgumentError(
            f"subset_size: expected at most {min(lengths)}, the rows of the smaller set, got {wanted}; "
            "give a smaller subset_size, or use the default recipe, which uses whole sets"
        )
    return min(wanted, *lengths)


def _check_options(recipe: str, estimator: str, subset_options: tuple[int | None, ...]) -> None:
    if text(recipe, "recipe") != "default" and recipe not in RECIPES:
        raise ArgumentError(f"recipe: expected one of default, {', '.join(RECIPES)}, got {recipe!r}")
    check_estimator(estimator)
    if recipe == "default" and any(option is not None for option in subset_options):
        raise ArgumentError(
            "subsets, subset_size: expected none, since the default recipe takes the whole sets; "
            f"leave them out, or use one of {', '.join(RECIPES)}"
        )
    if recipe != "default" and estimator == "biased":
        raise ArgumentError(f"estimator: expected unbiased, as {recipe} computes, got biased; use the default recipe")


def check_kernel(degree: int, gamma: float | None, coef0: float, coef_name: str = "coef0") -> None:
    """Raise ArgumentError for arguments that make no kernel; `coef_name` is what the caller calls `coef0`."""
    _checked_kernel(degree, 1.0 if gamma is None else gamma, coef0, coef_name)


def _checked_kernel(degree: int, gamma: float, coef0: float, coef_name: str = "coef0") -> Kernel:
    gamma, coef0 = (real_number(value, name, "a number") for name, value in (("gamma", gamma), (coef_name, coef0)))
    if not (np.isfinite(gamma) and gamma > 0):
        raise ArgumentError(f"gamma: expected a finite number > 0, got {gamma}; None takes 1 / D")
    if not (np.isfinite(coef0) and coef0 >= 0):
        raise ArgumentError(f"{coef_name}: expected a finite number of at least 0, got {coef0}; the usual one is 1")
    return Kernel(whole_number(degree, "degree", 1, _MOST_DEGREE), gamma, coef0)


def _largest_square(sides: tuple[NDArray[Any], NDArray[Any]]) -> float:
    return max(float(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max()) for rows in sides)


def _check_range(kernel: Kernel, sides: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """Squares of sums of kernels must stay in float64."""
    largest = _largest_square(sides)  # a.b is at most the larger |a|^2
    digits = kernel.degree * float(np.log10(kernel.gamma * largest + kernel.coef0 or 1.0))
    if abs(digits) > _MOST_DIGITS:
        raise ArgumentError(
            f"degree, gamma, coef0: expected a kernel up to 1e{_MOST_DIGITS} on these features, got about "
            f"1e{digits:.0f}; use a smaller degree, or rescale the features of both sides in the same way"
        )
