"""Bets on bounded payoffs: the evidence against "their mean is at most t", right for any number of rows.

Payoffs g_i of independent rows lie in -B_i..B_i, with B_i known before row i is seen. A gambler who starts with 1 and
stakes the share c of what can be lost holds after all rows

    E_c(t) = prod_i (1 + c (g_i - t) / (B_i + t)),   0 < c < 1

Where no payoff has a mean above t, each factor is 1 or less on average, so E[E_c] <= 1 and, by Markov, E_c reaches
1 / a with chance a at most: no normal approximation, no least number of rows. Which share pays best depends on what is
to be found, so the evidence is the mean over shares, each half of the one before; a mean of such capitals is one, too.

Where the means themselves are off by a common error o, normal around zero with standard deviation s, 1 + u <= exp(u)
gives E[E_c] <= E[exp(o L)] = exp(s^2 L^2 / 2) with L = sum_i c / (B_i + t): so much is taken off log E_c.

Source: Waudby-Smith and Ramdas 2024 (JRSS B 86, arXiv:2010.09686), section 4; Shekhar and Ramdas 2023
(arXiv:2112.09162), section 2.
"""

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_SHARES = 0.9 * 0.5 ** np.arange(6)


def log_evidence(payoffs: Vector, bounds: Vector, above: float = 0.0, error: float = 0.0) -> float:
    """log of the mean capital against "the mean payoff is at most `above`".

    Args:
        payoffs: float64 (m,), each between minus and plus its bound; bounds: float64 (m,), above zero.
        above: t. At or below minus a bound nothing is left to prove: infinity.
        error: s, the standard deviation of what all means are off by together.

    Returns:
        The natural logarithm of the evidence.
    """
    least = bounds + above
    if least.min() <= 0:
        return math.inf
    gains = np.clip((payoffs - above) / least, -1.0, None)  # -1 is the least there is, but for rounding
    capitals = np.log1p(np.outer(_SHARES, gains)).sum(axis=1)
    capitals -= (error * _SHARES * (1.0 / least).sum()) ** 2 / 2
    return float(np.logaddexp.reduce(capitals)) - math.log(len(_SHARES))
