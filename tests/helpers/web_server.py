"""A web server of this machine, with and without ranges, and with faults."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Handler(SimpleHTTPRequestHandler):
    """`faults` are the statuses that each next answer to a GET gets; `asked` are the paths and ranges of all GETs."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        if server.faults:
            self.send_error(server.faults.pop(0))
            return
        path = Path(self.translate_path(self.path))
        if server.ranges and path.is_file() and (found := self.headers.get("Range")):
            self._send_range(path.read_bytes(), *found.removeprefix("bytes=").split("-"))
        else:
            super().do_GET()

    def _send_range(self, content: bytes, first: str, last: str) -> None:
        start, end = int(first), min(int(last), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.send_header("Content-Length", str(end + 1 - start))
        self.end_headers()
        self.wfile.write(content[start : end + 1])

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """The server; `url` has no slash at its end."""

    def __init__(self, folder: Path, ranges: bool) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.ranges, self.faults, self.asked = ranges, list[int](), list[tuple[str, str | None]]()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(folder: Path, *, ranges: bool = True) -> Iterator[Server]:
    """A folder by http for the time of the block."""
    server = Server(folder, ranges)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
