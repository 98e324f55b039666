"""The part of the Hugging Face Hub's API by which its file system lists and reads a data set, on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NAME = "someone/pictures"
COMMIT = "0" * 40


class _Handler(BaseHTTPRequestHandler):
    """`/api/datasets/NAME/...` describes the files of a folder, `/datasets/NAME/resolve/...` gives them."""

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self._folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        path = unquote(where.path)
        for prefix, answer in (
            (f"/api/datasets/{NAME}/tree/", self._tree),
            (f"/datasets/{NAME}/resolve/", self._file),
            (f"/api/datasets/{NAME}", self._about),
        ):
            if path.startswith(prefix):
                answer(path.removeprefix(prefix).partition("/")[2], parse_qs(where.query))
                return
        self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def do_POST(self) -> None:
        """paths-info: of the paths that are there."""
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = json.loads(sent)["paths"] if sent.startswith("{") else parse_qs(sent)["paths"]
        found = [self._folder / path for path in asked]
        self._send_json([self._described(path) for path in found if path.exists()])

    def _about(self, _: str, __: Any) -> None:
        self._send_json({"id": NAME, "sha": COMMIT, "siblings": [], "tags": [], "downloads": 0, "private": False})

    def _tree(self, inside: str, query: dict[str, list[str]]) -> None:
        folder = self._folder / inside
        if not folder.is_dir():
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        recursive = query.get("recursive", [""])[0].lower() in ("1", "true")
        self._send_json([self._described(path) for path in sorted(folder.glob("**/*" if recursive else "*"))])

    def _described(self, path: Path) -> dict[str, Any]:
        kind = {"type": "directory"} if path.is_dir() else {"type": "file", "size": path.stat().st_size}
        return {**kind, "oid": COMMIT, "path": path.relative_to(self._folder).as_posix()}

    def _file(self, inside: str, _: Any) -> None:
        path = self._folder / inside
        if not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content, headers, status = path.read_bytes(), {"ETag": f'"{COMMIT}"', "X-Repo-Commit": COMMIT}, 200
        if found := self.headers.get("Range"):
            first, last = found.removeprefix("bytes=").split("-")
            end = min(int(last or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
            content, status = content[int(first) : end + 1], 206
        self._send(status, content, headers)

    def _send_json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving_hub(folder: Path) -> Iterator[str]:
    """The endpoint of a hub with one data set, `NAME`, which holds the files of a folder, for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
