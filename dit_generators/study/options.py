"""All that can be asked of a study besides its pictures and its folder: one record, checked when it is made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.types import check_least, check_types
from ..diffusion.guidance import Guidance
from ..errors import ArgumentError
from ..network.config import DiTConfig
from ..sampling.sample import SampleSettings
from ..training.options import TrainOptions

MODELS = ("full", "swa")
FEW = 32  # samples that the report used
SAMPLING_BATCH = 32
_BACKBONES = ("mini", "inception", "clip", "siglip", "align", "dinov2")
_DIMS = 2048


@dataclass(frozen=True)
class StudyModel:
    """One trained model of a study: its method, and its training run from 1."""

    method: str
    run: int = 1

    @property
    def name(self) -> str:
        """Of its folders."""
        return self.method if self.run == 1 else f"{self.method}-{self.run}"


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """A study: two models that differ in attention only, their samples, sweeps and scores.

    Attributes:
        training: of both models; its `attention` is full in one and swa in the other, its `seed` and `sample_steps`
            are also those of the scored samples.
        runs: training runs of each method, with seeds from `training.seed` on; with 2 or more the methods are compared
            over runs, for which 5 or more are recommended.
        samples: number of samples per model that are scored, 2 or more.
        draws: number of random draws of 32 samples, as in the report, to show how much such scores vary; 1 or more.
        scales, sweep_steps, sweep_images: the sweep, guided by a 3 x 3 window (full) or a single token (swa).
        backbones: backbones for the scores: maps a name of `cmmd backbones` to the path of its weights, or to None to
            find them. One whose weights are missing is left out, with a message.
        dims: of the features of inception, 64, 192, 768 or 2048; None is 2048.
        bench_model: whose attention is timed, DiT-S/8 to DiT-XL/2.
        bench_minutes: time limit for attention alone, and again for the whole model; what takes longer is left out, and
            0 skips both.

    Raises ArgumentError for a value that cannot be.
    """

    training: TrainOptions = field(default_factory=TrainOptions)
    runs: int = 1
    samples: int = 512
    draws: int = 100
    scales: tuple[float, ...] = (0.0, 1.0, 4.0, 10.0)
    sweep_steps: tuple[str, ...] = ("50", "250", "500")
    sweep_images: int = 4
    backbones: Mapping[str, str | None] = field(default_factory=lambda: dict.fromkeys(_BACKBONES))
    dims: int | None = None
    bench_model: str = "DiT-XL/4"
    bench_minutes: float = 1.0

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "runs", "sweep_images", "draws")
        check_least(self, 2, "samples")
        DiTConfig.preset(self.bench_model)
        if not 0 <= self.bench_minutes < math.inf:
            raise ArgumentError(f"bench_minutes: expected a number of 0 or more, got {self.bench_minutes}")
        if self.dims is not None and "inception" not in self.backbones:
            raise ArgumentError(f"`dims={self.dims}`: is only for inception, which is not among the backbones")

    @property
    def models(self) -> list[StudyModel]:
        """All that are trained, run by run."""
        return [StudyModel(method, run) for run in range(1, self.runs + 1) for method in MODELS]

    @property
    def sampling(self) -> SampleSettings:
        """Of the samples that are scored."""
        return self.training.sampling

    def sweep_cell(self, model: str, scale: float = 1.0, steps: str = "50") -> SampleSettings:
        """Of a cell of a model's sweep."""
        # The swa model has a window of 3 x 3: the weaker one sees a single token.
        guidance = Guidance(scale, by="window", window=3 if model == "full" else 1)
        return SampleSettings(steps=steps, seed=self.training.seed, guidance=guidance)

    def embedding(self, backbone: str) -> dict[str, Any]:
        """The keywords of `cmmd_toolkit.embed` for a backbone."""
        path = self.backbones[backbone]
        options: dict[str, Any] = {"weights": path} if path else {}
        return options | ({"dims": self.dims or _DIMS} if backbone == "inception" else {})

    def to_dict(self) -> dict[str, Any]:
        """All that decides the scores of trained models, as JSON values."""
        return {
            "runs": self.runs,
            "samples": self.samples,
            "few": FEW,
            "draws": self.draws,
            "steps": self.sampling.steps,
            "scales": list(self.scales),
            "sweep_steps": list(self.sweep_steps),
            "sweep_images": self.sweep_images,
            "batch_size": SAMPLING_BATCH,
            "seed": self.training.seed,
            "backbones": {name: self.embedding(name) for name in self.backbones},
            "bench_model": self.bench_model,
        }
