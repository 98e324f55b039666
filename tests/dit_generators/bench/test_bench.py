"""What bench is made of: arithmetics, the clock of a GPU, rows of results of any version."""

import json
from pathlib import Path

import pytest
import torch

from dit_generators.bench.measure import Measurement, measure
from dit_generators.bench.results import HEADINGS, left_out, rows_of, to_dict, to_table
from dit_generators.bench.settings import PRECISIONS, Arithmetic, BenchSettings
from dit_generators.common import stopwatch
from dit_generators.common.precision import TYPES
from dit_generators.network.config import DiTConfig

DOCS = Path(__file__).parents[3] / "docs"
CONFIG = DiTConfig(input_size=8, hidden_size=32, depth=2, num_heads=2, num_classes=3)


def settings(**changes: object) -> BenchSettings:
    fields = {"attention": ("naive", "full", "swa"), "batch_sizes": (1, 3), "levels": ("operation", "block", "model")}
    return BenchSettings("tiny", CONFIG, device=torch.device("cpu"), **{**fields, "repeats": 2, **changes})


def test_an_arithmetic_says_what_holds_weights_and_what_attends() -> None:
    found = {name: (a.weights, a.autocast, a.products) for name in PRECISIONS for a in [Arithmetic(name)]}
    for low in ("bf16", "fp16"):
        assert found[low] == (TYPES[low], "fp32", TYPES[low])
        assert found[f"{low}-autocast"] == (torch.float32, low, TYPES[low])
    assert found["fp32"] == found["tf32"] == (torch.float32, "fp32", torch.float32)


@pytest.mark.parametrize("backward", [False, True])
def test_every_cell_has_mean_and_spread_and_memory(backward: bool) -> None:
    results = list(measure(settings(precisions=("fp32", "bf16-autocast"), backward=backward)))
    assert len(results) == 2 * 3 * 2 * 3
    for cell in results:
        assert cell.seconds is not None, cell.note
        assert cell.seconds <= (cell.mean_seconds or 0)
        assert (cell.spread_seconds or 0) >= 0
        assert cell.memory_bytes > 0
    memory = {
        (c.precision, c.attention): c.memory_bytes for c in results if (c.level, c.batch_size) == ("operation", 3)
    }
    assert memory["bf16-autocast", "naive"] < memory["fp32", "naive"]


def test_the_clock_of_a_gpu_waits_before_and_after_and_measures_between_its_events(monkeypatch) -> None:
    order: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: str) -> None:
            order.append(f"event on {stream}")

        def elapsed_time(self, last: object) -> float:
            return 1500.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: order.append(f"wait for {device}"))
    seconds = stopwatch.seconds_of(lambda: order.append("call"), torch.device("cuda", 1))
    assert seconds == 1.5
    event = "event on stream of cuda:1"
    assert order == ["wait for cuda:1", event, "call", event, "wait for cuda:1"]


def test_rows_are_of_results_of_this_version_and_the_ones_before() -> None:
    old = json.loads((DOCS / "bench_xl4_cpu.json").read_text())["results"]
    rows = rows_of(old)
    assert len(rows) == sum(cell["seconds"] is not None for cell in old)
    assert all(len(row) == len(HEADINGS) for row in rows)
    new = to_dict(settings(), list(measure(settings(levels=("block",)))))["results"]
    row = dict(zip(HEADINGS, rows_of(new)[0], strict=True))
    assert (row["attention"], row["naive / this"]) == ("naive", "1.00")
    assert "±" in row["mean ± sd"]


def test_long_times_are_whole_milliseconds() -> None:
    cell = vars(Measurement("model", "full", 50, 19.7912, 163_840_000, mean_seconds=20.0, spread_seconds=1.9))
    row = dict(zip(HEADINGS, rows_of([cell])[0], strict=True))
    assert (row["ms"], row["mean ± sd"], row["ms / image"], row["MB"]) == ("19,791", "20,000 ± 1,900", "396", "164")


def test_what_was_left_out_is_said_once_for_each_reason() -> None:
    cells = [vars(Measurement("block", kind, batch, None, None, "no time")) for batch in (1, 2) for kind in "abc"]
    three = ", ".join(f"{kind} (block, fp32, batch 1)" for kind in "abc")
    assert left_out(cells) == [f"Not measured: {three} and 3 more: no time."]


@pytest.mark.parametrize(
    ("width", "left"),
    [(None, []), (120, []), (80, ["ms / image"]), (60, ["ms / image", "mean ± sd", "MB"])],
)
def test_a_narrow_table_has_fewer_columns_and_breaks_no_word(width: int | None, left: list[str]) -> None:
    cells = [
        Measurement("operation", "swa:masked", 100, 1.5, 123456789, "", name, 1.75, 0.125)
        for name in ("fp32", "bf16-autocast")
    ]
    table = to_table(cells, width)
    assert [column.header for column in table.columns] == [heading for heading in HEADINGS if heading not in left]
    assert all(column.no_wrap for column in table.columns)
