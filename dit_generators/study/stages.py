"""The stages of a study once its models are trained: samples, sweeps, scores, bench.

    STUDY/models/full, swa        training runs          STUDY/samples/full, swa     samples from the same seeds
    STUDY/models/full-2, swa-2    further runs of each   STUDY/samples/full-2, ...
    STUDY/sweeps/full, swa        guidance x steps       STUDY/bench.json, .png      attention on this machine
    STUDY/scores.json             every backbone         STUDY/whole_model.json      and in a whole model
    STUDY/evaluation_results.json, index.html, tables.md

Every stage leaves its result behind, and the same command resumes after the last one that is whole.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmmd_toolkit.common.progress import ShowProgress

from ..common.files import read_json, write_json
from ..common.processes import ALONE, Processes
from ..data.decode import read_picture
from ..data.pictures import Pictures
from ..network.model import DiT
from ..sampling.folder import SampleFolder, seconds_per_image
from ..sampling.quiet import Say
from ..sampling.run import SampleRun, run_sampling
from ..sampling.sample import SampleSettings
from ..sampling.sweep import Sweep, run_sweep
from ..weights.autoencoder import Autoencoder
from ..weights.checkpoint import checkpoints_in, load_checkpoint
from ..weights.digest import weights_digest
from ..weights.young import young_checkpoint
from .attention_cost import operation_and_block, precisions_of, whole_model
from .methods import compare_methods
from .options import FEW, MODELS, SAMPLING_BATCH, StudyOptions
from .scores import SCORE_FIELDS, score_models


@dataclass(frozen=True)
class Study:
    """A study in its folder, once both models are trained."""

    path: Path
    options: StudyOptions
    pictures: Pictures
    autoencoder: Autoencoder | None
    device: torch.device
    say: Say
    show_progress: ShowProgress
    processes: Processes = ALONE

    def run(self) -> dict[str, Any] | None:
        """Every stage after training. Returns what is in evaluation_results.json; None in all but the main process.

        Processes share samples, sweeps and features; the main one compares them, while the others wait.
        """
        sampling = {model.name: self._sample(model.name) for model in self.options.models}
        sweeps = {name: self._sweep(name) for name in MODELS}
        scores = self._scores()
        return self.processes.by_main(lambda: self._results(sampling, sweeps, scores))

    def _scores(self) -> Any:
        """By all processes together, unless each finds that they were taken already."""
        names = [model.name for model in self.options.models]
        digests = {name: weights_digest(self.model(name).state_dict()) for name in names}
        asked = self.options.to_dict() | digests | {"fields": SCORE_FIELDS}
        known = self._known("scores.json", asked)
        if all(self.processes.gather(known is not None)):
            return known
        scores = self._score()
        return self.processes.by_main(lambda: self._stage("scores.json", asked, lambda: scores))

    def _results(self, sampling: Mapping[str, Any], sweeps: Mapping[str, Any], scores: Any) -> dict[str, Any]:
        bench, model = self._attention_cost()
        methods = compare_methods(scores, MODELS) if self.options.runs > 1 else []
        results = {
            "pictures": len(self.pictures),
            "samples": self.options.samples,
            "few": FEW,
            "seconds_per_image": sampling,
            "scores": scores,
            "methods": [asdict(found) | {"text": str(found)} for found in methods],
            "sweeps": sweeps,
            "bench": bench,
            "whole_model": model,
        }
        write_json(results, self.path / "evaluation_results.json")
        return results

    def model(self, name: str) -> DiT:
        """The average of a trained model."""
        return load_checkpoint(self.path / "models" / name, device=self.device)

    def _run(self, name: str, out: Path, num: int, settings: SampleSettings) -> SampleRun:
        source = str(self.path / "models" / name)
        return SampleRun(self.model(name), settings, out, num, SAMPLING_BATCH, source, self.autoencoder)

    def _sample(self, name: str) -> float | None:
        out, settings = self.path / "samples" / name, self.options.sampling
        run = self._run(name, out, self.options.samples, settings)
        if young := young_checkpoint(checkpoints_in(self.path / "models" / name)[-1] / "ema.safetensors"):
            self.say(f"warning: {name}: {young}")

        def finish(folder: SampleFolder) -> None:
            folder.write_sheet(run.num)

        run_sampling(run, self.processes, self.show_progress, finish)
        return self.processes.by_main(lambda: seconds_per_image(out))

    def _sweep(self, name: str) -> list[dict[str, Any]]:
        out, settings = self.path / "sweeps" / name, self.options.sweep_cell(name)
        base = self._run(name, out, self.options.sweep_images, settings)
        plan = Sweep((None,), self.options.scales, self.options.sweep_steps)
        return [vars(cell) for cell in run_sweep(base, plan, lambda _: None, self.show_progress, self.processes)]

    def _score(self) -> Any:
        return score_models(
            self.pictures.pixels,
            {model: partial(self._picture, model.name) for model in self.options.models},
            {name: self.options.embedding(name) for name in self.options.backbones},
            samples=self.options.samples,
            few=FEW,
            draws=self.options.draws,
            seed=self.options.training.seed,
            say=self.say,
            processes=self.processes,
        )

    def _picture(self, name: str, number: int) -> NDArray[np.uint8]:
        return read_picture(self.path / "samples" / name / f"{number:06d}.png")

    def _attention_cost(self) -> tuple[Any, Any]:
        options, device, say = self.options, self.device, self.say
        earlier = {"model": options.bench_model, "device": str(device)}  # versions timed attention alone without limit
        asked = earlier | {"minutes": options.bench_minutes}
        chart = self.path / "bench.png"
        bench = self._known("bench.json", earlier) or self._stage(
            "bench.json", asked, lambda: operation_and_block(options, device, chart, say)
        )
        precisions = precisions_of(options.training.precision, device)
        whole = asked | {"precisions": list(precisions)}
        return bench, self._stage("whole_model.json", whole, lambda: whole_model(options, device, bench, say))

    def _stage(self, name: str, asked: Mapping[str, Any], work: Callable[[], Any]) -> Any:
        """The stage's result: from its file where that answers the same question, else from work."""
        known = self._known(name, asked)
        if known is not None:
            return known
        write_json({"asked": json.loads(json.dumps(asked)), "result": work()}, self.path / name)
        return json.loads((self.path / name).read_text())["result"]

    def _known(self, name: str, asked: Mapping[str, Any]) -> Any:
        """What the file of a stage answers to this question; None where it is of another, or not there."""
        before = read_json(self.path / name)
        is_of_it = isinstance(before, dict) and before.get("asked") == json.loads(json.dumps(asked))
        return before.get("result") if is_of_it else None
