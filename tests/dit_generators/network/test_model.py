"""The network: shapes, presets, conditioning, what it refuses, and independence of the batch."""

import re

import pytest
import torch
from dit_models import TINY, random_model

from dit_generators.errors import ArgumentError, AttentionChangedWarning, AttentionError
from dit_generators.network.config import SIZES, DiTConfig
from dit_generators.network.model import DiT
from dit_generators.network.multiply_adds import attention_multiply_adds, attention_share, multiply_adds


@pytest.mark.parametrize(
    ("name", "giga"),
    [
        *zip(
            ("S/8", "S/4", "S/2", "B/8", "B/4", "B/2", "L/8", "L/4", "L/2", "XL/8", "XL/4", "XL/2"),
            (0.36, 1.41, 6.06, 1.42, 5.57, 23.0, 5.01, 19.7, 80.7, 7.39, 29.0, 118.6),
            strict=True,
        )
    ],
)
def test_presets_have_the_published_multiply_adds(name: str, giga: float) -> None:
    assert multiply_adds(DiTConfig.preset(f"DiT-{name}")) / 1e9 == pytest.approx(giga, rel=6e-3)


def test_xl_2_has_the_published_number_of_parameters_and_head_sizes() -> None:
    with torch.device("meta"):
        model = DiT(DiTConfig.preset("XL/2"))
    assert sum(p.numel() for p in model.parameters()) == 675_129_632  # pos_embed included
    assert {size: DiTConfig.preset(f"{size}/2").head_dim for size in SIZES} == {"S": 64, "B": 64, "L": 64, "XL": 72}
    assert {DiTConfig.preset(f"S/{patch}").num_tokens for patch in (2, 4, 8)} == {256, 64, 16}


def test_attention_share_is_what_the_arithmetic_says() -> None:
    assert attention_share(DiTConfig.preset("XL/4")) == pytest.approx(0.0091, abs=5e-5)
    assert attention_share(DiTConfig.preset("XL/2", input_size=128)) == pytest.approx(0.37, abs=5e-3)
    windowed = DiTConfig.preset("B/2", attention="swa*3,full")
    tokens, width = 256, 768
    assert attention_multiply_adds(windowed) == 2 * tokens * width * (9 * 9 + 3 * tokens)


def test_an_unconditional_model_has_no_label_table_and_takes_no_labels() -> None:
    model = random_model(num_classes=0)
    assert not [name for name in model.state_dict() if name.startswith("y_embedder")]
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([1, 2])
    assert model(x, t).shape == (2, 6, 8, 8)
    with pytest.raises(ArgumentError, match="unconditional; leave the labels out"):
        model(x, t, torch.tensor([0, 0]))


def test_without_labels_a_conditional_model_uses_the_null_label() -> None:
    model = random_model(num_classes=5)
    x, t = torch.randn(3, 3, 8, 8), torch.tensor([1, 2, 3])
    assert torch.equal(model(x, t), model(x, t, torch.full((3,), 5)))
    with pytest.raises(ArgumentError, match="no null label"):
        random_model(num_classes=5, class_dropout_prob=0.0)(x, t)


def test_the_null_label_is_num_classes_for_any_number_of_classes() -> None:
    for classes in (1, 2, 7, 1000):
        config = DiTConfig(**TINY, num_classes=classes)
        with torch.device("meta"):
            assert DiT(config).y_embedder.embedding_table.weight.shape[0] == classes + 1
        assert config.null_label == classes


@pytest.mark.parametrize("learn_sigma", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_output_channels(channels: int, learn_sigma: bool) -> None:
    model = random_model(in_channels=channels, learn_sigma=learn_sigma)
    out = model(torch.randn(2, channels, 8, 8), torch.tensor([5, 6]))
    assert out.shape == (2, channels * (2 if learn_sigma else 1), 8, 8)


def test_a_new_model_predicts_zero_and_its_blocks_are_the_identity() -> None:
    model = DiT(DiTConfig(**TINY, num_classes=3, input_size=8)).eval()
    x, t, y = torch.randn(2, 4, 8, 8), torch.tensor([1, 9]), torch.tensor([0, 2])
    assert not model(x, t, y).any()
    tokens, c = torch.randn(2, 16, 32), torch.randn(2, 32)
    assert torch.equal(model.blocks[0](tokens, c, model.attention_functions()[0]), tokens)


def test_labels_are_dropped_in_training_at_the_configured_rate() -> None:
    embedder = random_model(num_classes=4, class_dropout_prob=0.3).y_embedder.train()
    torch.manual_seed(0)
    null = embedder.embedding_table.weight[4]
    dropped = (embedder(torch.zeros(20_000, dtype=torch.int64)) == null).all(1).float().mean()
    assert float(dropped) == pytest.approx(0.3, abs=0.015)
    assert not (embedder.eval()(torch.zeros(50, dtype=torch.int64)) == null).all(1).any()


@pytest.mark.parametrize("attention", ["naive", "full", "swa", "swa*1,full"])
def test_an_image_has_the_same_bits_in_every_batch(attention: str) -> None:
    model = random_model(num_classes=4, input_size=16, attention=attention)
    x, t, y = torch.randn(21, 3, 16, 16), torch.arange(21) * 40, torch.arange(21) % 5
    with torch.no_grad():
        whole = model(x, t, y)
        for size in (1, 2, 3, 7, 15, 20):
            assert torch.equal(model(x[-size:], t[-size:], y[-size:]), whole[-size:])


@pytest.mark.parametrize("kind", ["naive", "full", "swa:masked", "swa:halo", "swa*1,naive"])
def test_engines_are_switched_on_the_same_weights_with_gradients(kind: str) -> None:
    pattern = "swa*1,full" if kind == "swa*1,naive" else "swa" if kind.startswith("swa") else "full"
    model = random_model(attention=pattern, input_size=16, window=5).double()
    x, t = torch.randn(2, 3, 16, 16, dtype=torch.float64), torch.tensor([3, 700])
    out = model(x, t)
    expected = [out, *torch.autograd.grad(out.square().sum(), [p for p in model.parameters() if p.requires_grad])]
    model.set_attention(kind)
    out = model(x, t)
    actual = [out, *torch.autograd.grad(out.square().sum(), [p for p in model.parameters() if p.requires_grad])]
    for ours, wanted in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


def test_another_attention_than_trained_with_works_and_warns() -> None:
    model = random_model(attention="swa", window=3)
    x, t = torch.randn(1, 3, 8, 8), torch.tensor([3])
    before = model(x, t)
    with pytest.warns(AttentionChangedWarning, match=re.escape("trained with attention swa (window 3, shift)")):
        model.set_attention("full")
    assert not torch.allclose(model(x, t), before)
    for changes in ({"border": "truncate"}, {"window": 1}):
        with pytest.warns(AttentionChangedWarning):
            model.set_attention("swa", **changes)
    model.set_attention("swa")
    assert torch.equal(model(x, t), before)


def test_auto_keeps_the_output_and_returns_what_it_measured() -> None:
    model = random_model(attention="swa*1,full")
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([3, 5])
    before = model(x, t)
    choice = model.set_attention("auto", batch_size=2)
    assert choice is not None
    assert set(choice.seconds) == {"swa", "full"}
    torch.testing.assert_close(model(x, t), before, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU says")
def test_xformers_without_a_gpu_is_refused_when_it_is_asked_for() -> None:
    model = random_model()
    with pytest.raises(AttentionError, match="use attention full"):
        model.set_attention("xformers")
    assert model.attention_settings.pattern == "full"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_size": 9}, "input_size: expected a multiple of the patch size 2, got 9"),
        ({"hidden_size": 30}, "hidden_size: expected a multiple of 4, got 30"),
        ({"num_heads": 5}, "num_heads: expected a divisor of `hidden_size`"),
        ({"depth": 0}, "depth: expected a number above 0, got 0"),
        ({"num_classes": -1}, "num_classes: expected 0"),
        ({"class_dropout_prob": 1.5}, "class_dropout_prob: expected 0 to 1"),
        ({"attention": "flash"}, "attention: expected naive, full, xformers, swa, .*got 'flash'"),
        ({"attention": "swa", "window": 9, "input_size": 16}, "window of 9 x 9 with dilation 1 does not fit the grid"),
        ({"attention": "swa", "window_border": "wrap"}, "window_border: expected one of shift, truncate, got 'wrap'"),
    ],
)
def test_a_configuration_that_cannot_be_built(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        DiTConfig(**{**TINY, **fields})


def test_a_configuration_survives_json_and_names_what_is_wrong_in_it() -> None:
    import json

    config = DiTConfig(**TINY, attention="swa*1,full", window=5, window_border="truncate")
    assert DiTConfig.from_dict(json.loads(config.to_json())) == config
    old = {**json.loads(config.to_json()), "attention": "swa:flex*2,full,swa:gather,swa:halo"}
    assert DiTConfig.from_dict(old).attention == "swa*2,full,swa,swa:halo"
    with pytest.raises(ArgumentError, match="no field 'size'"):
        DiTConfig.from_dict({"size": 3})
    with pytest.raises(ArgumentError, match="depth: expected a whole number, got '3'"):
        DiTConfig.from_dict({"depth": "3"})
    with pytest.raises(ArgumentError, match="no such preset; expected one of DiT-S/2"):
        DiTConfig.preset("DiT-XXL/2")


@pytest.mark.parametrize(
    ("shape", "timesteps", "labels", "message"),
    [
        ((2, 3, 8, 9), [1, 2], None, r"x_t: expected \(B, 3, 8, 8\), got \(2, 3, 8, 9\)"),
        ((2, 4, 8, 8), [1, 2], None, "x_t: expected"),
        ((2, 3, 8, 8), [1], None, r"timesteps: expected \(2,\), got \(1,\)"),
        ((2, 3, 8, 8), [1, 2], [0], "class_labels: expected"),
        ((2, 3, 8, 8), [1, 2], [0, 6], "label 6: this model has the classes 0 to 4 \\(5 is the null label\\)"),
        ((2, 3, 8, 8), [1, 2], [-1, 0], "label -1"),
    ],
)
def test_inputs_of_wrong_shape_or_value(shape, timesteps, labels, message) -> None:
    model = random_model(num_classes=5)
    given = None if labels is None else torch.tensor(labels)
    with pytest.raises(ArgumentError, match=message):
        model(torch.zeros(shape), torch.tensor(timesteps), given)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["full", "swa"])
def test_a_compiled_model_gives_the_same_to_rounding(attention: str) -> None:
    model = random_model(attention=attention, input_size=48, num_classes=3)
    x, t, y = torch.randn(2, 3, 48, 48), torch.tensor([5, 900]), torch.tensor([0, 1])
    with torch.no_grad():
        expected = model(x, t, y)
        model.compile()
        torch.testing.assert_close(model(x, t, y), expected, rtol=1e-4, atol=1e-5)
