"""An S3 server of this machine: moto's."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ACCOUNT = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@contextmanager
def serving_s3() -> Iterator[str]:
    """Its address, for the time of the block."""
    command = [sys.executable, "-m", "moto.server", "-p", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert server.stderr is not None
        yield next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
