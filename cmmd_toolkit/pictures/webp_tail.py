"""Whether the end of a WebP was lost and left as zeros: WebP has no end mark and no checksum.

libwebp decodes zeros: lossy ones to a smooth continuation, lossless ones to copies of what was above. An encoder ends
in many zeros only where the picture is flat or one row goes on to the bottom, so that is looked at.
"""

import numpy as np
from numpy.typing import NDArray

_ZEROS = bytes(32)


def tail_is_lost(data: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Whether a decoded WebP ends in zeros that its pixels (H, W, 3) do not explain."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if not data[:end].endswith(_ZEROS):
        return False
    last, bottom = pixels[-1], pixels[-max(2, len(pixels) // 8) :]
    if (bottom != last).any():
        return True
    return b"VP8L" in data[:64] and bool((last != last[0]).any() and (pixels != last).any())
