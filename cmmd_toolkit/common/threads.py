"""How many threads."""

import os


def default_workers() -> int:
    """Decoding threads: one per core for this process, at most eight; processes of a launch share the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
