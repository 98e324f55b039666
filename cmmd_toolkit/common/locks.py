"""Locks that end with the process that holds them, however it ends."""

import errno
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


def try_lock(path: Path) -> "BaseFileLock | None":
    """Lock the file, made when it is not there, for this process; None where another process holds it.

    Raises OSError where nothing can be locked: no such folder, no permission, a disk without locks.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, "the disk has no locks", str(path)) from error
    return lock
