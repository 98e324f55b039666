"""The difference of two shares, each of its own pictures."""

from math import sqrt

from scipy.special import ndtri

Count = tuple[int, int]  # how many, of how many


def share_difference(first: Count, second: Count, level: float) -> tuple[float, float]:
    """Confidence interval of the second share minus the first, by Newcombe's hybrid of two Wilson intervals.

    It stays within -1..1 and holds near 0 and 1, where the normal interval does not.

    Source: Newcombe 1998 (Statistics in Medicine 17, 873), method 10.
    """
    z = float(ndtri((1 + level) / 2))
    (p, low_p, high_p), (q, low_q, high_q) = (_wilson(*own, z) for own in (first, second))
    difference = q - p
    low = difference - sqrt((q - low_q) ** 2 + (high_p - p) ** 2)
    high = difference + sqrt((high_q - q) ** 2 + (p - low_p) ** 2)
    return max(low, -1.0), min(high, 1.0)


def _wilson(count: int, total: int, z: float) -> tuple[float, float, float]:
    """The share and its interval."""
    share, square = count / total, z * z / total
    middle = (share + square / 2) / (1 + square)
    half = z * sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return share, max(middle - half, 0.0), min(middle + half, 1.0)
