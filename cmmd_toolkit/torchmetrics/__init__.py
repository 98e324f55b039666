"""Metrics as torchmetrics classes: `update(images, real=)`, `compute`, `forward`, `reset`, `plot`, processes.

    from cmmd_toolkit.torchmetrics import FrechetDistance   # was: torchmetrics.image.fid.FrechetInceptionDistance
    from cmmd_toolkit.torchmetrics import KernelDistance    # was: torchmetrics.image.kid.KernelInceptionDistance
    from cmmd_toolkit.torchmetrics import InceptionScore    # was: torchmetrics.image.inception.InceptionScore

What differs from the classes of torchmetrics: the covariance is summed around the mean, so nothing cancels where the
mean is large beside the spread. The network is no submodule: `.train()`, `.half()`, optimisers and checkpoints do not
see it, `.to(device)` does. Features are float32 under autocast too, and results are computed in float64: `compute`
returns them in the metric's `dtype`, `estimate` as they are. Subsets and shuffles have a seed. A call returns the value
of its batch. The numbers are those of `compare` on the same pixels.
"""

try:
    import torchmetrics  # noqa: F401 (the package of that name, not this one)
except ImportError as error:
    raise ImportError(
        f"cmmd_toolkit.torchmetrics needs torchmetrics ({error}); pip install 'cmmd-toolkit[torchmetrics]'"
    ) from error

from .frechet import FrechetDistance
from .inception_score import InceptionScore
from .kernel import KernelDistance
from .mmd import CMMD
from .precision_recall import PrecisionRecall
from .refusals import TooFewImagesError, WrongTypeError

__all__ = [
    "CMMD",
    "FrechetDistance",
    "InceptionScore",
    "KernelDistance",
    "PrecisionRecall",
    "TooFewImagesError",
    "WrongTypeError",
]
