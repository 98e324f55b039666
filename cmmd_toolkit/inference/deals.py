"""The relative statistic over deals: what T / SE does where two sets are alike, near zero too.

Near zero the difference T of two squared distances is no normal variable: it is a sum of pair remainders, whose tails
depend on how many directions the kernel has. If the two generated sets are exchangeable, dealing their rows out anew
(or swapping within pairs) gives draws of T / SE under the null, exactly at every size. Studentised, as here, the same
deals serve sets that are unlike but equally far, where both T / SE and its deals tend to a normal variable as the
projections outgrow the remainders (Chung and Romano 2016, Statistica Sinica 26, for U-statistics).

All deals together are products of a matrix, one column a deal, with blocks of the kernel and of its square; nothing of
size N x N is held. Sums are over kernels less a constant, which changes neither T nor its variance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ..common.processes import current_processes
from ..estimation.blocks import blocks, in_parallel
from ..estimation.estimate import CONFIDENCE
from ..estimation.intervals import t_quantile, two_sided_p
from ..estimation.kernels import KernelRows, Rows
from ..estimation.ustatistics import standard_error_of, zeta_between, zeta_within

Matrix = NDArray[np.float64]
Block = Callable[[slice, slice], Rows]
LEAST_DEALS, MOST_DEALS = 99, 499
_TOP = 0.2  # of the deals, by their ratios
_MULTIPLICATIONS = 1.5e11  # for all deals of one test: a few seconds of two cores


class DealtRows(KernelRows, Protocol):
    """Rows that can be pooled."""

    def joined(self, other: Any) -> Any: ...


@dataclass(frozen=True, eq=False)
class Deals:
    """|T| / SE of every deal, and the median share of the pair remainders in the variance of those that a test would
    reject first: a large T comes with a large first-order part, in deals as in the sets themselves."""

    ratios: Matrix
    remainder_share: float

    @classmethod
    def of(cls, differences: Matrix, projected: Matrix, excess: Matrix, degenerate: Matrix) -> "Deals":
        """From T and the parts of its variance (`Spread`), one number a deal."""
        errors = standard_error_of(projected, excess, degenerate)
        known = errors > 0
        ratios = np.divide(np.abs(differences), errors, out=np.zeros_like(errors), where=known)
        shares = np.divide(degenerate, np.square(errors), out=np.zeros_like(errors), where=known)
        return cls(ratios, float(np.median(shares[ratios >= np.quantile(ratios, 1 - _TOP)])))


def affordable_deals(n: int, pooled: int) -> int:
    """How many deals of `pooled` rows beside a reference of n take a few seconds; 0 where they would be too few."""
    count = min(MOST_DEALS, int(_MULTIPLICATIONS / (2 * pooled * (pooled + n))))
    return count if count >= LEAST_DEALS else 0


def deal_rows(reference: KernelRows, pooled: KernelRows, first: int, count: int, seed: int) -> Deals:
    """The generated sets, pooled, dealt out anew `count` times; `first` rows go to the first set.

    T = mean k(y, y') - mean k(z, z') - 2 mean k(x, y) + 2 mean k(x, z)
    """
    n, total = len(reference), len(pooled)
    random = np.random.default_rng(seed)
    labels = np.stack([random.permutation(total) < first for _ in range(count)], axis=1).astype(np.float64)
    every = np.ones((total, 1))
    sums = _Sums.of(reference, pooled, np.hstack([labels, every]))
    one = _side(labels, sums.deals(), sums, n)
    two = _side(1 - labels, sums.others(), sums, n)
    shared = np.var(one.by_reference - two.by_reference, axis=0, ddof=1) / n
    return Deals.of(
        one.distance - two.distance,
        one.projected + two.projected + shared,
        one.excess + two.excess,
        one.degenerate + two.degenerate,
    )


def swap_pairs(reference: KernelRows, first: KernelRows, second: KernelRows, count: int, seed: int) -> Deals:
    """Rows y_i and z_i change sides by a coin a pair, s = +1 or -1: with E = k(y, y') - k(z, z') and
    F = k(y, z') - k(z, y'), the pair kernel of a deal is h_ij = E_ij (s_i + s_j) / 2 + F_ij (s_i - s_j) / 2."""
    n, m = len(reference), len(first)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(m, count))

    def kept(i: slice, j: slice) -> Rows:  # E
        return _off_diagonal(first.block(i, first, j) - second.block(i, second, j), i, j)

    def mixed(i: slice, j: slice) -> Rows:  # F
        return _off_diagonal(first.block(i, second, j) - second.block(i, first, j), i, j)

    def change(i: slice, j: slice) -> Rows:  # C = k(y, x) - k(z, x), which the coin of a pair multiplies
        return first.block(i, reference, j) - second.block(i, reference, j)

    ones = np.ones((m, 1))
    # sum_j h_ij = [s_i sum_j (E + F)_ij + sum_j (E - F)_ij s_j] / 2
    sums = _times(lambda i, j: kept(i, j) + mixed(i, j), (m, m), ones)
    rows = (signs * sums + _times(lambda i, j: kept(i, j) - mixed(i, j), (m, m), signs)) / 2
    # sum_ij h_ij^2 = [sum_ij (E^2 + F^2)_ij + sum_ij s_i s_j (E^2 - F^2)_ij] / 2
    plain = _times(lambda i, j: kept(i, j) ** 2 + mixed(i, j) ** 2, (m, m), ones).sum()
    turned = _times(lambda i, j: kept(i, j) ** 2 - mixed(i, j) ** 2, (m, m), signs)
    total, squares = rows.sum(axis=0), (plain + (signs * turned).sum(axis=0)) / 2
    # sum_j C_ij, sum_i s_i C_ij, sum_ij s_i C_ij, sum_ij C_ij^2
    to_reference = _times(change, (m, n), np.ones((n, 1)))
    from_reference = _times(lambda i, j: change(j, i).T, (n, m), signs)
    cross = (signs * to_reference).sum(axis=0)
    cross_squares = _times(lambda i, j: change(i, j) ** 2, (m, n), np.ones((n, 1))).sum()
    # 2 zeta_w / (m (m - 1)) and 4 zeta_b / (n m), each of the kernel less its mean
    own = 2 * zeta_within(m, squares - total**2 / (m * (m - 1)), np.square(rows).sum(axis=0) - total**2 / m)
    own /= m * (m - 1)
    between = (
        4
        * zeta_between(
            m,
            n,
            cross_squares - cross**2 / (n * m),
            np.square(to_reference).sum() - cross**2 / m,
            np.square(from_reference).sum(axis=0) - cross**2 / n,
        )
        / (n * m)
    )
    # Var(p) / m + Var(q) / n: p_i = 2 sum_j h_ij / (m - 2) - 2 s_i sum_j C_ij / n, q_j = -2 sum_i s_i C_ij / m
    by_pair = 2 * rows / (m - 2) - 2 * signs * to_reference / n
    projected = by_pair.var(axis=0, ddof=1) / m + (2 * from_reference / m).var(axis=0, ddof=1) / n
    # T = sum_{i != j} h_ij / (m (m - 1)) - 2 sum_ij s_i C_ij / (n m)
    difference = total / (m * (m - 1)) - 2 * cross / (n * m)
    return Deals.of(difference, projected, own * (m / (m - 2)) + between, own + between)


def judged(deals: Deals, ratio: float, share: float, normal_p: float, least: int) -> tuple[float, float]:
    """p-value and 95 % quantile: those of the deals, and the normal ones as far as deals hold more of the remainder.

    Deals are taken from the mixture of both sets, which lies nearer to the reference than either of two sets that fail
    in different ways. The weight compares standard deviations; where the sets are exchangeable it is about one.
    """
    weight = 1.0 if share >= deals.remainder_share else float(np.sqrt(share / deals.remainder_share))
    dealt = float(np.quantile(deals.ratios, CONFIDENCE))
    p_value = weight * _dealt_p(deals, ratio, normal_p, least) + (1 - weight) * normal_p
    return p_value, weight * dealt + (1 - weight) * t_quantile(least)


def _dealt_p(deals: Deals, ratio: float, normal_p: float, least: int) -> float:
    """The share of deals that reach the ratio; beyond all of them Student's t, stretched to reach as far as the deals
    do at 5 % and at 1 %, and never surer than it is unstretched."""
    reached = int((deals.ratios >= ratio * (1 - 1e-12)).sum())
    counted = (1 + reached) / (1 + len(deals.ratios))
    if reached:
        return counted
    stretch = max(float(np.quantile(deals.ratios, 1 - p)) / -float(stdtrit(least - 1, p / 2)) for p in (0.05, 0.01))
    return min(counted, max(two_sided_p(ratio, stretch, least), normal_p))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Products of the labels with the pooled kernel, its square, and the reference's kernel; the last column is of
    all pooled rows. `columns`: the sums over the reference for every pooled row."""

    own: Matrix
    own_squares: Matrix
    cross: Matrix
    columns: Matrix
    square_columns: Matrix

    @classmethod
    def of(cls, reference: KernelRows, pooled: KernelRows, labels: Matrix) -> "_Sums":
        n, total = len(reference), len(pooled)
        ones = np.ones((n, 1))

        def own(i: slice, j: slice) -> Rows:
            return _off_diagonal(pooled.block(i, pooled, j), i, j)

        def cross(i: slice, j: slice) -> Rows:
            return reference.block(i, pooled, j)

        return cls(
            _times(own, (total, total), labels),
            _times(lambda i, j: own(i, j) ** 2, (total, total), labels),
            _times(cross, (n, total), labels),
            _times(lambda i, j: cross(j, i).T, (total, n), ones),
            _times(lambda i, j: (cross(j, i) ** 2).T, (total, n), ones),
        )

    def deals(self) -> tuple[Matrix, Matrix, Matrix]:
        """Of the rows that were dealt to the first set."""
        return self.own[:, :-1], self.own_squares[:, :-1], self.cross[:, :-1]

    def others(self) -> tuple[Matrix, Matrix, Matrix]:
        """Of the rows that were dealt to the second set."""
        own, squares, cross = (matrix[:, -1:] - matrix[:, :-1] for matrix in (self.own, self.own_squares, self.cross))
        return own, squares, cross


@dataclass(frozen=True, eq=False)
class _Side:
    """One set's part, deal by deal: in T, and in the variance as `Spread` has it."""

    distance: Matrix
    projected: Matrix
    excess: Matrix
    degenerate: Matrix
    by_reference: Matrix


def _side(chosen: Matrix, products: tuple[Matrix, Matrix, Matrix], sums: _Sums, n: int) -> _Side:
    """mean k(y, y') - 2 mean k(x, y) and its variance, y the chosen rows; the reference's projection by itself."""
    rows, squares, cross = products
    m = int(chosen[:, 0].sum())
    # 2 zeta_w / (m (m - 1)), of k(y, y') less its mean
    total = (chosen * rows).sum(axis=0)
    pairs = (chosen * squares).sum(axis=0) - total**2 / (m * (m - 1))
    own = 2 * zeta_within(m, pairs, (chosen * rows**2).sum(axis=0) - total**2 / m) / (m * (m - 1))
    # 4 zeta_b / (n m), of k(x, y) less its mean
    crossed = cross.sum(axis=0)
    between = (
        4
        * zeta_between(
            n,
            m,
            (chosen * sums.square_columns).sum(axis=0) - crossed**2 / (n * m),
            np.square(cross).sum(axis=0) - crossed**2 / n,
            (chosen * np.square(sums.columns)).sum(axis=0) - crossed**2 / m,
        )
        / (n * m)
    )
    # Var(p) / m: p_i = 2 sum_j k(y_i, y_j) / (m - 2) - 2 sum_j k(x_j, y_i) / n
    by_row = 2 * rows / (m - 2) - 2 * sums.columns / n
    mean = (chosen * by_row).sum(axis=0) / m
    projected = (chosen * np.square(by_row - mean)).sum(axis=0) / (m - 1) / m
    return _Side(
        total / (m * (m - 1)) - 2 * crossed / (n * m),
        projected,
        own * (m / (m - 2)) + between,
        own + between,
        -2 * cross / m,
    )


def _off_diagonal(block: Rows, i: slice, j: slice) -> Rows:
    if i == j:
        np.fill_diagonal(block, 0.0)
    return block


def _times(block: Block, shape: tuple[int, int], matrix: Matrix) -> Matrix:
    """The matrix of `shape` that `block` gives slice by slice, times a matrix."""
    result = np.zeros((shape[0], matrix.shape[1]))

    def one(pair: tuple[slice, slice]) -> tuple[slice, NDArray[Any]]:
        i, j = pair
        return i, block(i, j) @ matrix[j]

    for i, part in in_parallel(one, product(blocks(shape[0]), blocks(shape[1]))):
        result[i] += part
    current_processes().sum(result)
    return result
