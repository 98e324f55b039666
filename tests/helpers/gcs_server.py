"""The part of Google Cloud Storage's JSON API by which its clients list and read a bucket, on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import served

BUCKET = "sets"
_OBJECTS = f"/storage/v1/b/{BUCKET}/o"


class _Handler(BaseHTTPRequestHandler):
    """Objects are the files of a folder; `/storage/...` lists or describes them, `/download/...` gives their bytes."""

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self._folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        path, query = where.path, {name: values[0] for name, values in parse_qs(where.query).items()}
        bytes_wanted = path.startswith("/download") or query.get("alt") == "media"
        path = path.removeprefix("/download")
        listed = path.rstrip("/") == _OBJECTS
        name = query.get("prefix", "") if listed else unquote(path.removeprefix(f"{_OBJECTS}/"))
        if name.startswith("private"):
            self._send(403, b'{"error": {"code": 403, "message": "no access to it"}}')
        elif listed:
            self._list(name, query.get("delimiter", ""))
        elif not path.startswith(f"{_OBJECTS}/") or not (self._folder / name).is_file():
            self._send(404, b'{"error": {"code": 404, "message": "No such object"}}')
        elif bytes_wanted:
            self._give((self._folder / name).read_bytes())
        else:
            self._send(200, json.dumps(self._described(name)).encode())

    def _list(self, prefix: str, delimiter: str) -> None:
        """Objects below a prefix; those with the delimiter in the rest of their names as common prefixes."""
        names = sorted(path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())
        below = [name for name in names if name.startswith(prefix)]
        deeper = {name for name in below if delimiter and delimiter in name[len(prefix) :]}
        folders = {prefix + name[len(prefix) :].partition(delimiter)[0] + delimiter for name in deeper}
        items = [self._described(name) for name in below if name not in deeper]
        self._send(200, json.dumps({"items": items, "prefixes": sorted(folders)}).encode())

    def _described(self, name: str) -> dict[str, Any]:
        size = (self._folder / name).stat().st_size
        return {"kind": "storage#object", "bucket": BUCKET, "name": name, "size": str(size), "generation": "1"}

    def _give(self, content: bytes) -> None:
        if found := self.headers.get("Range"):
            first, last = found.removeprefix("bytes=").split("-")
            end = min(int(last or len(content) - 1), len(content) - 1)
            self._send(206, content[int(first) : end + 1], f"bytes {first}-{end}/{len(content)}")
        else:
            self._send(200, content)

    def _send(self, status: int, content: bytes, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # of a client that has read enough
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving_gcs(folder: Path) -> Iterator[str]:
    """Its address, for the time of the block: a bucket of the files of a folder, where "private..." is refused."""
    with served(partial(_Handler, folder)) as address:
        yield address
