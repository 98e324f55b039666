"""The samples of a study, read one by one."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.decode import read_picture


@dataclass(frozen=True)
class SavedSamples:
    """The first `num` pictures of a folder of samples, uint8 (N, H, W, 3), each read when it is asked for."""

    folder: Path
    num: int

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        return self.num, *self[0].shape

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return read_picture(self.folder / f"{index:06d}.png")
