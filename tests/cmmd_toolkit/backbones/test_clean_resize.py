"""The resize of all channels at once against Pillow's, bit by bit."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cmmd_toolkit.backbones.clean_resize import adds_as_pillow, bicubic_matrix, by_pillow, clean_resize, pass_order

Pixels = NDArray[np.uint8]
SIDES = [(299, 299), (1, 1), (1, 40), (40, 1), (300, 200), (200, 300), (512, 512), (900, 310), (310, 900), (598, 299)]
PATTERNS: dict[str, Callable[[int, int], Pixels]] = {
    "noise": lambda h, w: np.random.default_rng(h * w).integers(0, 256, (h, w, 3), dtype=np.uint8),
    "extremes": lambda h, w: 255 * np.random.default_rng(h + w).integers(0, 2, (h, w, 3), dtype=np.uint8),
    "flat": lambda h, w: np.full((h, w, 3), 201, np.uint8),
    "ramp": lambda h, w: np.broadcast_to(np.arange(w, dtype=np.uint8)[None, :, None], (h, w, 3)),
}


def same_bits(pixels: Pixels, size: int) -> bool:
    return clean_resize(pixels, size).tobytes() == by_pillow(pixels, size).tobytes()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_is_pillows_to_the_last_bit(pattern: str) -> None:
    for height, width in SIDES:
        assert same_bits(PATTERNS[pattern](height, width), 299), (height, width)


def test_is_pillows_to_the_last_bit_for_sizes_drawn_at_random() -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        height, width = random.integers(1, random.choice([9, 60, 400]), 2)
        size = int(random.choice([1, 7, 64, 224, 299]))
        assert same_bits(random.integers(0, 256, (height, width, 3), dtype=np.uint8), size), (height, width, size)


@pytest.mark.slow
def test_is_pillows_to_the_last_bit_for_a_thousand_sizes() -> None:
    random = np.random.default_rng(2)
    for _ in range(1000):
        height, width = random.integers(1, random.choice([60, 700, 2001]), 2)
        size = int(random.choice([1, 7, 64, 224, 299, 513]))
        assert same_bits(random.integers(0, 256, (height, width, 3), dtype=np.uint8), size), (height, width, size)


def test_pixels_need_not_lie_in_one_piece() -> None:
    pixels = PATTERNS["noise"](90, 120)
    assert same_bits(pixels[::-1, 10:100:2, ::-1], 64)


def test_takes_the_order_of_this_pillow() -> None:
    order = pass_order()
    assert order is not None, "a rule of this Pillow that nobody here knows: pictures are resized by Pillow, slower"
    assert order(200, 600, 299) == (int(PIL.__version__.split(".")[0]) >= 13)
    assert not order(600, 200, 299)


@pytest.mark.parametrize("length", [3, 40, 299, 512, 2000])
def test_another_order_of_adding_and_other_weights_are_noticed(length: int) -> None:
    matrix = bicubic_matrix(length, 64)
    assert adds_as_pillow(matrix)
    turned = matrix.copy()
    for start, end in zip(matrix.indptr, matrix.indptr[1:], strict=False):
        turned.data[start:end], turned.indices[start:end] = (
            own[start:end][::-1] for own in (matrix.data, matrix.indices)
        )
    assert not adds_as_pillow(turned)
    one_step_larger = csr_array((np.nextafter(matrix.data, 9), matrix.indices, matrix.indptr), shape=matrix.shape)
    assert not adds_as_pillow(one_step_larger)


def test_a_very_long_side_is_left_to_pillow() -> None:
    assert same_bits(PATTERNS["noise"](2, 20_000), 8)


def test_takes_no_new_memory_but_for_its_result() -> None:
    pixels = PATTERNS["noise"](512, 400)
    clean_resize(pixels, 299)  # what it uses again
    tracemalloc.start()
    try:
        taken = clean_resize(pixels, 299).nbytes
        assert tracemalloc.get_traced_memory()[1] < 1.1 * taken
    finally:
        tracemalloc.stop()
