"""The layers of SiT, REPA and LightningDiT: a slow formula of the whole network, and timm's layers, give the same."""

from typing import Any

import numpy as np
import pytest
import torch
from dit_models import random_model
from slow_dit import rotated, slow_forward
from timm.layers import RmsNorm, SwiGLU as TimmSwiGLU, apply_rot_embed_cat
from timm.models.vision_transformer import Attention as TimmAttention

from dit_generators.attention.engines.full import full_attention
from dit_generators.attention.neighbours import Window
from dit_generators.errors import ArgumentError
from dit_generators.network.config import DiTConfig
from dit_generators.network.layers import SelfAttention, SwiGLU
from dit_generators.network.model import DiT
from dit_generators.network.multiply_adds import multiply_adds
from dit_generators.network.rotary import RotaryPositions

LIGHTNING: dict[str, Any] = {"norm": "rms", "feed_forward": "swiglu", "rotary": True, "learn_sigma": False}
VARIANTS: dict[str, dict[str, Any]] = {
    "dit": {},
    "repa": {"qk_norm": True, "learn_sigma": False},
    "lightningdit": LIGHTNING,
    "all": {**LIGHTNING, "qk_norm": True, "modulation_shift": False},
    "rope": {"rotary": True, "modulation_shift": False},
}


def model_of(**fields: Any) -> DiT:
    return random_model(
        **{"num_classes": 3, "input_size": 10, "hidden_size": 48, "num_heads": 3, "mlp_ratio": 8 / 3, **fields}
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_the_network_is_its_slow_formula(name: str) -> None:
    model, x = model_of(**VARIANTS[name]), torch.randn(2, 3, 10, 10)
    with torch.no_grad():
        out = model(x, torch.tensor([0.3, 0.3]), torch.tensor([1, 3]))
    for row, label in enumerate((1, 3)):
        expected = slow_forward(model.state_dict(), x[row].double().numpy(), 0.3, label, 3)
        np.testing.assert_allclose(out[row].numpy(), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["repa", "lightningdit", "all"])
@pytest.mark.parametrize("engine", ["swa", "swa:masked", "swa:halo"])
@pytest.mark.parametrize("border", ["shift", "truncate"])
def test_every_window_engine_sees_the_turned_and_normalised_queries(name: str, engine: str, border: Any) -> None:
    model, x = model_of(**VARIANTS[name]), torch.randn(1, 3, 10, 10)
    with pytest.warns(UserWarning, match="runs with swa"):
        model.set_attention(engine, window=3, border=border)
    with torch.no_grad():
        out = model(x, torch.tensor([0.7]), torch.tensor([2]))
    mask = Window((5, 5), (3, 3), border).mask().numpy()
    expected = slow_forward(model.state_dict(), x[0].double().numpy(), 0.7, 2, 3, mask)
    np.testing.assert_allclose(out[0].numpy(), expected, rtol=1e-3, atol=2e-5)


def test_turning_is_a_product_of_complex_numbers_and_scores_depend_on_distance_alone() -> None:
    positions, x = RotaryPositions(16, (4, 6)), torch.randn(2, 3, 24, 16)
    turned = positions(x)
    for n in (0, 5, 6, 23):
        expected = rotated(x[1, 2, n].double().numpy(), *divmod(n, 6))
        np.testing.assert_allclose(turned[1, 2, n].numpy(), expected, atol=1e-5)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    same = positions(x[:, :, :1].expand(-1, -1, 24, -1))
    scores = same @ same.transpose(-1, -2)
    at = lambda row, column: 6 * row + column  # noqa: E731
    torch.testing.assert_close(scores[..., at(0, 1), at(2, 4)], scores[..., at(1, 0), at(3, 3)], rtol=1e-3, atol=1e-3)


def test_turning_is_timms() -> None:
    positions, x = RotaryPositions(24, (3, 3)), torch.randn(1, 2, 9, 24)
    tables = torch.cat([positions.freqs_sin, positions.freqs_cos], dim=-1)
    torch.testing.assert_close(positions(x), apply_rot_embed_cat(x, tables))


def test_swiglu_is_timms() -> None:
    ours, theirs = SwiGLU(12, 20), TimmSwiGLU(12, 20, 12)
    with torch.no_grad():
        theirs.fc1_g.weight.copy_(ours.w12.weight[:20])
        theirs.fc1_g.bias.copy_(ours.w12.bias[:20])
        theirs.fc1_x.weight.copy_(ours.w12.weight[20:])
        theirs.fc1_x.bias.copy_(ours.w12.bias[20:])
        theirs.fc2.load_state_dict(ours.w3.state_dict())
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_normalised_queries_are_timms(norm: Any) -> None:
    """REPA's blocks are timm's attention."""
    config = DiTConfig(input_size=8, hidden_size=32, num_heads=2, depth=1, qk_norm=True, norm=norm)
    ours = SelfAttention(config)
    kind = torch.nn.LayerNorm if norm == "layer" else RmsNorm
    theirs = TimmAttention(32, num_heads=2, qkv_bias=True, qk_norm=True, norm_layer=kind)
    with torch.no_grad():
        for weight in ours.parameters():
            weight.copy_(torch.randn_like(weight))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 16, 32)
    torch.testing.assert_close(ours(x, full_attention), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_new_network_gives_zero_and_learns(name: str) -> None:
    fields = {"input_size": 8, "in_channels": 3, "hidden_size": 32, "depth": 2, "num_heads": 2, "num_classes": 0}
    model = DiT(DiTConfig(**fields, **VARIANTS[name]))
    out = model(torch.randn(2, 3, 8, 8), torch.tensor([0.1, 0.9]))
    assert not out.any()
    (out - 1).square().mean().backward()
    assert model.final_layer.linear.weight.grad is not None
    assert model.final_layer.linear.weight.grad.abs().sum() > 0


def test_gradients_are_those_of_the_plain_pass_when_recomputed_and_bf16_runs() -> None:
    model = model_of(**VARIANTS["all"])
    x, t, y = torch.randn(2, 3, 10, 10), torch.tensor([0.2, 0.8]), torch.tensor([0, 1])
    found = []
    for recompute in (False, True):
        model.zero_grad()
        model(x, t, y, recompute=recompute).square().sum().backward()
        found.append([weight.grad.clone() for weight in model.parameters() if weight.requires_grad])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(x, t, y).float()
        windowed = model(x, t, y, attention=model.attention_functions(model.config.attention_settings)).float()
    with torch.no_grad():
        exact = model(x, t, y)
    assert float((rounded - exact).abs().max()) < 0.05 * float(exact.abs().max())
    torch.testing.assert_close(windowed, rounded)


def test_presets_are_the_published_shapes() -> None:
    """Sizes of models/lightningdit.py; 675 million weights without the label table is the paper's XL/1."""
    config = DiTConfig.preset("LightningDiT-XL/1")
    assert (config.depth, config.hidden_size, config.num_heads, config.inner_size) == (28, 1152, 16, 3072)
    assert DiTConfig.preset("LightningDiT-L/2").inner_size == 2730
    assert DiTConfig.preset("LightningDiT-1p6B/1").num_heads == 28
    with torch.device("meta"):
        model = DiT(config)
    weights = sum(weight.numel() for weight in model.parameters())
    assert 670e6 < weights < 680e6
    for name in ("LightningDiT-XL/4", "LightningDiT-XS/2", "LightningDiT-"):
        with pytest.raises(ArgumentError, match="no such preset; expected one of LightningDiT-S/1"):
            DiTConfig.preset(name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"norm": "batch"}, "norm: expected one of layer, rms, got 'batch'"),
        ({"feed_forward": "relu"}, "feed_forward: expected one of gelu, swiglu"),
        (
            {"rotary": True, "hidden_size": 36, "num_heads": 6},
            "rotary: expected heads of a multiple of 4 channels",
        ),
    ],
)
def test_layers_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        DiTConfig(**fields)


def test_multiply_adds_count_the_third_layer_and_the_missing_shifts() -> None:
    base: dict[str, Any] = {"input_size": 8, "in_channels": 3, "hidden_size": 32, "depth": 3, "num_heads": 2}
    plain, gated = DiTConfig(**base), DiTConfig(**base, feed_forward="swiglu")
    assert multiply_adds(gated) - multiply_adds(plain) == 3 * 16 * 32 * 128
    assert multiply_adds(plain) - multiply_adds(DiTConfig(**base, modulation_shift=False)) == 3 * 2 * 32**2


def test_weights_in_bf16_give_nearly_the_same() -> None:
    model = model_of(**VARIANTS["all"])
    x, t, y = torch.randn(2, 3, 10, 10), torch.tensor([0.2, 0.8]), torch.tensor([0, 1])
    with torch.no_grad():
        exact = model(x, t, y)
        rounded = model.to(torch.bfloat16)(x.bfloat16(), t, y)
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - exact).abs().max()) < 0.1 * float(exact.abs().max())
