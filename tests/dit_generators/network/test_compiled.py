"""torch.compile: one graph for all batches, and no operator in it that makes a mask."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from dit_models import random_model
from torch import Tensor, nn

from dit_generators import Guidance
from dit_generators.attention.choose import views_of_qkv
from dit_generators.attention.engines import flex
from dit_generators.attention.window import window_attention
from dit_generators.diffusion.guidance import guided
from dit_generators.network.model import DiT

# What a mask or an index is made of; the sines of the timestep need arange, too.
MAKES_TABLES = {"abs", "clamp", "eq", "invert", "le", "masked_fill_", "setitem", "sort", "sub", "zeros"}
BATCHES = (4, 6, 20, 2, 17)
ATTENTION: list[dict[str, Any]] = [
    {"attention": "full"},
    {"attention": "swa:masked", "rotary": True},
    {"attention": "swa*1,full", "window_dilation": 2},
    {"attention": "swa:halo", "window_dilation": 3, "window": 1},
    {"attention": "swa", "window_border": "truncate", "window": 7},
]


class Graphs(list[torch.fx.GraphModule]):
    """A backend of torch.compile that keeps the graphs and runs them as they are."""

    def __call__(self, graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., Any]:
        self.append(graph)
        return graph.forward

    def operators(self) -> set[str]:
        """Those that give tensors; sizes are numbers."""
        nodes = (node for graph in self for node in graph.graph.nodes)
        tensors = (node for node in nodes if isinstance(node.meta.get("example_value"), Tensor))
        found = {getattr(node.target, "__name__", str(node.target)) for node in tensors}
        assert "add" in found  # else no tensor was seen, and nothing is shown
        return found


@pytest.fixture
def graphs() -> Iterator[Graphs]:
    torch._dynamo.reset()
    yield Graphs()
    torch._dynamo.reset()


def inputs(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 3, 16, 16, generator=generator), torch.arange(batch) * 40, torch.arange(batch) % 5


def compiled(graphs: Graphs, **fields: Any) -> tuple[DiT, DiT]:
    """The same model as it is, and compiled: a break of the graph is an error."""
    plain, model = (random_model(input_size=16, num_classes=5, **fields) for _ in range(2))
    model.compile(backend=graphs, fullgraph=True)
    return plain, model


@pytest.mark.parametrize("fields", ATTENTION, ids=lambda fields: "-".join(map(str, fields.values())))
def test_one_graph_serves_every_batch_and_makes_no_table(graphs: Graphs, fields: dict[str, Any]) -> None:
    plain, model = compiled(graphs, **fields)
    with torch.no_grad():
        for batch in BATCHES:
            torch.testing.assert_close(model(*inputs(batch)), plain(*inputs(batch)), rtol=1e-4, atol=1e-5)
    assert len(graphs) == 1
    assert not graphs.operators() & MAKES_TABLES


def test_a_batch_of_one_image_has_a_graph_of_its_own(graphs: Graphs) -> None:
    _, model = compiled(graphs)
    with torch.no_grad():
        for batch in (1, 2, 3, 1):
            model(*inputs(batch))
    assert len(graphs) == 2


@pytest.mark.parametrize(
    ("guidance", "count"),
    [(Guidance(4.0), 1), (Guidance(3.0, by="window"), 2), (Guidance(4.0, interval=(100, 700)), 1)],
    ids=["label", "window", "interval"],
)
def test_guided_sampling_takes_a_graph_for_each_attention(graphs: Graphs, guidance: Guidance, count: int) -> None:
    _, model = compiled(graphs)
    with torch.no_grad():
        for batch in (4, 6, 3):
            x_t, timesteps, labels = inputs(batch)
            predict = guided(model, labels, guidance)
            for timestep in (50, 500):
                at = predict.at(timestep) if hasattr(predict, "at") else predict
                at(x_t, torch.full_like(timesteps, timestep))
    assert len(graphs) == count


@pytest.mark.parametrize("recompute", [False, True])
def test_training_is_one_graph_with_the_same_gradients(graphs: Graphs, recompute: bool) -> None:
    plain, model = compiled(graphs, attention="swa:masked,swa:halo")
    gradients = []
    for each in (plain, model):
        for _ in range(2):
            each.zero_grad()
            result = each.train()(*inputs(4), drop=torch.tensor([True, False] * 2), recompute=recompute)
            result.square().sum().backward()
        gradients.append([parameter.grad for parameter in each.parameters() if parameter.requires_grad])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
    assert len(graphs) == 1
    assert not graphs.operators() & MAKES_TABLES


def test_autocast_is_one_graph_too(graphs: Graphs) -> None:
    _, model = compiled(graphs, attention="swa")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for batch in BATCHES:
            assert torch.isfinite(model(*inputs(batch))).all()
    assert len(graphs) == 1
    assert not graphs.operators() & MAKES_TABLES


def test_a_window_function_by_itself_is_one_graph_for_every_engine(graphs: Graphs) -> None:
    query = torch.randn(2, 3, 64, 8, generator=torch.Generator().manual_seed(0))
    for engine in ("masked", "halo", "gather"):

        def attend(q: Tensor, engine: str = engine) -> Tensor:
            return window_attention(q, q, q, grid=8, window=3, engine=engine)

        result = torch.compile(attend, backend=graphs, fullgraph=True)(query)
        torch.testing.assert_close(result, attend(query), rtol=1e-5, atol=1e-6)
    assert not graphs.operators() & MAKES_TABLES


@pytest.mark.filterwarnings("ignore")
def test_flex_attention_is_compiled_once_for_all_windows_and_batches_of_two_or_more(
    graphs: Graphs, monkeypatch
) -> None:
    """As the engine itself compiles it, but for the kernels."""
    from torch.nn.attention.flex_attention import flex_attention

    monkeypatch.setattr(flex, "_compiled", lambda: torch.compile(flex_attention, dynamic=False, backend=graphs))
    monkeypatch.setattr(flex, "check_flex", lambda *_: None)  # which compiles a tiny one

    def attend(batch: int, window: int = 3) -> None:
        views = views_of_qkv((batch, 2, 64, 8), torch.zeros(1))
        result = window_attention(*views, grid=8, window=window, engine="flex")
        torch.testing.assert_close(result, window_attention(*views, grid=8, window=window))

    with torch.no_grad():
        for batch in (3, 2, 8, 5, 17):
            attend(batch)
        assert len(graphs) == 1
        attend(1)  # a size of 1 is never taken for one that varies
        assert len(graphs) == 2
        attend(4, window=5)  # the window's masks go into the graph
    assert len(graphs) == 2


def test_a_graph_holds_the_tables_of_several_windows() -> None:
    """As one function that guides by a window; the backend is torch's own up to its kernels."""
    query = torch.randn(2, 3, 63, 8, generator=torch.Generator().manual_seed(0))

    def attend(q: Tensor) -> Tensor:
        strong = window_attention(q, q, q, grid=(9, 7), window=5, engine="halo")
        weak = window_attention(q, q, q, grid=(9, 7), window=3, dilation=2, engine="halo")
        return strong - weak + window_attention(q, q, q, grid=(9, 7), window=5, engine="masked")

    torch._dynamo.reset()
    result = torch.compile(attend, backend="aot_eager", fullgraph=True)(query)
    torch.testing.assert_close(result, attend(query), rtol=1e-5, atol=1e-5)


def test_tables_are_no_state_of_a_model_and_follow_its_device() -> None:
    model = random_model(input_size=16, attention="swa:masked,swa:halo")
    before = list(model.state_dict())
    model(*inputs(2)[:2])
    assert list(model.state_dict()) == before
    assert not list(model.buffers())
    meta = model.to("meta")
    assert meta(*(x.to("meta") for x in inputs(2)[:2])).device.type == "meta"


def test_an_exported_model_leaves_no_empty_table_behind() -> None:
    """Export traces with tensors that hold no numbers: a mask made of those must not serve later calls."""

    class Attend(nn.Module):
        def forward(self, query: Tensor) -> Tensor:
            return window_attention(query, query, query, grid=(9, 7), window=3, engine="halo")

    query = torch.randn(2, 3, 63, 8, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(Attend(), (query,))
    expected = window_attention(query, query, query, grid=(9, 7), window=3, engine="masked")
    torch.testing.assert_close(Attend()(query), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(program.module()(query), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "fields", [{"attention": "swa:halo,swa:masked"}, {"attention": "swa:masked", "window_dilation": 3, "window": 1}]
)
def test_the_compiler_of_torch_takes_that_graph(fields: dict[str, Any]) -> None:
    plain, model = (random_model(input_size=16, num_classes=5, **fields) for _ in range(2))
    torch._dynamo.reset()
    model.compile(fullgraph=True)
    with torch.no_grad():
        for batch in BATCHES[:3]:
            torch.testing.assert_close(model(*inputs(batch)), plain(*inputs(batch)), rtol=1e-4, atol=1e-5)
