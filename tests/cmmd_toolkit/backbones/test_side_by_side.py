"""Parts of a batch in threads of their own."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import smooth_picture

from cmmd_toolkit import load_backbone
from cmmd_toolkit.backbones.base import cpu_threads
from cmmd_toolkit.backbones.side_by_side import side_by_side


@pytest.mark.parametrize(("threads", "items", "shares"), [(1, 5, 1), (2, 5, 1), (4, 2, 2), (7, 3, 2), (4, 0, 4)])
def test_every_item_in_order_and_torchs_threads_shared_out(threads: int, items: int, shares: int) -> None:
    def square(item: int) -> tuple[int, int]:
        torch.ones(4).sum()
        return item * item, torch.get_num_threads()

    with cpu_threads(threads):
        found = side_by_side(square, range(items))
        assert torch.get_num_threads() == threads
    assert found == [(item * item, shares) for item in range(items)]


def test_items_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)
    with cpu_threads(3):
        assert sorted(side_by_side(lambda _: meeting.wait(), range(3))) == [0, 1, 2]


def test_an_error_comes_through_and_the_threads_come_back() -> None:
    with cpu_threads(2):
        with pytest.raises(ZeroDivisionError):
            side_by_side(lambda item: 1 // item, [1, 0, 2])
        assert torch.get_num_threads() == 2


def test_the_number_of_threads_does_not_change_inceptions_features(inception_weights: Path) -> None:
    network = load_backbone("inception", weights=inception_weights, dims=192, device="cpu")
    inputs = [network.preprocess(np.asarray(smooth_picture(i))) for i in range(10)]
    with cpu_threads(1):
        alone = network.embed(inputs)
    with cpu_threads(3):
        together = network.embed(inputs)
    assert np.abs(together - alone).max() < 1e-5 * np.abs(alone).max()
