"""How close a set of generated images is to real ones. See README.md and docs/.

The names below are loaded when first used: importing this package imports neither torch nor transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backbones import load_backbone
    from .backbones.base import Backbone
    from .commands.compare import compare, embed
    from .commands.explain import explain
    from .commands.plan import plan
    from .commands.rank import rank
    from .errors import ArgumentError, BackboneError, CmmdError, InputError, PictureError, WeightsError
    from .estimation.estimate import Estimate
    from .features.features import Features, GaussianStatistics
    from .inference.relative import RelativeTest, relative_test
    from .inference.two_sample import TwoSampleTest, two_sample_test
    from .metrics.frechet import frechet_distance
    from .metrics.frechet_infinity import frechet_distance_infinity
    from .metrics.inception_score import inception_score
    from .metrics.kid import kernel_distance
    from .metrics.memorisation import Memorisation, memorisation
    from .metrics.mmd import median_distance, squared_mmd
    from .metrics.neighbours import density_coverage, precision_recall
    from .metrics.sliced import mind, sliced_wasserstein
    from .metrics.vendi import vendi_score
    from .report import Report, Result
    from .report.explanation import Explanation
    from .report.plan import Plan
    from .report.ranking import Ranking

__version__ = "0.1.0"

_HOMES = {
    "ArgumentError": "errors",
    "Backbone": "backbones.base",
    "BackboneError": "errors",
    "CmmdError": "errors",
    "Estimate": "estimation.estimate",
    "Explanation": "report.explanation",
    "Features": "features.features",
    "GaussianStatistics": "features.features",
    "InputError": "errors",
    "Memorisation": "metrics.memorisation",
    "PictureError": "errors",
    "Plan": "report.plan",
    "Ranking": "report.ranking",
    "RelativeTest": "inference.relative",
    "Report": "report",
    "Result": "report",
    "TwoSampleTest": "inference.two_sample",
    "WeightsError": "errors",
    "compare": "commands.compare",
    "density_coverage": "metrics.neighbours",
    "embed": "commands.compare",
    "explain": "commands.explain",
    "frechet_distance": "metrics.frechet",
    "frechet_distance_infinity": "metrics.frechet_infinity",
    "inception_score": "metrics.inception_score",
    "kernel_distance": "metrics.kid",
    "load_backbone": "backbones",
    "median_distance": "metrics.mmd",
    "memorisation": "metrics.memorisation",
    "mind": "metrics.sliced",
    "plan": "commands.plan",
    "precision_recall": "metrics.neighbours",
    "rank": "commands.rank",
    "relative_test": "inference.relative",
    "sliced_wasserstein": "metrics.sliced",
    "squared_mmd": "metrics.mmd",
    "two_sample_test": "inference.two_sample",
    "vendi_score": "metrics.vendi",
}

__all__ = [
    "ArgumentError",
    "Backbone",
    "BackboneError",
    "CmmdError",
    "Estimate",
    "Explanation",
    "Features",
    "GaussianStatistics",
    "InputError",
    "Memorisation",
    "PictureError",
    "Plan",
    "Ranking",
    "RelativeTest",
    "Report",
    "Result",
    "TwoSampleTest",
    "WeightsError",
    "compare",
    "density_coverage",
    "embed",
    "explain",
    "frechet_distance",
    "frechet_distance_infinity",
    "inception_score",
    "kernel_distance",
    "load_backbone",
    "median_distance",
    "memorisation",
    "mind",
    "plan",
    "precision_recall",
    "rank",
    "relative_test",
    "sliced_wasserstein",
    "squared_mmd",
    "two_sample_test",
    "vendi_score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
