"""What torchmetrics asks of every metric of its own, and the values of those that these classes take the place of."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from metric_cases import CASES, numbers, two_sided, updated
from metric_inputs import Identity, Pooled, pictures, rows
from torch import Tensor, nn

from cmmd_toolkit import ArgumentError, compare

pytest.importorskip("torchmetrics")

from torchmetrics import Metric, MetricCollection
from torchmetrics.image.inception import InceptionScore as PeerScore
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.wrappers import FeatureShare

from cmmd_toolkit.torchmetrics import CMMD, FrechetDistance, InceptionScore, KernelDistance, PrecisionRecall

every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_pickled_cloned_and_reset_metrics_reach_the_same_value(name: str) -> None:
    metric = CASES[name].make()
    assert isinstance(metric, Metric)
    expected = numbers(updated(name).compute())
    assert all(torch.tensor(expected).isfinite())
    for other in (pickle.loads(pickle.dumps(metric)), metric.clone(), updated(name)):
        other.reset()
        assert not other.update_called
        assert numbers(updated(name, other).compute()) == expected
        assert numbers(pickle.loads(pickle.dumps(other)).compute()) == expected
        assert numbers(other.clone().compute()) == expected


@every_case
def test_attributes_are_constant_hashes_differ_and_nothing_is_saved(name: str) -> None:
    metric = updated(name)
    for attribute in ("is_differentiable", "higher_is_better", "full_state_update"):
        assert isinstance(getattr(metric, attribute), bool)
        with pytest.raises(RuntimeError, match="const"):
            setattr(metric, attribute, True)
    assert hash(metric) != hash(updated(name))
    assert metric.state_dict() == {}
    assert not list(metric.parameters())
    assert not list(metric.buffers())


@every_case
def test_the_result_has_the_default_type_and_the_one_that_was_set(name: str) -> None:
    metric = updated(name)
    for given, expected in ((None, torch.float32), (torch.float64, torch.float64), ("torch.HalfTensor", torch.float16)):
        if given is not None:
            metric.set_dtype(given)
        result = metric.compute()
        for own in result if isinstance(result, tuple) else (result,):
            assert (own.dtype, own.ndim) == (expected, 0)
    for whole in (torch.int32, torch.bool, torch.complex64):  # torchmetrics' own: a float all the same
        assert numbers(metric.set_dtype(whole).compute()) == numbers(updated(name).compute())
    assert numbers(metric.set_dtype(torch.float64).double().half().to(torch.float16).compute()) == pytest.approx(
        numbers(updated(name).set_dtype(torch.float64).compute()), rel=1e-12
    )


@every_case
def test_a_call_returns_the_value_of_the_batch_and_adds_it(name: str) -> None:
    metric, case = CASES[name].make(), CASES[name]
    for i, batch in enumerate(case.batches()):
        found = numbers(metric(*batch))
        alone = case.make()
        if name != "is":  # the batch against all that came on the other side
            for other in case.batches()[:i]:
                if other[1] != batch[1]:
                    alone.update(*other)
            if not alone.update_called:
                assert all(torch.tensor(found).isnan())
                continue
        alone.update(*batch)
        assert found == pytest.approx(numbers(alone.compute()), rel=1e-6, nan_ok=True)
    assert metric.update_count == len(case.batches())
    assert numbers(metric.compute()) == pytest.approx(numbers(updated(name).compute()), rel=1e-6)


@every_case
def test_a_call_that_fails_loses_nothing(name: str) -> None:
    metric, batch = updated(name), CASES[name].batches()[0]
    expected = numbers(metric.compute())
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        metric(torch.full_like(batch[0], torch.nan), *batch[1:])
    assert numbers(metric.compute()) == expected


@every_case
def test_states_merge_exactly(name: str) -> None:
    case, parts = CASES[name], []
    for half in (case.batches()[:2], case.batches()[2:]):
        parts.append(case.make())
        for batch in half:
            parts[-1].update(*batch)
    first, second = parts
    second.merge_state(first)  # what comes in goes before what is there
    assert numbers(second.compute()) == pytest.approx(numbers(updated(name).compute()), rel=1e-6)


@every_case
def test_a_plot_shows_one_value_or_several(name: str) -> None:
    metric = updated(name)
    result = metric.compute()
    for given, count in ((None, 1), (result, 1), ([result, result, result], 3)):
        figure, axes = metric.plot(given)
        lengths = [len(line.get_ydata()) for line in axes.lines]
        assert count in lengths
        assert any(numbers(result)[0] == pytest.approx(float(line.get_ydata()[0])) for line in axes.lines)
        plt.close(figure)


@every_case
def test_a_collection_computes_and_forwards_each(name: str) -> None:
    collection = MetricCollection({"one": CASES[name].make(), "two": CASES[name].make()})
    for batch in CASES[name].batches():
        collection.update(*batch)
    expected = numbers(updated(name).compute())
    assert [numbers(own) for own in collection.compute().values()] == [expected, expected]
    called = [collection(*batch) for batch in CASES[name].batches()][-1]
    assert numbers(called["one"]) == pytest.approx(numbers(called["two"]), nan_ok=True)
    assert collection["one"].update_count == 2 * len(CASES[name].batches())


# ---- the classes of torchmetrics ------------------------------------------------------------------


def _fed(metric: Any) -> Any:
    for batch in two_sided():
        metric.update(*batch)
    return metric


def test_subsets_are_those_that_torchmetrics_draws_after_a_seed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features
        options: dict[str, Any] = {"subsets": 7, "subset_size": 9, "degree": 2, "gamma": 0.3, "coef": 0.5}
        peer = _fed(KernelInceptionDistance(Identity(), **options))
    torch.manual_seed(5)
    expected = numbers(peer.compute())
    found = _fed(KernelDistance(Identity(), **options, seed=5)).compute()
    assert numbers(found) == pytest.approx(expected, rel=1e-5)


def test_splits_are_those_that_torchmetrics_draws_after_a_seed() -> None:
    logits = torch.from_numpy(rows(32, 3).numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        peer = PeerScore(Identity(), splits=5)
    peer.update(logits)
    torch.manual_seed(11)
    expected = numbers(peer.compute())
    metric = InceptionScore(Identity(), splits=5, seed=11)
    metric.update(logits)
    assert numbers(metric.compute()) == pytest.approx(expected, rel=1e-5)


def test_whole_sets_and_shares_are_those_of_compare() -> None:
    real, fake = pictures(14, 0), pictures(13, 1)
    report = compare(real, fake, backbone="mini", metric=["kd", "precision", "recall"])
    kernel, shares = KernelDistance(backbone="mini", subsets=None), PrecisionRecall(backbone="mini")
    for metric in (kernel, shares):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    estimate = kernel.estimate()
    assert float(estimate) == pytest.approx(report.value("kd"), rel=1e-9)
    spread = torch.nan if estimate.standard_error is None else estimate.standard_error
    assert numbers(kernel.compute()) == pytest.approx([float(estimate), spread], rel=1e-6, nan_ok=True)
    assert [float(own) for own in shares.estimate()] == [report.value("precision"), report.value("recall")]
    precision, recall = shares.compute()
    assert (float(precision), float(recall)) == pytest.approx([report.value("precision"), report.value("recall")])
    assert any("not comparable with published" in caveat for caveat in shares.estimate().recall.caveats)


def test_antialias_and_the_class_logits_are_those_of_the_recipes(inception_weights: Path) -> None:
    real, fake = pictures(4, 0), pictures(4, 1)
    for antialias, recipe in ((True, "torchmetrics"), (False, "torch-fidelity")):
        metric = FrechetDistance(64, feature_extractor_weights_path=inception_weights, antialias=antialias)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        expected = compare(real, fake, recipe=recipe, dims=64, weights=inception_weights, metric="fd").value("fd")
        assert float(metric.estimate()) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ArgumentError, match="antialias: chooses Inception's resize"):
        FrechetDistance(antialias=True, recipe="clean-fid")


def test_the_score_on_inception_is_that_of_compare_and_shares_its_network(
    inception_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmmd_toolkit.backbones.base import Backbone

    passes, embed = [], Backbone.embed

    def counted(self: Backbone, batch: Any, names: Any = ()) -> Any:
        passes.append(len(batch))
        return embed(self, batch, names)

    fake = pictures(10, 1)
    options: dict[str, Any] = {"recipe": "torchmetrics", "weights": inception_weights}
    expected = compare(pictures(2, 0), fake, metric="is", **options).value("is")
    shared = FeatureShare([FrechetDistance(**options), InceptionScore(splits=10, **options)])
    monkeypatch.setattr(Backbone, "embed", counted)
    shared.update(fake, real=False)
    assert passes == [10]  # once for both
    assert float(shared["InceptionScore"].estimate()) == pytest.approx(expected, rel=1e-6)
    assert shared["FrechetDistance"].fake_moments[0, 0] == 10
    assert not list(shared.parameters())
    copy = pickle.loads(pickle.dumps(shared["InceptionScore"].network))
    monkeypatch.undo()
    assert copy(fake[:2]).shape == (2, 2048)


def test_features_are_shared_by_metrics_of_a_module() -> None:
    calls = []

    class Counting(Pooled):
        def forward(self, images: Tensor) -> Tensor:
            calls.append(len(images))
            return super().forward(images)

    module = Counting()
    shared = FeatureShare(
        [FrechetDistance(module), CMMD(module), KernelDistance(module, subsets=None), PrecisionRecall(module, k=2)]
    )
    calls.clear()
    for images, real in ((pictures(8, 0), True), (pictures(9, 1), False)):
        shared.update(images, real=real)
    assert calls == [8, 9]
    alone = FrechetDistance(module)
    for images, real in ((pictures(8, 0), True), (pictures(9, 1), False)):
        alone.update(images, real=real)
    assert float(shared.compute()["FrechetDistance"]) == float(alone.compute())


def means(images: Tensor) -> Tensor:
    return images.float().mean(dim=(2, 3))


@pytest.mark.parametrize("own", [Pooled(), means])
def test_a_network_of_ones_own_gives_the_numbers_of_compare(own: Any) -> None:
    real, fake = pictures(7, 0), pictures(6, 1)
    report = compare(real, fake, backbone=own, metric=["fd", "mmd", "kd"])
    for kind, name, more in ((FrechetDistance, "fd", {}), (CMMD, "mmd", {}), (KernelDistance, "kd", {"subsets": None})):
        for normalize in (False, True):
            metric = kind(backbone=own, normalize=normalize, **more)
            metric.update(real / 255 if normalize else real, real=True)
            metric.update(fake / 255 if normalize else fake, real=False)
            assert float(pickle.loads(pickle.dumps(metric)).estimate()) == pytest.approx(report.value(name), rel=1e-6)
    assert not list(CMMD(backbone=own).parameters())
    with pytest.raises(ArgumentError, match="dims: belongs to the package's own backbones"):
        CMMD(backbone=own, dims=64)
    with pytest.raises(ArgumentError, match="is defined on clip, not on"):
        CMMD(backbone=own, recipe="google-cmmd")


def test_errors_are_also_of_the_types_that_torchmetrics_raises() -> None:
    with pytest.raises(TypeError, match="feature: expected 64, 192, 768, 2048 or an nn.Module, got 'x'"):
        FrechetDistance(feature="x")
    with pytest.raises(TypeError, match=r"got \[64\]"):
        KernelDistance(feature=[64])
    with pytest.raises(ValueError, match="reset_real_features: expected True or False, got 2"):
        CMMD(Identity(), reset_real_features=2)
    with pytest.raises(ValueError, match="normalize: expected True or False"):
        PrecisionRecall(Identity(), normalize="yes")
    odd = Identity()
    odd.num_features = "six"
    with pytest.raises(TypeError, match="num_features: expected a number"):
        FrechetDistance(odd)
    for metric in (FrechetDistance(Identity()), PrecisionRecall(Identity())):
        metric.update(rows(1, 0), real=True)
        with pytest.raises(RuntimeError, match="got 1 real and 0 fake"):
            metric.compute()
    score = InceptionScore(Identity(), splits=4)
    score.update(rows(3, 0))
    with pytest.raises(RuntimeError, match="at least 4 images, one per split, got 3"):
        score.compute()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subsets": 0}, "subsets: expected a whole number of at least 1"),
        ({"subset_size": 1}, "subset_size"),
        ({"degree": 0}, "degree"),
        ({"gamma": -1.0}, "gamma: expected a finite number > 0"),
        ({"coef": -1.0}, "coef: expected a finite number of at least 0"),
        ({"seed": -1}, "seed"),
        ({"recipe": "pytorch-fid"}, "expected a module alone|does not define kd"),
    ],
)
def test_wrong_arguments_of_the_kernel_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        KernelDistance(Identity(), **options)


def test_a_subset_larger_than_a_side_is_refused() -> None:
    metric = _fed(KernelDistance(Identity(), subset_size=1000))
    with pytest.raises(ValueError, match="subset_size: expected at most"):
        metric.compute()


def test_a_module_that_takes_no_black_picture_is_asked_for_its_width() -> None:
    class Narrow(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.reshape(-1, 12).float()

    with pytest.raises(ArgumentError, match="feature: cannot determine the number of features .*wants another shape"):
        FrechetDistance(_Raising())
    metric = KernelDistance(Narrow(), subsets=None)  # keeps rows, and needs no width before it has some
    metric.update(torch.rand(5, 12), real=True)
    metric.update(torch.rand(4, 12), real=False)
    assert numbers(metric.compute())[0] == pytest.approx(float(metric.estimate()))


class _Raising(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("wants another shape")
