"""Hostile numbers into every public function: finite numbers come out, or one ArgumentError, and never a warning."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from pictures import gaussian

import cmmd_toolkit as c
from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.features.matrices import unit_rows
from cmmd_toolkit.metrics import mmd
from cmmd_toolkit.torchmetrics import CMMD, FrechetDistance, KernelDistance, PrecisionRecall

Call = Callable[..., Any]
N, DIM = 64, 6


def numbers(result: Any) -> Iterator[float]:
    """Every number in a result, whatever holds it; a witness has NaN for what is left of a set of two less one."""
    if isinstance(result, (bool, int, float, np.number)):
        yield float(result)
    elif isinstance(result, np.ndarray):
        yield from result.astype(np.float64).ravel()
    elif isinstance(result, torch.Tensor):
        yield from result.double().ravel().tolist()
    elif isinstance(result, Mapping):
        yield from (number for value in result.values() for number in numbers(value))
    elif isinstance(result, (list, tuple)):
        yield from (number for value in result for number in numbers(value))
    elif is_dataclass(result):
        shown = [field.name for field in fields(result) if field.name not in ("provenance", "pictures", "witness")]
        yield from (number for name in shown for number in numbers(getattr(result, name)))


def assert_lawful(call: Call, *args: Any, refusal: type[Exception] = c.ArgumentError, **options: Any) -> bool:
    """Whether there was a result; it must be finite."""
    try:
        result = call(*args, **options)
    except refusal:
        return False
    assert all(map(math.isfinite, numbers(result)))
    return True


def statistics(reference: Any, generated: Any) -> Any:
    return c.frechet_distance(
        reference=c.Features(reference).statistics(), generated=c.Features(generated).statistics()
    )


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_features = DIM

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def in_training(kind: Any, **options: Any) -> Call:
    def call(reference: Any, generated: Any) -> Any:
        metric = kind(feature=Network(), **options)
        for real, rows in ((True, reference), (False, generated)):
            if isinstance(rows, (scipy.sparse.spmatrix, scipy.sparse.sparray, list, torch.Tensor)):
                raise c.ArgumentError("not a batch of dense rows")
            if rows.dtype not in (np.float16, np.float32, np.float64) or rows.ndim != 2:
                raise c.ArgumentError("not a batch of rows")
            metric.update(torch.from_numpy(np.ascontiguousarray(rows)), real=real)
        return metric.compute()

    return call


PAIRS: dict[str, Call] = {
    "frechet_distance": lambda x, y: c.frechet_distance(reference=x, generated=y),
    "frechet_distance without errors": lambda x, y: c.frechet_distance(reference=x, generated=y, errors=False),
    "frechet_distance of statistics": statistics,
    "frechet_distance_infinity": lambda x, y: c.frechet_distance_infinity(reference=x, generated=y),
    "frechet_distance_infinity dgm-eval": lambda x, y: c.frechet_distance_infinity(
        reference=x, generated=y, recipe="dgm-eval"
    ),
    "squared_mmd": lambda x, y: c.squared_mmd(reference=x, generated=y),
    "squared_mmd pooled, biased": lambda x, y: c.squared_mmd(
        reference=x, generated=y, bandwidth="median-pooled", estimator="biased"
    ),
    "squared_mmd 1": lambda x, y: c.squared_mmd(reference=x, generated=y, bandwidth=1.0),
    "kernel_distance": lambda x, y: c.kernel_distance(reference=x, generated=y),
    "kernel_distance of degree 50": lambda x, y: c.kernel_distance(reference=x, generated=y, degree=50),
    "kernel_distance of subsets": lambda x, y: c.kernel_distance(
        reference=x, generated=y, recipe="clean-fid", subsets=3
    ),
    "precision_recall": lambda x, y: c.precision_recall(reference=x, generated=y),
    "density_coverage": lambda x, y: c.density_coverage(reference=x, generated=y, recipe="adm"),
    "memorisation": lambda x, y: c.memorisation(reference=x, generated=y),
    "mind": lambda x, y: c.mind(reference=x, generated=y, num_projections=20),
    "sliced_wasserstein": lambda x, y: c.sliced_wasserstein(reference=x, generated=y, num_projections=20),
    "sliced_wasserstein dgm-eval": lambda x, y: c.sliced_wasserstein(reference=x, generated=y, recipe="dgm-eval"),
    "two_sample_test": lambda x, y: c.two_sample_test(reference=x, generated=y, permutations=19),
    "two_sample_test 1": lambda x, y: c.two_sample_test(reference=x, generated=y, permutations=19, bandwidth=1.0),
    "relative_test": lambda x, y: c.relative_test(reference=x, first=y, second=healthy(3)),
    "relative_test paired": lambda x, y: c.relative_test(reference=x, first=y, second=healthy(3), paired=True),
    "relative_test fd": lambda x, y: c.relative_test(reference=x, first=y, second=healthy(3), metric="fd"),
    "inception_score": lambda x, y: (c.inception_score(generated=x), c.inception_score(generated=y, splits=1)),
    "vendi_score": lambda x, y: (c.vendi_score(generated=x), c.vendi_score(generated=y, order=float("inf"))),
    "median_distance": lambda x, y: (c.median_distance(x), c.median_distance(y)),
    "Features": lambda x, y: (c.Features(x).statistics(), c.Features(y).values),
    "torchmetrics FrechetDistance": in_training(FrechetDistance),
    "torchmetrics CMMD": in_training(CMMD, bandwidth=1.0),
    "torchmetrics KernelDistance": in_training(KernelDistance, subsets=2, subset_size=3),
    "torchmetrics PrecisionRecall": in_training(PrecisionRecall),
}
RUNS: dict[str, Call] = {
    "compare": lambda x, y: c.compare(x, {"y": y}, metric="all").results,
    "rank": lambda x, y: c.rank(x, {"y": y, "z": healthy(3)}).orders,
    "rank fd": lambda x, y: c.rank(x, {"y": y, "z": healthy(3)}, metric="fd").orders,
    "plan": lambda x, y: c.plan(x, [y, healthy(3)]).needs,
    "explain": lambda x, y: c.explain(x, {"y": y}, top=3),
}
SCALES = [1e-320, 1e-300, 1e-160, 1e-45, 1e-22, 1e-20, 1e-8, 1e8, 1e18, 1e22, 1e38, 1e40, 1e155, 1e300, 1e307]
OFFSETS = [1e3, 1e8, 1e13, 1e15, 1e18, 1e25, 1e300]


def healthy(seed: int = 1) -> np.ndarray:
    return gaussian(N, DIM, seed=seed)


def changed(row: float, where: slice = slice(1)) -> np.ndarray:
    rows = healthy()
    rows[where] = row
    return rows


def inputs() -> Iterator[tuple[str, Any]]:
    x = healthy()
    for scale in SCALES:
        yield f"scale {scale:g}", x * scale
    for offset in OFFSETS:
        yield f"offset {offset:g}", x + offset
    for value in (0.0, 1.0, 1 / 3, 1e15, 1e20, 1e-20):
        yield f"constant {value:g}", np.full((N, DIM), value)
    for value in (1e9, 1e19, 1e155, math.inf, -math.inf, math.nan, 5e-324):
        yield f"one row {value:g}", changed(value)
        yield f"half {value:g}", changed(value, slice(N // 2))
    yield "two kinds", np.repeat(x[:2], N // 2, axis=0)
    yield "a constant column of 1e15", np.where(np.arange(DIM) == 0, 1e15, x)
    yield "wide columns", x * 10.0 ** np.linspace(-19, 19, DIM)
    yield "nearly constant", 1 + 1e-16 * np.round(x)
    yield "rounded float32", (np.float32(0.03) + np.float32(1e-9) * x).astype(np.float32)
    for dtype in (np.float16, np.float32, np.longdouble, np.int8, np.int64, np.uint64, bool, complex, object, "U8"):
        yield f"type {np.dtype(dtype)}", np.abs(10 * x).astype(dtype)
    yield "float16 beyond", np.full((N, DIM), 60000, np.float16)
    yield "float32 large", (x * 1e19).astype(np.float32)
    yield "int64 ends", np.where(x > 0, 2**63 - 1, -(2**63)).astype(np.int64)
    yield "long double beyond", x.astype(np.longdouble) * np.longdouble("1e400")
    yield "masked", np.ma.masked_greater(x, 1)
    yield "sparse", scipy.sparse.csr_array(x)
    yield "ragged", [[1.0, 2.0], [3.0]]
    yield "0-d", np.float64(3)
    yield "1-d", x[0]
    yield "3-d", x[None]
    for shape in ((0, DIM), (N, 0), (1, DIM), (2, DIM), (3, DIM), (N, 1), (N, 200)):
        yield f"shape {shape}", np.resize(x, shape) if 0 not in shape else np.zeros(shape)
    yield "meta tensor", torch.zeros(N, DIM, device="meta")
    yield "sparse tensor", torch.from_numpy(x).to_sparse()
    yield "complex tensor", torch.from_numpy(x).to(torch.complex64)
    yield "bool tensor", torch.from_numpy(x) > 0


INPUTS = dict(inputs())


@pytest.mark.parametrize("name", PAIRS)
def test_every_number_is_finite_or_refused(name: str) -> None:
    results = 0
    for what, rows in INPUTS.items():
        for pair in ((rows, healthy(2)), (healthy(2), rows), (rows, rows)):
            try:
                results += assert_lawful(PAIRS[name], *pair)
            except Exception as error:
                raise AssertionError(f"{name} on {what}, {['first', 'second', 'both'][0]}: {error!r}") from error
    assert results > 20


@pytest.mark.parametrize("name", RUNS)
def test_every_number_of_a_run_is_finite_or_refused(name: str) -> None:
    results = 0
    for what, rows in INPUTS.items():
        for pair in ((rows, healthy(2)), (healthy(2), rows)):
            try:
                results += assert_lawful(RUNS[name], *pair, refusal=CmmdError)
            except Exception as error:
                raise AssertionError(f"{name} on {what}: {error!r}") from error
    assert results > 10


HOSTILE = [1e-320, 1e-300, 1e-29, 1e29, 1e300, 0, -1, 1.5, math.nan, math.inf, -math.inf, "x", None, [1.0], 1j, b"1"]
HOSTILE += [np.array([1.0, 2.0]), np.float64(np.nan), 10**400, object(), {}]


def call_with(function: Call, option: str) -> Call:
    sides = {"reference": healthy(1), "generated": healthy(2)}
    if function is c.relative_test:
        sides = {"reference": healthy(1), "first": healthy(2), "second": healthy(3)}
    elif function in (c.vendi_score, c.inception_score):
        del sides["reference"]
    elif function is c.compare:
        return lambda value: c.compare(healthy(1), healthy(2), metric="mmd", **{option: value}).results
    elif function is c.median_distance:
        return lambda value: c.median_distance(healthy(1), value)
    few = {"permutations": 19} if function is c.two_sample_test else {}
    if function is c.kernel_distance and option in ("subsets", "subset_size", "seed"):
        few = {"recipe": "dgm-eval", "subsets": 3}
    return lambda value: function(**{**sides, **few, option: value})


@pytest.mark.parametrize(
    ("function", "option"),
    [
        *((f, "bandwidth") for f in (c.squared_mmd, c.two_sample_test, c.relative_test, c.compare)),
        *((f, "seed") for f in (c.squared_mmd, c.two_sample_test, c.relative_test, c.compare, c.median_distance)),
        *((f, "seed") for f in (c.frechet_distance_infinity, c.kernel_distance, c.mind, c.sliced_wasserstein)),
        *((f, "seed") for f in (c.inception_score,)),
        *((c.kernel_distance, option) for option in ("degree", "gamma", "coef0", "subsets", "subset_size")),
        *((c.two_sample_test, option) for option in ("permutations", "max_rows")),
        *((c.compare, option) for option in ("max_images", "batch_size", "workers")),
        (c.precision_recall, "k"),
        (c.density_coverage, "k"),
        (c.mind, "num_projections"),
        (c.vendi_score, "order"),
        (c.inception_score, "splits"),
    ],
)
def test_hostile_options_are_refused_or_harmless(function: Call, option: str) -> None:
    call, results = call_with(function, option), 0
    for value in HOSTILE:
        try:
            results += assert_lawful(call, value)
        except Exception as error:
            raise AssertionError(f"{function.__name__} with {option}={value!r}: {error!r}") from error
    assert results < len(HOSTILE) / 2


@pytest.mark.parametrize("values", [np.full(3, 1e200), np.full(3, 1e45), np.array([0, 1, 1j]), ["a", "b", "c"], None])
def test_statistics_with_hostile_numbers_are_refused(values: Any) -> None:
    with pytest.raises(c.ArgumentError):
        c.GaussianStatistics(values, np.eye(3))
    with pytest.raises(c.ArgumentError):
        c.GaussianStatistics(np.zeros(3), np.diag(values) if isinstance(values, np.ndarray) else values)


@pytest.mark.parametrize("n", [0, -3, 1.5, math.nan, "x", [3]])
def test_statistics_of_no_whole_number_of_pictures_are_refused(n: Any) -> None:
    with pytest.raises(c.ArgumentError, match="n: expected a whole number of at least 1"):
        c.GaussianStatistics(np.zeros(3), np.eye(3), n)


@pytest.mark.parametrize("scale", [0.0, 1e-39, 1e-30, 1e30, 1e40, 1e-45, 1e45, 1e-320])
def test_statistics_of_every_size_give_a_number_or_a_refusal(scale: float) -> None:
    other = c.GaussianStatistics(np.zeros(3), np.eye(3), 9)

    def call() -> Any:
        return c.frechet_distance(reference=other, generated=c.GaussianStatistics(np.ones(3), scale * np.eye(3), 9))

    assert assert_lawful(call) == (scale == 0 or 1e-40 <= scale <= 1e40)


def test_what_float32_cannot_hold_is_refused_before_it_is_converted() -> None:
    for rows in (np.full((3, 2), 1e300), healthy() + 1e9):
        with pytest.raises(c.ArgumentError, match="rescale|common offset"):
            c.Features(rows)
    assert len(c.Features((healthy() + 1e9).astype(np.float32))) == N  # nobody knows what was there before


@pytest.mark.parametrize("power", [-30, -7, 1, 30])
def test_scaling_changes_no_mmd_and_squares_in_the_frechet_distance(power: int) -> None:
    x, y, scale = healthy(1), healthy(2) + 0.5, 2.0**power
    for estimator in ("unbiased", "biased"):
        there, here = (c.squared_mmd(reference=s * x, generated=s * y, estimator=estimator).value for s in (scale, 1.0))
        assert there == pytest.approx(here, rel=1e-9)
    there, here = (c.frechet_distance(reference=s * x, generated=s * y).value for s in (scale, 1.0))
    assert there == pytest.approx(here * 4.0**power, rel=1e-9)


@pytest.mark.parametrize("name", ["frechet_distance", "squared_mmd", "sliced_wasserstein", "two_sample_test"])
def test_a_common_offset_changes_nothing(name: str) -> None:
    x, y = healthy(1), healthy(2) + 0.5
    here, there = (list(numbers(PAIRS[name](x + offset, y + offset))) for offset in (0.0, 1e3))
    assert there == pytest.approx(here, rel=1e-6)


def test_a_far_row_costs_no_digits() -> None:
    x, y = healthy(1), healthy(2) + 0.5
    near, far = np.vstack([x, np.full((1, DIM), 50.0)]), np.vstack([x, np.full((1, DIM), 1e12)])
    here, there = (c.squared_mmd(reference=rows, generated=y, bandwidth=2.0).value for rows in (near, far))
    assert there == pytest.approx(here, rel=1e-9)
    assert c.median_distance(far) == pytest.approx(c.median_distance(near), rel=1e-9)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (500, 64), (300, 1000)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_rounding_noise_is_shown_as_zero(shape: tuple[int, int], offset: float) -> None:
    x = gaussian(*shape) * np.arange(1, shape[1] + 1) ** -0.5 + offset
    moved = x[np.random.default_rng(1).permutation(len(x))]
    for other in (x, moved):
        assert c.frechet_distance(reference=x, generated=other, errors=False).value == 0.0
        assert c.squared_mmd(reference=x, generated=other, estimator="biased").value == 0.0


def test_features_far_from_zero_are_refused_only_where_no_digits_are_left() -> None:
    constant, x = np.full((N, DIM), 1e15), healthy()
    assert c.frechet_distance(reference=constant, generated=constant[:9]).value == 0.0
    assert c.frechet_distance(reference=x, generated=constant).value == pytest.approx(DIM * 1e30, rel=1e-9)
    for rows in (x + 1e15, (x + 1e7).astype(np.float32)):
        with pytest.raises(c.ArgumentError, match="spread has digits left.*common offset"):
            c.squared_mmd(reference=rows, generated=rows)
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    collapsed = unit[:1] + np.float32(1e-8) * x.astype(np.float32)  # one picture, in other batches
    assert c.squared_mmd(reference=unit, generated=collapsed).value > 0


@pytest.mark.parametrize("scale", [1e-30, 1e-17, 1.0, 1e17, 1e20])
def test_rows_of_every_length_come_to_unit_length(scale: float) -> None:
    rows = np.vstack([healthy().astype(np.float32) * np.float32(scale), np.zeros((1, DIM), np.float32)])
    lengths = np.linalg.norm(unit_rows(rows).astype(np.float64), axis=1)
    assert lengths[:-1] == pytest.approx(1, rel=1e-6)
    assert lengths[-1] == 0


@pytest.mark.parametrize("bandwidth", [1e-8, 1e6, 1e29])
def test_exponents_beyond_float32_stay_in_double_precision(bandwidth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = c.squared_mmd(reference=healthy(1), generated=healthy(2), bandwidth=bandwidth)
    monkeypatch.setattr(mmd, "_EXACT_MULTIPLICATIONS", 0.0)
    assert c.squared_mmd(reference=healthy(1), generated=healthy(2), bandwidth=bandwidth) == exact
    assert exact.parameters["precision"] == "float64"
