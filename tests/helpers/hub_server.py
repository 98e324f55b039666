"""The part of the Hugging Face Hub's API by which its clients list, read and download repositories, on this machine."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import served

NAME = "someone/pictures"
COMMIT = "0" * 40


class _Handler(BaseHTTPRequestHandler):
    """`/api/models/NAME/...` describes the files of a folder, `/NAME/resolve/...` gives them; datasets alike."""

    def __init__(self, folders: Mapping[str, Path], *arguments: Any) -> None:
        self._folders = folders
        super().__init__(*arguments)

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        path = unquote(where.path)
        for name, folder in self._folders.items():
            self._name, self._folder = name.partition("/")[2], folder
            for prefix, answer in (
                (f"/api/{name}/tree/", self._tree),
                (f"/{name.removeprefix('models/')}/resolve/", self._file),
                (f"/api/{name}", self._about),
            ):
                if path.startswith(prefix):
                    answer(path.removeprefix(prefix).partition("/")[2], parse_qs(where.query))
                    return
        self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        """paths-info: of the paths that are there."""
        name = urlsplit(self.path).path.removeprefix("/api/").partition("/paths-info/")[0]
        self._folder = self._folders[name]
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = json.loads(sent)["paths"] if sent.startswith("{") else parse_qs(sent)["paths"]
        found = [self._folder / path for path in asked]
        self._send_json([self._described(path) for path in found if path.exists()])

    def _about(self, _: str, __: Any) -> None:
        files = [{"rfilename": path.name} for path in sorted(self._folder.iterdir()) if path.is_file()]
        about = {"id": self._name, "sha": COMMIT, "siblings": files, "tags": [], "downloads": 0, "private": False}
        self._send_json(about)

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
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving_hub(folders: Path | Mapping[str, Path]) -> Iterator[str]:
    """The endpoint of a hub for the time of the block: with repositories, or with one data set, `NAME`, of a folder.

    `folders` is from "models/OWNER/NAME" and "datasets/OWNER/NAME" to what each holds.
    """
    held = {f"datasets/{NAME}": folders} if isinstance(folders, Path) else folders
    with served(partial(_Handler, held)) as address:
        yield address
