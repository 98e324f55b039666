"""The product into memory that is used again is SciPy's `@`, with and without the function that it calls inside."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from cmmd_toolkit.common import sparse_product
from cmmd_toolkit.common.sparse_product import _tried, product


@pytest.fixture(autouse=True)
def _tries_anew() -> Iterator[None]:
    _tried.cache_clear()
    yield
    _tried.cache_clear()


def is_product() -> bool:
    random = np.random.default_rng(0)
    for rows, columns, vectors in ((1, 1, 1), (5, 9, 4), (299, 512, 72), (3, 40, 1)):
        matrix = csr_array(random_array((rows, columns), density=0.3, rng=random))
        values = random.standard_normal((columns, vectors))
        sums = np.full((rows, vectors), np.nan)  # whatever was there before
        if product(matrix, values, sums) is not sums or sums.tobytes() != (matrix @ values).tobytes():
            return False
    return True


def test_is_that_of_scipy_to_the_last_bit() -> None:
    assert _tried() is not None, "a SciPy whose inner function is absent or other: the resize takes new memory"
    assert is_product()


def absent() -> object:
    raise ImportError("cannot import name 'csr_matvecs'")


@pytest.mark.parametrize("inner", [absent, lambda: lambda: None, lambda: lambda *_given: None])
def test_a_scipy_whose_inner_function_is_absent_or_other(monkeypatch: pytest.MonkeyPatch, inner: object) -> None:
    monkeypatch.setattr(sparse_product, "_inner_function", inner)
    assert _tried() is None
    assert is_product()
