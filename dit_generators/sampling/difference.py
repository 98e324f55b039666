"""What less than float32 changes: the first pictures of a run beside what float32 makes of the same noise."""

from dataclasses import replace

import numpy as np

from ..common.precision import float32_products
from ..data.decode import read_picture
from .folder import SampleFolder
from .run import SampleRun
from .sample import sample

_COMPARED = 4


def difference_from_fp32(run: SampleRun, folder: SampleFolder) -> str:
    """One line for people; the first pictures of the run, four at most, are made again in float32 for it."""
    indices = range(min(run.num, _COMPARED))
    autoencoder = run.autoencoder and replace(run.autoencoder, precision="fp32")
    with float32_products(tf32=False):
        exact = sample(run.model, replace(run.settings, precision="fp32"), indices, autoencoder)
    made = np.stack([read_picture(folder.file(i)) for i in indices])
    difference = np.abs(made.astype(np.int16) - exact)
    return (
        f"the first {len(indices)} images differ from fp32 by {difference.mean():.2g} of 255 on average, "
        f"at most {difference.max()}"
    )
