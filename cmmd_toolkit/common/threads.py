"""How many threads."""

import os


def default_workers() -> int:
    """Decoding threads: one per core that this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)
