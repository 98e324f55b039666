"""Memory that is freed stays with the process, for the next picture to use.

By default glibc returns the larger blocks to the system, which hands them out again page by page, each filled with
zeros first.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of malloc.h
_MOST_KEPT = 1 << 28
_LARGEST_KEPT = 1 << 25  # of one block; the most that glibc takes


def keep_freed_memory() -> None:
    """For a process of our own: changes its malloc where that is glibc's, and nothing elsewhere."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
