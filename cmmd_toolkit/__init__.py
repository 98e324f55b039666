"""How close a set of generated images is to real ones. See README.md and docs/.

The names below are loaded when first used: importing this package imports neither torch nor transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backbones import Backbone, load_backbone
    from .comparison import compare, embed
    from .errors import ArgumentError, BackboneError, CmmdError, InputError, PictureError, WeightsError
    from .features import Features, GaussianStatistics
    from .metrics.estimate import Estimate
    from .metrics.frechet import frechet_distance
    from .metrics.mmd import median_distance, squared_mmd
    from .report import Report, Result

__version__ = "0.1.0"

_HOMES = {
    "ArgumentError": "errors",
    "Backbone": "backbones.base",
    "BackboneError": "errors",
    "CmmdError": "errors",
    "Estimate": "metrics.estimate",
    "Features": "features",
    "GaussianStatistics": "features",
    "InputError": "errors",
    "PictureError": "errors",
    "Report": "report",
    "Result": "report",
    "WeightsError": "errors",
    "compare": "comparison",
    "embed": "comparison",
    "frechet_distance": "metrics.frechet",
    "load_backbone": "backbones",
    "median_distance": "metrics.mmd",
    "squared_mmd": "metrics.mmd",
}

__all__ = [
    "ArgumentError",
    "Backbone",
    "BackboneError",
    "CmmdError",
    "Estimate",
    "Features",
    "GaussianStatistics",
    "InputError",
    "PictureError",
    "Report",
    "Result",
    "WeightsError",
    "compare",
    "embed",
    "frechet_distance",
    "load_backbone",
    "median_distance",
    "squared_mmd",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
