"""Vendi and Inception score: closed forms, slow references, orders, splits, and errors."""

import json

import numpy as np
import pytest
import torch
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features
from cmmd_toolkit.metrics import vendi
from cmmd_toolkit.metrics.inception_score import RECIPES, inception_score
from cmmd_toolkit.metrics.vendi import vendi_by_class, vendi_score

ORDERS = [0.5, 1.0, 2.0, 7.0, 400.0, float("inf")]


def slow_vendi(x: np.ndarray, order: float) -> float:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(unit @ unit.T / len(x))
    shares = shares[shares > 1e-13]
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    return float(1 / shares.max() if np.isinf(order) else (shares**order).sum() ** (1 / (1 - order)))


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 7.0, float("inf")])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20), (1, 5), (30, 1)])
def test_vendi_agrees_with_the_definition(shape: tuple[int, int], order: float) -> None:
    x = np.abs(gaussian(*shape)) if 1 in shape else gaussian(*shape)
    assert float(vendi_score(generated=x, order=order)) == pytest.approx(slow_vendi(x, order), rel=1e-9)


def similarity(rows: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(rows[:, None] - rows[None]).sum(axis=2) / 2)


@pytest.mark.parametrize("order", ORDERS)
def test_vendi_takes_any_kernel(order: float) -> None:
    x = gaussian(25, 3)
    shares = np.linalg.eigvalsh(similarity(x) / 25)
    shares = shares[shares > 1e-13]
    expected = np.exp(vendi.renyi_entropy(shares, order))
    found = vendi_score(generated=x, order=order, kernel=similarity)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert (found.parameters["kernel"], found.parameters["route"]) == ("similarity", "gram")

    def cosine(rows: np.ndarray) -> torch.Tensor:
        unit = torch.nn.functional.normalize(torch.from_numpy(rows), dim=1)
        return unit @ unit.T

    assert float(vendi_score(generated=x, order=order, kernel=cosine)) == pytest.approx(
        float(vendi_score(generated=x, order=order)), rel=1e-6
    )
    assert float(vendi_score(generated=x, kernel=lambda rows: np.eye(len(rows)))) == pytest.approx(25)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("rbf", "expected cosine or a function of the features, got 'rbf'"),
        (np.eye(9), "expected cosine or a function"),
        (lambda rows: rows @ rows.T, "1 on the diagonal"),
        (lambda rows: np.eye(len(rows))[:3], r"a matrix \(9, 9\), got one of shape \(3, 9\)"),
        (lambda rows: np.eye(len(rows)) + np.triu(np.full((9, 9), 0.5), 1), "symmetric"),
        (lambda rows: 2 * np.eye(9) - np.ones((9, 9)), "positive semi-definite matrix, got an eigenvalue of -7"),
        (lambda rows: np.full((9, 9), np.nan), "kernel: .*NaN"),
        (lambda rows: "no matrix", "kernel: "),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        vendi_score(generated=gaussian(9, 3), kernel=kernel)


def test_vendi_by_class_is_that_of_each_class() -> None:
    x, labels = gaussian(20, 6), np.array(["dog", "cat", "dog", "owl"] * 5)
    found = vendi_by_class(generated=x, labels=labels, order=2.0)
    assert list(found) == ["dog", "cat", "owl"]
    for label, own in found.items():
        assert own == vendi_score(generated=x[labels == label], order=2.0)
    assert vendi_by_class(generated=x, labels=[3] * 20)[3].value == float(vendi_score(generated=x))
    with pytest.raises(ArgumentError, match="labels: expected one for each of 20 rows, got 3"):
        vendi_by_class(generated=x, labels=[1, 2, 3])
    x[1] = 0
    with pytest.raises(ArgumentError, match="class cat: generated: expected rows with a direction, got zeros in row 0"):
        vendi_by_class(generated=x, labels=labels)


@pytest.mark.parametrize("order", ORDERS)
def test_vendi_counts_copies_once_and_orthogonal_pictures_apart(order: float) -> None:
    assert float(vendi_score(generated=np.full((30, 7), 0.3), order=order)) == pytest.approx(1, rel=1e-12)
    assert float(vendi_score(generated=np.eye(9), order=order)) == pytest.approx(9, rel=1e-12)
    groups = np.repeat(np.eye(6), 5, axis=0) * np.arange(1, 31)[:, None]
    assert float(vendi_score(generated=groups, order=order)) == pytest.approx(6, rel=1e-12)


def test_vendi_falls_with_the_order_and_is_continuous_at_one() -> None:
    x = gaussian(60, 10)
    scores = [float(vendi_score(generated=x, order=order)) for order in ORDERS]
    assert scores == sorted(scores, reverse=True)
    beside = float(vendi_score(generated=x, order=1 + 1e-7))
    assert beside == pytest.approx(float(vendi_score(generated=x)), rel=1e-6)


def test_vendi_is_invariant_under_rotation_and_the_length_of_rows() -> None:
    x = gaussian(60, 10)
    turned = x @ np.linalg.qr(gaussian(10, 10, seed=1))[0] * np.arange(1, 61)[:, None]
    assert float(vendi_score(generated=turned)) == pytest.approx(float(vendi_score(generated=x)), rel=1e-12)


def test_vendi_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gaussian(101, 10)
    whole = vendi_score(generated=x)
    monkeypatch.setattr(vendi, "BLOCK", 7)
    assert float(vendi_score(generated=x)) == pytest.approx(float(whole), rel=1e-13)
    assert whole.parameters["route"] == "dual"


def test_vendi_takes_features_and_tensors_and_has_no_reference() -> None:
    x = gaussian(20, 4).astype(np.float32)
    estimates = [vendi_score(generated=source) for source in (x, Features(x), torch.from_numpy(x))]
    assert len({float(estimate) for estimate in estimates}) == 1
    assert estimates[0].n_reference is None


def test_parameters_are_plain() -> None:
    for estimate in (vendi_score(generated=gaussian(20, 4), order=np.inf), inception_score(generated=gaussian(20, 4))):
        assert json.loads(json.dumps(estimate.parameters)) == estimate.parameters


def test_vendi_names_the_zero_row_of_a_later_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendi, "BLOCK", 3)
    x = gaussian(8, 4)
    x[7] = 0
    with pytest.raises(ArgumentError, match="got zeros in row 7"):
        vendi_score(generated=x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order: expected a number > 0 or infinity, got 0.0"),
        ({"order": float("nan")}, "order: expected a number > 0 or infinity, got nan"),
        ({"generated": np.eye(5)[:, :4]}, "generated: expected rows with a direction, got zeros in row 4; leave it"),
        ({"generated": np.eye(4)[[0, 1, 0, 2, 3]][:, :3]}, "got zeros in row 4"),
        ({"generated": np.full((5, 4), np.nan)}, "generated: NaN or infinity in row 0"),
    ],
)
def test_vendi_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        vendi_score(**{"generated": gaussian(8, 4), **options})


def slow_inception_score(logits: np.ndarray) -> float:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(np.exp(np.mean([(row * np.log(row / p.mean(axis=0))).sum() for row in p])))


@pytest.mark.parametrize("recipe", RECIPES)
def test_inception_score_agrees_with_the_definition_on_unshuffled_splits(recipe: str) -> None:
    logits, splits = 2 * gaussian(23, 6), 4
    sizes = {"torch-fidelity": [5, 6, 6, 6], "torchmetrics": [6, 6, 6, 5], "dgm-eval": [5, 5, 5, 5]}[recipe]
    ends = np.cumsum(sizes)
    expected = [slow_inception_score(logits[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    estimate = inception_score(generated=logits, splits=splits, shuffle=False, recipe=recipe)
    assert float(estimate) == pytest.approx(np.mean(expected), rel=1e-12)
    ddof = 1 if recipe == "torchmetrics" else 0
    assert estimate.parameters["split_std"] == pytest.approx(np.std(expected, ddof=ddof), rel=1e-10)
    assert estimate.standard_error == pytest.approx(np.std(expected, ddof=1) / 2, rel=1e-10)
    assert any("3 of 23 rows left out" in caveat for caveat in estimate.caveats) == (recipe == "dgm-eval")


def test_inception_score_is_one_for_equal_and_the_number_of_classes_for_certain_even_predictions() -> None:
    assert float(inception_score(generated=np.tile(gaussian(1, 5), (40, 1)))) == pytest.approx(1, rel=1e-12)
    certain = 2000.0 * np.tile(np.eye(5), (8, 1))
    assert float(inception_score(generated=certain, splits=1)) == pytest.approx(5, rel=1e-12)


def test_inception_score_ignores_a_constant_added_to_a_row() -> None:
    logits = gaussian(50, 6)
    moved = logits + 100 * gaussian(50, 1, seed=1)
    assert float(inception_score(generated=moved)) == pytest.approx(float(inception_score(generated=logits)), rel=1e-12)


@pytest.mark.parametrize("recipe", RECIPES)
def test_inception_score_of_one_split_does_not_depend_on_the_shuffle_and_has_no_error(recipe: str) -> None:
    logits = gaussian(30, 6)
    estimates = [inception_score(generated=logits, splits=1, seed=seed, recipe=recipe) for seed in (1, 2)]
    assert float(estimates[0]) == pytest.approx(float(estimates[1]), rel=1e-13)
    assert estimates[0].standard_error is None
    assert estimates[0].parameters["split_std"] == (None if recipe == "torchmetrics" else 0.0)


@pytest.mark.parametrize("recipe", RECIPES)
def test_inception_score_is_seeded(recipe: str) -> None:
    scores = [float(inception_score(generated=gaussian(50, 6), seed=seed, recipe=recipe)) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


def test_torchmetrics_chunks_may_be_fewer_than_asked() -> None:
    estimate = inception_score(generated=gaussian(15, 6), recipe="torchmetrics")
    assert estimate.parameters["splits"] == len(torch.arange(15).chunk(10)) == 8


def test_inception_score_interval_holds_the_expected_score_of_a_split() -> None:
    draws = [inception_score(generated=gaussian(100, 6, seed=i), splits=5) for i in range(200)]
    truth = np.mean([float(inception_score(generated=gaussian(20, 6, seed=i), splits=1)) for i in range(5000, 7000)])
    held = np.mean([draw.interval[0] <= truth <= draw.interval[1] for draw in draws])
    assert 0.9 <= held <= 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": 9}, "splits: expected 1 to 8, the number of rows, got 9; use fewer splits"),
        ({"splits": 0}, "splits: expected 1 to 8, the number of rows, got 0"),
        ({"recipe": "tf"}, "recipe: expected one of torch-fidelity, torchmetrics, dgm-eval, got 'tf'"),
        ({"generated": np.full((8, 4), 0.25)}, "generated: expected logits, got rows that sum to 1"),
        ({"generated": np.zeros((8, 1))}, "generated: expected logits of at least two classes, got one"),
        ({"generated": np.full((8, 4), np.inf)}, "generated: NaN or infinity in row 0"),
    ],
)
def test_inception_score_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        inception_score(**{"generated": gaussian(8, 4), "splits": 2, **options})


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [1, 5, 12, 40])
def test_the_truncated_score_agrees_with_its_definition(order: float, count: int) -> None:
    x = gaussian(60, 12)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shares = np.sort(np.linalg.eigvalsh(unit.T @ unit / 60))[::-1]
    if count < 12:
        shares = shares[:count] + (1 - shares[:count].sum()) / count
    found = vendi_score(generated=x, order=order, truncation=count)
    assert float(found) == pytest.approx(np.exp(vendi.renyi_entropy(shares, order)), rel=1e-9)
    assert 1 - 1e-9 <= float(found) <= min(count, 12) + 1e-9
    assert found.parameters["truncation"] == count


def decaying(n: int, seed: int, power: float) -> np.ndarray:
    """Rows in 256 dimensions, with a variance that falls as a power."""
    return gaussian(n, 256, seed=seed) * np.arange(1, 257) ** -power


def test_the_truncated_score_settles_where_the_score_still_grows() -> None:
    """Both sizes are of one distribution: the score rises by far more than the truncated one."""
    rises = {}
    for truncation in (None, 16):
        small, large = (
            np.mean([float(vendi_score(generated=decaying(n, seed, 0.5), truncation=truncation)) for seed in range(4)])
            for n in (160, 1600)
        )
        rises[truncation] = large / small - 1
    assert rises[None] > 0.25
    assert abs(rises[16]) < 0.03


def test_few_pictures_for_a_truncation_are_named() -> None:
    x = gaussian(200, 64)
    assert any("need 320" in text for text in vendi_score(generated=x, truncation=32).caveats)
    assert not any("need" in text for text in vendi_score(generated=x, truncation=20).caveats)
    for bad in (0, -3, 2.5, "many"):
        with pytest.raises(ArgumentError, match="truncation: expected a whole number of at least 1"):
            vendi_score(generated=x, truncation=bad)  # type: ignore[arg-type]
    copies = np.repeat(gaussian(1, 8), 30, axis=0)
    assert float(vendi_score(generated=copies, truncation=4)) == pytest.approx(1.0)
