"""Count, mean and centred second moments in one matrix, merged exactly (Chan, Golub and LeVeque 1979)."""

import torch
from torch import Tensor

from ..features.features import GaussianStatistics


def extended(moments: Tensor, rows: Tensor) -> Tensor:
    """The moments [[n, mean], [mean, M]], (D + 1, D + 1), with the rows (N, D) added; M = sum (x - mean)(x - mean)^T.

    A new tensor: one that was made in inference mode may not be changed outside it.
    """
    total, mean = moments.clone(), rows.mean(dim=0)
    _add_group(total, moments.new_tensor(len(rows)), mean, rows - mean)
    return total


def merged(parts: Tensor) -> Tensor:
    """The moments of the union of sets, (K, D + 1, D + 1) to (D + 1, D + 1); all zeros are an empty set."""
    total = parts[0].clone()
    for part in parts[1:]:
        total[1:, 1:] += part[1:, 1:]
        _add_group(total, part[0, 0], part[0, 1:], part[:0, 1:])
    return total


def _add_group(total: Tensor, count: Tensor, mean: Tensor, centred: Tensor) -> None:
    """n = n_a + n_b, m = m_a + d n_b / n, M = M_a + centred^T centred + d d^T n_a n_b / n, in place; d = m_b - m_a.

    The last term is one more row of the product: a single pass over M.
    """
    share = count / (total[0, 0] + count).clamp(min=1)
    difference = mean - total[0, 1:]
    rows = torch.cat([centred, (difference * (total[0, 0] * share).sqrt())[None]])
    total[1:, 1:].addmm_(rows.T, rows)
    total[0, 1:] += difference * share
    total[1:, 0] = total[0, 1:]
    total[0, 0] += count


def statistics(moments: Tensor) -> GaussianStatistics:
    count, mean, second = moments[0, 0], moments[0, 1:], moments[1:, 1:]
    return GaussianStatistics(mean.cpu().numpy(), (second / (count - 1)).cpu().numpy(), int(count))
