"""Is a later checkpoint worse than an earlier one? A test that may be asked at every look of a run.

With a = mu_y - mu_x for the later samples y and b = mu_z - mu_x for the earlier z (mean embeddings; x the reference),

    D = |a|^2 - |b|^2 = MMD^2(x, y) - MMD^2(x, z) = 2 <mu_y - mu_z, w>,   w = (mu_y + mu_z) / 2 - mu_x

exactly: D is twice the difference of the means of w, the witness between the reference and both checkpoints. The rows
of both sets come in ten batches. The witness w_k of batch k is learned on the batches before it and on the reference,
and the gambler of `betting` bets on the payoffs of its rows,

    g_i = 2 (w_k(y_i) - w_k(z_i))

with w_k cut to the range that it has on what it was learned on, which bounds a payoff before it is seen. Given w_k its
mean is D + 2 <mu_y - mu_z, w_k - w>:

- Where both checkpoints draw from one distribution that is zero, whatever was learned: the bets are fair, exactly.
- Where they are unlike and equally far, the error of the witness remains: over all batches a mean of independent terms,
  one for each pair of rows and each row of the reference, of the function h = mu_y - mu_z. What these terms vary by is
  paid for (`betting.Errors`): for pairs as if their part were normal, for the reference also how far h may go where no
  row was seen, since there may be more pairs than reference rows, and a reference that happens to lack a rare kind of
  picture makes a checkpoint look worse that is good at it. The reference is in the payoffs through that error alone, so
  it may be used again at every look: its part of the price is what this costs.

Source: Shekhar and Ramdas 2023 (arXiv:2112.09162) for bets on a witness that earlier batches taught; D as in
Bounliphone et al. 2016 (arXiv:1511.04581), section 3. docs/watching.md has the derivation and what was simulated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..estimation.kernels import Between, GaussianRows, Vector, Within
from ..metrics.mmd import MmdScore
from .betting import Errors, log_evidence

LEAST_ROWS = 20
_BATCHES = 10
_STEPS = 50  # of a bisection
_ROUNDING = 1e-12
_BLOCK = 1 << 22  # numbers held at once
Sums = NDArray[np.float64]
Order = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CheckpointTest:
    """The payoffs of a later against an earlier checkpoint, as `checkpoint_test` makes them.

    Attributes:
        difference: squared MMD of the later samples less that of the earlier, over all rows; above zero it is worse.
        payoffs, bounds: float64 (m,), see above; bounds are known before their payoffs.
        too_high, too_low: what the errors of the witness leave in the mean of the payoffs, as terms that make it too
            high, and too low.
    """

    difference: float
    payoffs: Vector
    bounds: Vector
    too_high: Errors
    too_low: Errors

    def log_evidence(self, sign: int, above: float = 0.0) -> float:
        """log of the evidence against "sign x D is at most `above`"; sign is 1 or -1."""
        errors = self.too_high if sign > 0 else self.too_low
        return log_evidence(sign * self.payoffs, self.bounds, above, errors)

    def interval(self, level: float) -> tuple[float, float]:
        """All differences that are not refused, either end at half of the level."""
        return self._refused_up_to(1, level / 2), -self._refused_up_to(-1, level / 2)

    def _refused_up_to(self, sign: int, level: float) -> float:
        """The largest t for which "sign x D is at most t" is refused."""
        low, high = -float(self.bounds.min()), float(self.bounds.max())
        for _ in range(_STEPS):
            middle = (low + high) / 2
            refused = self.log_evidence(sign, middle) >= -math.log(level)
            low, high = (middle, high) if refused else (low, middle)
        return low


def checkpoint_test(*, earlier: MmdScore, later: MmdScore) -> CheckpointTest:
    """Two scores under one `MmdReference` as a test of which set is farther from the reference.

    Rows with the same number are a pair: made from one seed they share its noise, which then cancels; made from fresh
    seeds nothing is lost by pairing. Pairs are taken in a seeded random order, since samples may be sorted by class; of
    sets of unequal size as many rows of the larger are drawn.

    Args:
        earlier, later: scores with their rows, `LEAST_ROWS` or more on each side.

    Raises:
        ArgumentError: too few rows.
    """
    (x, z), (_, y) = _rows_of(earlier), _rows_of(later)
    count = min(len(y), len(z))
    if min(count, len(x)) < LEAST_ROWS:
        raise ArgumentError(
            f"expected at least {LEAST_ROWS} pictures in the reference and at every look, got {min(count, len(x))}"
        )
    sets = _Batches.of(earlier, later, *_orders(len(y), len(z)))
    payoffs, bounds = sets.payoffs()
    sizes = np.diff(sets.edges)[1:]
    weights = sizes / bounds
    return CheckpointTest(
        later.estimate.value - earlier.estimate.value,
        np.concatenate(payoffs),
        np.repeat(bounds, sizes),
        *sets.errors(weights / weights.sum()),
    )


def mean_evidence(tests: Sequence[CheckpointTest], sign: int = 1) -> float:
    """log of the mean evidence of several backbones, against "sign x D is at most zero under all of them"."""
    return float(np.logaddexp.reduce([test.log_evidence(sign) for test in tests])) - math.log(len(tests))


# ---- payoffs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Batches:
    """Sums of the kernel (less 1) from each row of x, y and z to the batches of y and z, which begin at `edges`.

    Attributes:
        to_y, to_z: of x (N, batches), of y and of z (n, batches).
        to_x: of each row its mean kernel to the reference, a row of x to the others.
    """

    edges: NDArray[np.int64]
    to_y: Sequence[Sums]
    to_z: Sequence[Sums]
    to_x: Sequence[Vector]

    @classmethod
    def of(cls, earlier: MmdScore, later: MmdScore, of_y: Order, of_z: Order) -> "_Batches":
        (x, z), (_, y) = _rows_of(earlier), _rows_of(later)
        own = earlier.terms[0].sums
        assert isinstance(own, Within)
        edges = np.linspace(0, len(of_y), _BATCHES + 1).astype(np.int64)
        y, z = y.taken(of_y), z.taken(of_z)
        to_y, to_z = ([_sums_to(rows, others, edges) for rows in (x, y, z)] for others in (y, z))
        y_to_x, z_to_x = (_columns(score)[of] / len(x) for score, of in ((later, of_y), (earlier, of_z)))
        return cls(edges, to_y, to_z, (own.row_sums / (len(x) - 1), y_to_x, z_to_x))

    def payoffs(self) -> tuple[list[Vector], Vector]:
        """The payoffs of each batch but the first, and a bound for each batch."""
        payoffs, bounds = [], []
        before = [np.cumsum(y + z, axis=1) for y, z in zip(self.to_y, self.to_z, strict=True)]
        for batch, (first, last) in enumerate(zip(self.edges[1:-1], self.edges[2:], strict=True)):
            at_x, at_y, at_z = (
                sums[:, batch] / (2 * first) - to_x for sums, to_x in zip(before, self.to_x, strict=True)
            )
            learned = np.concatenate([at_x, at_y[:first], at_z[:first]])
            low, high = float(learned.min()), float(learned.max())
            payoffs.append(2 * (np.clip(at_y[first:last], low, high) - np.clip(at_z[first:last], low, high)))
            bounds.append(max(2 * (high - low), _ROUNDING))
        return payoffs, np.array(bounds)

    def errors(self, weights: Vector) -> tuple[Errors, Errors]:
        """What is in 2 <mu_y - mu_z, w_k - w>, batches weighed as the bets weigh them: too high, too low.

        Pair i is in the witness of every later batch with 1 / (2 n_k), row j of the reference in all with -1 / N.
        """
        count = int(self.edges[-1])
        (x_y, y_y, z_y), (x_z, y_z, z_z) = ([sums.sum(axis=1) for sums in own] for own in (self.to_y, self.to_z))
        at_x = (x_y - x_z) / count
        at_y, at_z = y_y / (count - 1) - y_z / count, z_y / count - z_z / (count - 1)
        sizes = np.diff(self.edges)[:-1]
        in_later = np.cumsum((weights / self.edges[1:-1])[::-1])[::-1]
        scales = 2 * np.concatenate([in_later, [1 / len(at_x)]])
        pairs = (at_y + at_z) / 2
        squares = np.concatenate([sizes * pairs.var(ddof=1), [len(at_x) * at_x.var(ddof=1)]])
        every, as_normal = np.concatenate([at_x, at_y, at_z]), np.zeros(len(sizes))
        too_high = np.append(as_normal, every.max() - at_x.mean())
        too_low = np.append(as_normal, at_x.mean() - every.min())
        return Errors(scales, squares, too_high), Errors(scales, squares, too_low)


def _rows_of(score: MmdScore) -> tuple[GaussianRows, GaussianRows]:
    """Those of the reference and of the samples, under one backbone."""
    assert score.rows is not None
    x, y = score.rows
    assert isinstance(x, GaussianRows)
    assert isinstance(y, GaussianRows)
    return x, y


def _orders(y: int, z: int) -> tuple[Order, Order]:
    """Which rows of both are taken, in which order: pairs stay together."""
    random, count = np.random.default_rng(0), min(y, z)
    if y == z:
        order = random.permutation(count)
        return order, order
    return random.permutation(y)[:count], random.permutation(z)[:count]


def _sums_to(rows: GaussianRows, others: GaussianRows, edges: NDArray[np.int64]) -> Sums:
    """For each row the sums of its kernel (less 1) to the batches of the others."""
    height, every = max(_BLOCK // len(others), 1), slice(0, len(others))
    parts = [
        np.add.reduceat(rows.block(slice(i, i + height), others, every), edges[:-1], axis=1, dtype=np.float64)
        for i in range(0, len(rows), height)
    ]
    return np.concatenate(parts)


def _columns(score: MmdScore) -> Vector:
    """The sums from each row of the samples to the reference."""
    sums = score.terms[2].sums
    assert isinstance(sums, Between)
    return sums.column_sums
