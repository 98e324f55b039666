"""Bets on bounded payoffs: the evidence against "their mean is at most t", right for any number of rows.

Payoffs g_i of independent rows lie in -B_i..B_i, with B_i known before row i is seen. A gambler who starts with 1 and
stakes the share c of what can be lost holds after all rows

    E_c(t) = prod_i (1 + c (g_i - t) / (B_i + t)),   0 < c < 1

Where no payoff has a mean above t, each factor is 1 or less on average, so E[E_c] <= 1 and, by Markov, E_c reaches
1 / a with chance a at most: no normal approximation, no least number of rows. Which share pays best depends on what is
to be found, so the evidence is the mean over shares, each half of the one before; a mean of such capitals is one, too.

Where the means themselves are off by a common error o, 1 + u <= exp(u) gives E[E_c] <= E[exp(o L)] with
L = sum_i c / (B_i + t). Such an error is a sum of independent terms a X_j of mean zero, where X_j never falls below -M:

    E[exp(a L X_j - psi(a L M) (X_j / M)^2)] <= 1,   psi(u) = -log(1 - u) - u,   0 <= u < 1

so psi(a L M) sum_j (X_j / M)^2 is taken off log E_c, with the variance of the X_j in place of their squares. For small
u psi is u^2 / 2, as if the error were normal; it is more where a few rare rows could make it, and from u = 1 on a stake
earns nothing.

Source: Waudby-Smith and Ramdas 2024 (JRSS B 86, arXiv:2010.09686), section 4; Shekhar and Ramdas 2023
(arXiv:2112.09162), section 2; Fan, Grama and Liu 2015 (EJP 20, no. 1), lemma 4.1, for psi.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_SHARES = 0.9 * 0.5 ** np.arange(6)
_SMALL = 1e-4  # u, below which psi(u) is its first two terms


@dataclass(frozen=True, eq=False)
class Errors:
    """What the means of all payoffs are off by together: a sum of independent terms of mean zero, in groups.

    Attributes:
        weights: float64 (k,), a of each group's terms.
        squares: float64 (k,), the sum over a group of their variances.
        reach: float64 (k,), M: how far a term of the group can fall below its mean; 0 takes the sum as normal.
    """

    weights: Vector
    squares: Vector
    reach: Vector

    def costs(self, stakes: Vector) -> Vector:
        """What is taken off the log capital at each total stake L; infinite where a single term could undo it."""
        scaled = np.outer(stakes, self.weights)
        u = scaled * self.reach
        costs = (np.square(scaled) * _psi_by_square(u)) @ self.squares
        return np.where((u < 1).all(axis=1), costs, np.inf)


def _psi_by_square(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """psi(u) / u^2 below 1."""
    inside = np.clip(u, _SMALL, 1 - 1e-12)
    return np.where(u < _SMALL, 0.5 + u / 3, -(np.log1p(-inside) + inside) / np.square(inside))


def log_evidence(payoffs: Vector, bounds: Vector, above: float = 0.0, errors: Errors | None = None) -> float:
    """log of the mean capital against "the mean payoff is at most `above`".

    Args:
        payoffs: float64 (m,), each between minus and plus its bound; bounds: float64 (m,), above zero.
        above: t. At or below minus a bound nothing is left to prove: infinity.
        errors: what all means are off by together, if anything.

    Returns:
        The natural logarithm of the evidence.
    """
    least = bounds + above
    if least.min() <= 0:
        return math.inf
    gains = np.clip((payoffs - above) / least, -1.0, None)  # -1 is the least there is, but for rounding
    capitals = np.log1p(np.outer(_SHARES, gains)).sum(axis=1)
    if errors is not None:
        capitals -= errors.costs(_SHARES * (1.0 / least).sum())
    return float(np.logaddexp.reduce(capitals)) - math.log(len(_SHARES))
