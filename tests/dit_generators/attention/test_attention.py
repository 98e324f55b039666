"""Every attention engine against a slow reference that loops over queries, with gradients."""

import itertools
import shutil

import pytest
import torch
from torch import Tensor

from dit_generators.attention.choose import choose_attention
from dit_generators.attention.engines.full import full_attention
from dit_generators.attention.engines.naive import naive_attention
from dit_generators.attention.engines.xformers import xformers_attention
from dit_generators.attention.settings import AttentionSettings
from dit_generators.attention.window import WINDOW_ENGINES, window_attention
from dit_generators.common.peak_memory import peak_bytes
from dit_generators.errors import ArgumentError, AttentionError

ENGINES = ("auto", "masked", "halo", "gather")
GRIDS = [(8, 8), (7, 5), (5, 13), (9, 9), (16, 12), (1, 11)]


def inputs(
    grid: tuple[int, int], *, batch: int = 2, heads: int = 3, width: int = 8, dtype=torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(grid[0] * 100 + grid[1])
    shape = (3, batch, heads, grid[0] * grid[1], width)
    return list(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).unbind())


def seen_along(position: int, length: int, window: int, border: str, dilation: int) -> list[int]:
    """Positions along one axis, written as in the definition: the neighbours in the same residue class."""
    group = list(range(position % dilation, length, dilation))
    place, half = group.index(position), window // 2
    if border == "shift":
        place = min(max(place, half), len(group) - 1 - half)
    return [group[i] for i in range(place - half, place + half + 1) if 0 <= i < len(group)]


def reference(q: Tensor, k: Tensor, v: Tensor, grid, window, border: str, dilation: int = 1) -> Tensor:
    """One query after another."""
    (rows, columns), (tall, wide) = grid, window
    out = []
    for row, column in itertools.product(range(rows), range(columns)):
        seen_rows = seen_along(row, rows, tall, border, dilation)
        seen_columns = seen_along(column, columns, wide, border, dilation)
        keys = [r * columns + c for r in seen_rows for c in seen_columns]
        query = q[:, :, row * columns + column]
        weights = (torch.einsum("bhd,bhkd->bhk", query, k[:, :, keys]) / q.shape[-1] ** 0.5).softmax(-1)
        out.append(torch.einsum("bhk,bhkd->bhd", weights, v[:, :, keys]))
    return torch.stack(out, dim=2)


def value_and_gradients(function, tensors: list[Tensor]) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in tensors]
    out = function(*leaves)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)]


def cases():
    for grid, window, border, dilation in itertools.product(GRIDS, (1, 3, 5, 7), ("shift", "truncate"), (1, 2, 3)):
        sizes = tuple(min(window, length if length % 2 else length - 1) for length in grid)
        if border == "shift" and any(s > length // dilation for s, length in zip(sizes, grid, strict=True)):
            continue
        if dilation <= min(grid):
            yield grid, sizes, border, dilation


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("grid", "window", "border", "dilation"), list(cases()))
def test_window_engines_equal_the_reference_with_gradients(engine, grid, window, border, dilation) -> None:
    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return window_attention(q, k, v, grid=grid, window=window, border=border, dilation=dilation, engine=engine)

    tensors = inputs(grid)
    expected = value_and_gradients(lambda q, k, v: reference(q, k, v, grid, window, border, dilation), tensors)
    for actual, wanted in zip(value_and_gradients(ours, tensors), expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)], ids=str
)
def test_window_engines_in_other_types(engine, dtype, limit) -> None:
    grid = (16, 18)
    tensors = inputs(grid, dtype=dtype)
    expected = reference(*(x.double() for x in tensors), grid, (5, 5), "shift")
    out = window_attention(*tensors, grid=grid, window=5, engine=engine)
    assert out.dtype == dtype
    assert float((out.double() - expected).abs().max() / expected.abs().max()) < limit


@pytest.mark.parametrize("border", ["shift", "truncate"])
@pytest.mark.parametrize("grid", [(24, 20), (33, 31)])
def test_large_windows_across_several_tiles(grid, border) -> None:
    tensors = inputs(grid, batch=1, heads=2)
    for window in (9, 15, 19):
        expected = window_attention(*tensors, grid=grid, window=window, border=border, engine="masked")
        out = window_attention(*tensors, grid=grid, window=window, border=border, engine="halo")
        torch.testing.assert_close(out, expected, rtol=1e-11, atol=1e-12)


def test_a_window_over_the_whole_grid_is_full_attention() -> None:
    for grid, window, border in [((7, 9), (7, 9), "shift"), ((8, 8), 15, "truncate"), ((3, 3), 99, "truncate")]:
        tensors = inputs(grid)
        for engine in ENGINES:
            out = window_attention(*tensors, grid=grid, window=window, border=border, engine=engine)
            torch.testing.assert_close(out, naive_attention(*tensors), rtol=1e-11, atol=1e-12)


def test_a_window_of_one_token_returns_the_values() -> None:
    tensors = inputs((6, 6))
    torch.testing.assert_close(window_attention(*tensors, grid=6, window=1), tensors[2], rtol=1e-13, atol=0)


def test_borders_differ_at_edges_and_agree_inside() -> None:
    tensors = inputs((9, 9))
    shift, truncate = (
        window_attention(*tensors, grid=9, window=3, border=border).unflatten(2, (9, 9))
        for border in ("shift", "truncate")
    )
    torch.testing.assert_close(shift[:, :, 1:-1, 1:-1], truncate[:, :, 1:-1, 1:-1], rtol=1e-11, atol=1e-12)
    assert float((shift - truncate)[:, :, 0].abs().max()) > 1e-3


def test_full_equals_naive_with_gradients() -> None:
    tensors = inputs((7, 5))
    pairs = zip(
        value_and_gradients(full_attention, tensors), value_and_gradients(naive_attention, tensors), strict=True
    )
    for actual, wanted in pairs:
        torch.testing.assert_close(actual, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("engine", ["auto", "masked", "halo"])
def test_a_row_does_not_depend_on_the_batch_around_it(engine) -> None:
    tensors = inputs((16, 16), batch=7, heads=4, width=16, dtype=torch.float32)
    whole = window_attention(*tensors, grid=16, window=3, engine=engine)
    for i in range(7):
        alone = window_attention(*(x[i : i + 1] for x in tensors), grid=16, window=3, engine=engine)
        assert torch.equal(alone, whole[i : i + 1])


def test_memory_grows_linearly_with_tokens() -> None:
    def peak(grid: int) -> int:
        tensors = inputs((grid, grid), batch=1, heads=2, width=16, dtype=torch.float32)
        window_attention(*tensors, grid=grid, window=3)  # masks are made once
        return peak_bytes(lambda: window_attention(*tensors, grid=grid, window=3), torch.device("cpu"))

    small, large = peak(32), peak(64)
    assert large <= 4.5 * small
    assert large < 64**4  # bytes of one boolean N x N mask


def test_cached_masks_made_in_inference_mode_serve_training_later() -> None:
    tensors = inputs((11, 6), dtype=torch.float32)
    for engine in ("masked", "halo", "gather"):
        with torch.inference_mode():
            window_attention(*(x.clone() for x in tensors), grid=(11, 6), window=3, engine=engine)
        value, *gradients = value_and_gradients(
            lambda q, k, v, engine=engine: window_attention(q, k, v, grid=(11, 6), window=3, engine=engine), tensors
        )
        assert all(torch.isfinite(g).all() for g in [value, *gradients])


def test_flex_without_a_compiler_says_so(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AttentionError, match="no C\\+\\+ compiler; install g"):
        window_attention(*inputs((8, 8)), grid=8, window=3, engine="flex")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="FlexAttention needs a C++ compiler")
def test_flex_equals_the_others_and_says_that_it_has_no_gradient_on_a_cpu() -> None:
    from torch._dynamo.utils import counters

    tensors = inputs((16, 16), width=16, dtype=torch.float32)
    expected = window_attention(*tensors, grid=16, window=5, border="truncate", engine="masked")
    with torch.no_grad():
        out = window_attention(*tensors, grid=16, window=5, border="truncate", engine="flex")
        compiled = counters["stats"]["unique_graphs"]
        more = torch.stack(tensors).repeat(1, 3, 1, 1, 1)  # one tensor with three views, as before
        window_attention(*more.unbind(), grid=16, window=5, border="truncate", engine="flex")
    assert counters["stats"]["unique_graphs"] == compiled
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    leaves = [x.requires_grad_() for x in tensors]
    with pytest.raises(AttentionError, match="no gradient on a CPU"):
        window_attention(*leaves, grid=16, window=5, engine="flex")


@pytest.mark.filterwarnings("ignore")  # NATTEN's slow fallback calls deprecated functions
@pytest.mark.parametrize("dilation", [1, 2])
def test_shift_is_nattens_border(dilation) -> None:
    natten = pytest.importorskip("natten", reason="compares with NATTEN where it is installed")
    grid = (12, 10)
    tensors = inputs(grid, width=32, dtype=torch.float32)
    layout = [x.transpose(1, 2).unflatten(1, grid).contiguous() for x in tensors]
    expected = natten.na2d(*layout, kernel_size=5, dilation=dilation).flatten(1, 2).transpose(1, 2)
    out = window_attention(*tensors, grid=grid, window=5, border="shift", dilation=dilation)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU says")
def test_xformers_without_a_gpu_says_why_and_what_to_use() -> None:
    with pytest.raises(AttentionError, match=r"CUDA GPUs only and this runs on cpu; use attention full"):
        xformers_attention(*inputs((4, 4), dtype=torch.float32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="xformers has CUDA kernels only")
def test_xformers_equals_full() -> None:
    pytest.importorskip("xformers")
    tensors = [x.cuda() for x in inputs((8, 8), width=64, dtype=torch.float16)]
    torch.testing.assert_close(xformers_attention(*tensors), full_attention(*tensors), rtol=1e-2, atol=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("engine", ["auto", "masked", "halo", "gather", "flex"])
def test_window_engines_on_a_gpu(engine) -> None:
    tensors = inputs((32, 32), width=64, dtype=torch.float32)
    expected = window_attention(*tensors, grid=32, window=7, engine="masked")
    with torch.no_grad():
        out = window_attention(*(x.cuda() for x in tensors), grid=32, window=7, engine=engine).cpu()
    torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-3)


def test_pattern_repeats_over_the_layers() -> None:
    settings = AttentionSettings("swa*3,full")
    assert settings.layers(6) == ["swa", "swa", "swa", "full", "swa", "swa"]
    assert AttentionSettings("swa:halo, naive").layers(3) == ["swa:halo", "naive", "swa:halo"]


def test_equal_meanings_of_different_engines() -> None:
    full, naive = AttentionSettings("full"), AttentionSettings("naive", window=7)
    assert full.meaning(4) == naive.meaning(4)
    assert AttentionSettings("swa").meaning(4) == AttentionSettings("swa:halo").meaning(4)
    assert AttentionSettings("swa", window=5).meaning(4) != AttentionSettings("swa").meaning(4)
    assert AttentionSettings("swa*3,full").meaning(4) != AttentionSettings("swa").meaning(4)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "flash",
        "swa*",
        "swa*0",
        "full:halo",
        "swa:fast",
        "swa:gather",
        "swa:flex",
        "swa,,full",
        "swa*3 full*x",
        "auto,full",
    ],
)
def test_a_wrong_pattern_is_an_error_that_names_the_kinds(pattern) -> None:
    with pytest.raises(ArgumentError, match=r"expected .*masked|expected naive, full, xformers, swa"):
        AttentionSettings(pattern).check(4, (8, 8))


def test_auto_keeps_the_meaning_and_says_what_it_chose() -> None:
    settings = AttentionSettings("swa*3,naive", window=5, border="truncate")
    choice = choose_attention(settings, 4, (8, 8), (2, 3, 64, 16), torch.zeros(1))
    assert choice.settings.meaning(4) == settings.meaning(4)
    assert set(choice.seconds) == {"swa", "full"}
    fastest = min(choice.seconds["full"], key=lambda name: choice.seconds["full"][name])
    assert f"full by {fastest} (" in str(choice)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 4}, "expected odd numbers of 1 or more, got 4 x 4"),
        ({"window": 0}, "odd numbers"),
        ({"window": 9}, "window of 9 x 9 with dilation 1 does not fit the grid of 8 x 8"),
        ({"dilation": 3}, "window of 3 x 3 with dilation 3 does not fit"),
        ({"dilation": 0}, "dilation: expected 1 or more"),
        ({"border": "wrap"}, "expected shift or truncate, got 'wrap'"),
        ({"grid": (8, 7)}, r"\(B, heads, 56, head_dim\) for a grid of 8 x 7"),
        ({"engine": "fast"}, "window engine 'fast': expected auto, masked"),
    ],
)
def test_wrong_arguments(changes, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        window_attention(*inputs((8, 8)), **{"grid": 8, "window": 3, **changes})


def test_every_engine_is_tested() -> None:
    assert set(WINDOW_ENGINES) == {"masked", "halo", "gather", "flex", "natten"}
