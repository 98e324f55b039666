"""Which engine of window attention is fastest, by grid and window: the table in docs/attention.md.

python benchmarks/window.py [--backward] [--flex] [--json FILE]
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import torch
import torch._dynamo
from torch import Tensor

from dit_generators.attention.engines import flex as flex_engine
from dit_generators.attention.engines.full import full_attention
from dit_generators.attention.neighbours import Window
from dit_generators.attention.window import engine_for, window_attention
from dit_generators.common.peak_memory import peak_bytes

HEADS, WIDTH = 12, 64
MASKED_LIMIT = 4096


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def calls_for(grid: int, window: int, batch: int, flex: bool, backward: bool) -> dict[str, Callable[[], object]]:
    """full and every engine on the views that a DiT's qkv layer gives."""
    qkv = torch.randn(batch, grid * grid, 3, HEADS, WIDTH, requires_grad=backward)
    engines = ["masked"] * (grid * grid <= MASKED_LIMIT) + ["halo", "gather"] + ["flex"] * flex

    def run(attend: Callable[..., Tensor]) -> None:
        out = attend(*qkv.permute(2, 0, 3, 1, 4))
        if backward:
            out.sum().backward()

    named = {engine: partial(window_attention, grid=grid, window=window, engine=engine) for engine in engines}
    return {name: partial(run, attend) for name, attend in {"full": full_attention, **named}.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backward", action="store_true", help="time forward and backward")
    parser.add_argument("--flex", action="store_true", help="FlexAttention too (compiles; no gradient on a CPU)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.manual_seed(0)
    rows = []
    print("grid  tokens batch window | times as fast as full | chosen")
    for grid, batch in ((8, 16), (10, 8), (12, 8), (14, 4), (16, 4), (24, 2), (32, 1), (32, 4), (64, 1)):
        for window in (3, 5, 7, 15):
            if window > grid:
                continue
            flex_engine._compiled.cache_clear()
            torch._dynamo.reset()  # FlexAttention falls back unfused after eight shapes
            calls = calls_for(grid, window, batch, options.flex, options.backward)
            with torch.set_grad_enabled(options.backward):
                for call in calls.values():
                    call()
                repeats = options.repeats if grid < 64 else 3
                rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(repeats)]
                memory = {name: peak_bytes(call, torch.device("cpu")) for name, call in calls.items() if name != "flex"}
            least = {name: min(round_[name] for round_ in rounds) for name in calls}
            ratios = {name: least["full"] / value for name, value in least.items() if name != "full"}
            chosen = engine_for(Window((grid, grid), (window, window), "shift"))
            rows.append({"grid": grid, "batch": batch, "window": window, "seconds": least, "peak_bytes": memory})
            text = "  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
            print(f"{grid:4d}  {grid * grid:6d} {batch:5d} {window:6d} | {text} | {chosen}", flush=True)
    if options.json:
        with open(options.json, "w") as file:  # noqa: PTH123
            json.dump({"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
