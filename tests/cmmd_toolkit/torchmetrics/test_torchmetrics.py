"""The torchmetrics classes: the numbers of `compare`, whatever the batches, the processes and the parent module do."""

import importlib
import pickle
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from metric_inputs import Identity, Pooled, exact, filled, pictures, rows, unit
from pictures import gaussian
from torch import nn

from cmmd_toolkit import ArgumentError, compare, frechet_distance, squared_mmd

pytest.importorskip("torchmetrics")

from torchmetrics import MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance

from cmmd_toolkit.torchmetrics import (
    CMMD,
    FrechetDistance,
    base,
    registered,
)

# ---- values ---------------------------------------------------------------------------------------


def test_values_are_those_of_compare_on_the_same_images() -> None:
    real, fake = pictures(45, 0), pictures(40, 1)
    report = compare(real, fake, backbone="mini")
    metrics = MetricCollection({"fd": FrechetDistance(backbone="mini"), "mmd": CMMD(backbone="mini")})
    values = filled(metrics, real, fake).compute()
    assert float(metrics["fd"].estimate()) == pytest.approx(report.value("fd"), rel=1e-9)
    assert float(metrics["mmd"].estimate()) == report.value("mmd")
    for name, value in values.items():
        assert (value.dtype, value.shape) == (torch.get_default_dtype(), ())
        assert float(value) == pytest.approx(report.value(name), rel=1e-6)


def test_inception_layers_and_recipes_are_those_of_compare(inception_weights: Path, clip_folder: Path) -> None:
    real, fake = pictures(6, 0), pictures(5, 1)
    layer = filled(FrechetDistance(feature=64, weights=inception_weights, recipe="torchmetrics"), real, fake)
    expected = compare(real, fake, dims=64, weights=inception_weights, recipe="torchmetrics").value("fd")
    assert exact(layer) == pytest.approx(expected, rel=1e-9)
    released = filled(CMMD(weights=clip_folder, recipe="google-cmmd"), real, fake)
    expected = compare(real, fake, weights=clip_folder, recipe="google-cmmd").value("mmd")
    assert exact(released) == pytest.approx(expected, rel=1e-12)
    parameters = released.estimate().parameters
    assert (parameters["scale"], parameters["bandwidth"], parameters["estimator"]) == (1000.0, 10.0, "biased")


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_values_do_not_depend_on_the_batches(batch: int) -> None:
    real, fake = rows(101, 0, shift=1000), rows(90, 1, shift=1000, scale=2)
    distance = exact(filled(FrechetDistance(Identity()), real, fake, batch))
    assert distance == pytest.approx(float(frechet_distance(reference=real, generated=fake)), rel=1e-9)
    mmd = exact(filled(CMMD(Identity(), bandwidth=0.01), real, fake, batch))
    expected = squared_mmd(reference=unit(real), generated=unit(fake), bandwidth=0.01)
    assert mmd == pytest.approx(float(expected), rel=1e-12)


def test_fewer_images_than_dimensions_are_no_special_case() -> None:
    real, fake = gaussian(9, 40, seed=0), gaussian(7, 40, seed=1)
    metric = filled(FrechetDistance(Identity(40)), torch.from_numpy(real), torch.from_numpy(fake), 2)
    assert exact(metric) == pytest.approx(float(frechet_distance(reference=real, generated=fake)), rel=1e-9)
    assert any("singular" in caveat for caveat in metric.estimate().caveats)


def test_torchmetrics_own_class_agrees_to_its_precision() -> None:
    real, fake = rows(200, 0).float(), rows(150, 1, shift=0.3, scale=1.5).float()
    peer = filled(FrechetInceptionDistance(Identity()), real, fake, 32)
    assert float(filled(FrechetDistance(Identity()), real, fake, 32).compute()) == pytest.approx(
        float(peer.compute()), rel=1e-6
    )


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    real, fake = rows(200, 0, shift=1e4), rows(150, 1, shift=1e4 + 0.3)
    expected = float(frechet_distance(reference=real, generated=fake))
    own = exact(filled(FrechetDistance(Identity()), real, fake, 16))
    peer = filled(FrechetInceptionDistance(Identity()), real, fake, 16)
    peer.orig_dtype = torch.float64
    assert abs(own / expected - 1) < 1e-9 < abs(float(peer.compute()) / expected - 1)


def test_floats_in_0_1_are_their_8_bit_selves() -> None:
    real, fake = pictures(9, 0), pictures(8, 1)
    for recipe in (None, "default"):
        eight = filled(FrechetDistance(backbone="mini", recipe=recipe), real, fake).compute()
        floats = FrechetDistance(backbone="mini", recipe=recipe, normalize=True)
        assert torch.equal(filled(floats, real / 255, fake / 255).compute(), eight)
    half = torch.tensor([0.6 / 255])
    assert (int(registered._quantised(half, truncate=False)), int(registered._quantised(half, truncate=True))) == (1, 0)


def test_an_estimate_says_what_the_number_is() -> None:
    metric = filled(CMMD(backbone="mini"), pictures(30, 0), pictures(25, 1))
    estimate = metric.estimate()
    assert torch.tensor(float(estimate)).float() == metric.compute()
    assert (estimate.n_reference, estimate.n_generated) == (30, 25)
    assert estimate.parameters["estimator"] == "unbiased"
    assert estimate.parameters["bandwidth_rule"] == "median"
    assert any("not comparable with published" in caveat for caveat in estimate.caveats)


# ---- state ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_a_plot_shows_the_value(cls: Any) -> None:
    metric = filled(cls(Identity()), rows(30, 0), rows(20, 1))
    figure, axes = metric.plot()
    assert axes.lines[0].get_ydata()[0] == pytest.approx(float(metric.compute()))
    assert (metric.higher_is_better, metric.is_differentiable, metric.full_state_update) == (False, False, False)
    plt.close(figure)


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_reset_drops_or_keeps_the_real_side(cls: Any) -> None:
    real, fake, other = rows(30, 0), rows(20, 1), rows(25, 2)
    expected = filled(cls(Identity()), real, other).compute()
    keeping = filled(cls(Identity(), reset_real_features=False), real, fake, 8)
    keeping.compute()
    keeping.reset()
    keeping.update(other, real=False)
    assert torch.allclose(keeping.compute(), expected, rtol=1e-12)
    assert keeping.estimate().n_generated == 25
    dropping = filled(cls(Identity()), real, fake)
    dropping.reset()
    dropping.update(other, real=False)
    with pytest.raises(ArgumentError, match="got 0 real and 25 fake"):
        dropping.compute()


def test_memory_does_not_grow_with_the_images() -> None:
    metric = FrechetDistance(Identity())
    for seed in range(5):
        metric.update(rows(50, seed), real=True)
    assert metric.real_moments.shape == (7, 7)
    assert sum(state.numel() for state in metric.metric_state.values()) == 2 * 49


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_two_metrics_merge_into_one(cls: Any) -> None:
    real, fake = rows(30, 0), rows(20, 1)
    whole = filled(cls(Identity()), real, fake).compute()
    first, second = filled(cls(Identity()), real[:13], fake[:2]), filled(cls(Identity()), real[13:], fake[2:])
    first.compute()
    first.merge_state(second)
    assert torch.allclose(first.compute(), whole, rtol=1e-9)


def test_metrics_with_equal_states_may_share_them() -> None:
    real, fake = rows(30, 0), rows(20, 1)
    widths = {"narrow": 0.5, "wide": 2.0}
    metrics = MetricCollection(
        {name: CMMD(Identity(), bandwidth=width, reset_real_features=False) for name, width in widths.items()}
    )
    for epoch in range(3):
        for part in real.split(8) if epoch == 0 else ():
            metrics.update(part, real=True)
        for part in fake.split(8):
            metrics.update(part, real=False)
        for name, value in metrics.compute().items():
            alone = filled(CMMD(Identity(), bandwidth=widths[name]), real, fake)
            assert float(value) == pytest.approx(float(alone.compute()), rel=1e-12)
        assert len(metrics.compute_groups) == 1
        metrics.reset()


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_pickle_clone_and_state_dict_carry_the_images_and_no_weights(cls: Any) -> None:
    metric = filled(cls(backbone="mini"), pictures(9, 0), pictures(8, 1))
    stored = pickle.dumps(metric)
    assert len(stored) < 4 * 257 * 257 * 8 + 50_000  # states and defaults; the weights would be 5 MB more
    for copy in (pickle.loads(stored), metric.clone()):
        copy.update(pictures(3, 5), real=False)
        assert copy.estimate().n_generated == 11
    assert metric.estimate().n_generated == 8
    assert not metric.state_dict()
    metric.persistent(True)
    fresh = cls(backbone="mini")
    fresh.persistent(True)
    fresh.load_state_dict(metric.state_dict())
    fresh.update(pictures(3, 5), real=False)
    metric.update(pictures(3, 5), real=False)
    assert torch.equal(fresh.compute(), metric.compute())


def test_states_stay_where_float64_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "NO_FLOAT64", ("meta",))  # stands for MPS, which few machines have
    distance = filled(FrechetDistance(Identity()), rows(9, 0), rows(8, 1)).to("meta")
    assert {state.device.type for state in distance.metric_state.values()} == {"cpu"}
    assert distance.real_moments.dtype == torch.float64
    assert distance.compute().dtype == torch.float32
    distance.reset()
    assert distance.fake_moments.device.type == "cpu"


# ---- inside a training module ----------------------------------------------------------------------


class Training(nn.Module):
    """What a Lightning module is to its metrics: a parent that moves, casts, trains and saves its children."""

    def __init__(self, metric: nn.Module) -> None:
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.metric = metric


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_a_parent_neither_trains_nor_casts_nor_saves_the_network(cls: Any) -> None:
    real, fake = pictures(9, 0), pictures(8, 1)
    for options in ({"backbone": "mini"}, {"feature": Pooled()}):
        expected = filled(cls(**options).eval(), real, fake).compute()
        parent = Training(cls(**options)).train().double().half().bfloat16().cpu()
        assert len(list(parent.parameters())) == 2
        assert set(parent.state_dict()) == {"generator.weight", "generator.bias"}
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(filled(parent.metric, real, fake).compute(), expected)
        assert not parent.metric.compute().requires_grad


def test_a_module_is_copied_and_left_as_it_was() -> None:
    module = Pooled()
    metric = filled(FrechetDistance(module), pictures(9, 0), pictures(8, 1))
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    before = metric.compute()
    nn.init.zeros_(module.layer.weight)
    metric.reset()
    assert torch.equal(filled(metric, pictures(9, 0), pictures(8, 1)).compute(), before)


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_updates_inside_and_outside_inference_mode_mix(cls: Any) -> None:
    real, fake = rows(30, 0), rows(20, 1)
    expected = filled(cls(Identity()), real, fake).compute()
    metric = cls(Identity())
    with torch.inference_mode():
        metric.reset()
        metric.update(real[:10], real=True)
        metric.update(fake[:10], real=False)
    metric.update(real[10:], real=True)
    with torch.inference_mode():
        metric.update(fake[10:], real=False)
        assert torch.allclose(metric.compute(), expected, rtol=1e-9)


# ---- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("normalize", "images", "message"),
    [
        (False, torch.rand(2, 3, 8, 8), "expected a uint8 tensor .* got float32 of shape .* normalize=True"),
        (True, pictures(2, 0), "expected a float tensor .* got uint8 of shape .* normalize=False"),
        (False, pictures(2, 0).int(), "got int32"),
        (False, pictures(2, 0)[:, :1], r"got uint8 of shape \(2, 1, 35, 36\); grey ones"),
        (False, pictures(2, 0)[0], r"got uint8 of shape \(3, 35, 36\)"),
        (False, pictures(2, 0)[:0], r"got uint8 of shape \(0, 3, 35, 36\)"),
        (False, np.zeros((2, 3, 8, 8), np.uint8), "got ndarray"),
        (True, torch.full((2, 3, 8, 8), -0.5), r"got -0.5 to -0.5; clamp them, or rescale -1..1"),
        (True, torch.full((2, 3, 8, 8), 255.0), "got 255 to 255"),
        (True, torch.full((2, 3, 8, 8), torch.nan), "got nan to nan"),
    ],
)
def test_wrong_images_are_refused_in_words(normalize: bool, images: Any, message: str) -> None:
    metric = FrechetDistance(backbone="mini", normalize=normalize)
    with pytest.raises(ArgumentError, match=message):
        metric.update(images, real=True)
    assert not metric.real_moments.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": "inception"}, "expected 64, 192, 768, 2048 or an nn.Module, got 'inception'"),
        ({"feature": True}, "got True"),
        ({"feature": 64, "dims": 192}, "feature and dims: expected one of them"),
        ({"feature": 64, "backbone": "mini"}, "only inception has a choice of dimensions"),
        ({"feature": Identity(), "backbone": "mini"}, "expected a module alone, got backbone too"),
        ({"feature": Identity(), "recipe": "clean-fid"}, "expected a module alone, got recipe too"),
        ({"recipe": "google-cmmd"}, "does not define fd; it computes mmd"),
        ({"recipe": "clean-fid", "backbone": "mini"}, "is defined on inception, not on mini"),
        ({"recipe": "clean-fid", "preprocessing": "pytorch-fid"}, "fixes the preprocessing"),
        ({"recipe": "clean"}, "did you mean clean-fid"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        FrechetDistance(**options)


@pytest.mark.parametrize("cls", [FrechetDistance, CMMD])
def test_what_has_no_distance_is_refused(cls: Any) -> None:
    metric = cls(Identity())
    metric.update(rows(1, 0), real=True)
    with pytest.raises(ArgumentError, match="at least two images per side, got 1 real and 0 fake"):
        metric.compute()
    with pytest.raises(ArgumentError, match="real: expected True or False for the whole batch, got 'fake'"):
        metric.update(rows(5, 0), real="fake")
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        metric.update(torch.full((2, 6), torch.inf), real=True)
    with pytest.raises(ArgumentError, match=r"expected \(2, 6\) features of 2 images, got \(2, 5\)"):
        metric.update(rows(2, 0)[:, :5], real=True)
    with pytest.raises(ArgumentError, match=r"a module that returns \(N, D\), got float64 of shape"):
        metric.update(rows(2, 0)[None], real=True)
    with pytest.raises(ArgumentError, match="bandwidth: expected a finite number > 0"):
        CMMD(Identity(), bandwidth=0)


def test_without_torchmetrics_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cmmd_toolkit.torchmetrics")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ImportError, match=r"pip install 'cmmd-toolkit\[torchmetrics\]'") as caught:
        importlib.import_module("cmmd_toolkit.torchmetrics")
    assert "\n" not in str(caught.value)
