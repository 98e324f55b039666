"""Small training runs for tests: through the command's own options, with any source of batches."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from dit_generators.cli.main import main
from dit_generators.cli.training import train_options
from dit_generators.data.batches import Batch
from dit_generators.training.run import TrainRun
from dit_generators.training.start import make_run
from dit_generators.weights.checkpoint import checkpoints_in

SMALL = ["--preset", "small", "--hidden-size", "16", "--depth", "1", "--num-heads", "2", "--patch-size", "4"]
SMALL += ["--image-size", "16", "--batch-size", "4", "--device", "cpu"]
MakeBatch = Callable[[Sequence[int]], Batch]


def small_run(pictures: Path, out: Path, *options: object) -> TrainRun:
    """The run that `dit-gen train` would start."""
    given = dict(main.commands["train"].make_context("train", ["x", "--out", "x", *SMALL, *map(str, options)]).params)
    given = {name: value for name, value in given.items() if name not in ("pictures", "out")}
    return make_run(pictures, out, train_options(**given))


def poisoned(make: MakeBatch, batches: Sequence[int] | range) -> MakeBatch:
    """The same, with NaN in some batches of four."""

    def changed(positions: Sequence[int]) -> Batch:
        batch = make(positions)
        if positions[0] // 4 in batches:
            batch.x_0[0] = float("nan")
        return batch

    return changed


def without(make: MakeBatch, number: int) -> MakeBatch:
    """The same, as if one batch of four had never been there."""
    return lambda positions: make([p if p < 4 * number else p + 4 for p in positions])


def final_state(run: Path) -> dict[str, torch.Tensor]:
    """Weights, average and moments of the latest checkpoint."""
    folder = checkpoints_in(run)[-1]
    moments = torch.load(folder / "optimiser.pt", weights_only=True)["optimiser"]["state"]
    return {
        **load_file(folder / "model.safetensors"),
        **{f"ema.{name}": value for name, value in load_file(folder / "ema.safetensors").items()},
        **{f"{i}.{name}": value for i, entry in moments.items() for name, value in entry.items()},
    }


def assert_same_end(first: Path, second: Path) -> None:
    ours, theirs = final_state(first), final_state(second)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def log_of(run: TrainRun) -> list[dict[str, Any]]:
    return run.folder.entries()
