"""The product of a sparse matrix with a dense one, into memory that the caller uses again.

SciPy's `@` takes new memory for each product, which the system hands out page by page, filled with zeros first: in a
loop over pictures of 512 pixels that took a third of the time. What `@` calls inside takes the memory to add to; it has
no public name, so it is tried once, and where it is absent or does something else, `@` does the work.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_AddProduct = Callable[..., None]  # rows, columns, vectors, indptr, indices, data, values, sums


def product(matrix: Any, values: Values, sums: Values) -> Values:
    """`matrix` (M, N), a SciPy CSR array, @ `values` (N, K), in `sums` (M, K); float64, both arrays C-contiguous."""
    add = _tried()
    if add is None:
        sums[:] = matrix @ values
    else:
        sums.fill(0)
        _add_product(add, matrix, values, sums)
    return sums


def _add_product(add: _AddProduct, matrix: Any, values: Values, sums: Values) -> None:
    parts = matrix.indptr, matrix.indices, matrix.data
    add(*matrix.shape, values.shape[1], *parts, values.reshape(-1), sums.reshape(-1))


@cache
def _tried() -> _AddProduct | None:
    """SciPy's own function where it is there and adds the product, tried on whole numbers."""
    from scipy.sparse import csr_array

    random = np.random.default_rng(0)
    matrix, values = random.standard_normal((5, 7)).round(), random.standard_normal((7, 3)).round()
    sums = np.zeros((5, 3))
    try:
        add = _inner_function()
        _add_product(add, csr_array(matrix), values, sums)
    except (ImportError, TypeError, ValueError):
        return None
    return add if np.array_equal(sums, matrix @ values) else None


def _inner_function() -> _AddProduct:
    from scipy.sparse._sparsetools import csr_matvecs

    add: _AddProduct = csr_matvecs
    return add
