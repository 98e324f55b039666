"""Pictures and archives on other machines, through fsspec: s3://, gs://, hf://, https://, memory:// and its others.

A read that fails is tried again a few times. No message has the user, password, query or fragment of an address: raised
errors carry no cause either, for libraries put whole addresses into theirs.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ...common.text import first_line
from ...common.urls import shown_url, without_secrets
from ...errors import InputError, PictureError

_PAUSES = (0.2, 1.0, 3.0)  # seconds before another try
_PATIENT = ("gs", "gcs")  # whose package tries six times by itself, half a minute long
_SILENCE = 60  # seconds without a byte, after which a web server is given up
_PACKAGES = {  # protocol: package, extra
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
}
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError, ValueError)
_LATER = (408, 425, 429)  # statuses of a server that asks to come again
_opening = threading.Lock()
Result = TypeVar("Result")


@dataclass(frozen=True)
class RemoteFile:
    """A file that fsspec reaches; see `Place`."""

    system: Any = field(repr=False)
    path: str = field(repr=False)
    name: str

    @cached_property
    def size(self) -> int:
        """Bytes."""
        size = tried(lambda: self.system.info(self.path)["size"], self.name)
        if size is None:
            raise InputError(f"{self.name}: its server does not report its size; copy it here first")
        return int(size)

    def read(self, start: int, length: int) -> bytes:
        """See `Place`."""
        length = min(length, self.size - start)

        def read() -> bytes:
            data = bytes(self.system.cat_file(self.path, start=start, end=start + length))
            if len(data) < length:
                raise OSError(f"{len(data)} bytes came of {length}")
            return data

        data = tried(read, self.name) if length > 0 else b""
        if len(data) > length:
            raise InputError(f"{self.name}: its server does not support reading parts of a file; copy it here first")
        return data

    def beside(self, path: str) -> "RemoteFile":
        """The file of that relative path in the same folder."""
        folder, shown = self.path.rpartition("/")[0], self.name.rpartition("/")[0]
        return RemoteFile(self.system, f"{folder}/{path}", f"{shown}/{path}")


def open_remote(url: str) -> RemoteFile:
    """What an address names, nothing of it read yet. Raises InputError where fsspec cannot go there."""
    from fsspec.core import url_to_fs  # it takes a while

    shown, protocol = shown_url(url), url.partition("://")[0].lower()
    if protocol in _PACKAGES:  # its complaints would be printed beside the one line of an error
        logging.getLogger(_PACKAGES[protocol][0]).addHandler(logging.NullHandler())
    try:
        with _opening:
            system, path = url_to_fs(url, **_options(protocol))
    except ImportError as error:
        raise InputError(f"{shown}: {_missing(protocol, error)}") from None
    except Exception as error:  # ValueError: unknown protocol; whatever a package raises of settings
        raise InputError(f"{shown}: cannot be opened ({_reason(error)}); check the address") from None
    return RemoteFile(system, path, shown)


def read_whole(file: RemoteFile, where: str = "") -> bytes:
    """All bytes of a picture. Raises PictureError."""
    try:
        return tried(lambda: bytes(file.system.cat_file(file.path)), file.name)
    except InputError as error:
        prefix = f"{where}: " if where else ""
        raise PictureError(f"{prefix}{error} or use `on_error='skip'`") from None


def tried(call: Callable[[], Result], name: str) -> Result:
    """What a call gives, after several tries where it fails; InputError when all of them have."""
    pauses = () if name.partition("://")[0].lower() in _PATIENT else _PAUSES
    for pause in (*pauses, 0):
        try:
            return call()
        except Exception as error:  # of many libraries
            if isinstance(error, InputError):
                raise
            failure = _behind(error)
            final = not pause or _is_final(failure)
        if final:
            break
        time.sleep(pause)
    raise InputError(f"{name}: {_failed(failure)}") from None


def _options(protocol: str) -> dict[str, Any]:
    """Web servers may fall silent, and are waited for no longer than this."""
    if protocol not in ("http", "https"):
        return {}
    import aiohttp

    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_connect=_SILENCE, sock_read=_SILENCE)}}


def _missing(protocol: str, error: ImportError) -> str:
    package, extra = _PACKAGES.get(protocol, ("", ""))
    if package:
        return f"{protocol}:// needs the package {package}; pip install 'cmmd-toolkit[{extra}]'"
    return f"{protocol}:// needs a package that is not installed ({first_line(error)})"


def _behind(error: Exception) -> Exception:
    """fsspec calls a file of a web server missing also where the server cannot be reached."""
    cause = error.__cause__
    from_network = isinstance(cause, OSError) or getattr(cause, "status", None) is not None
    return cause if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and from_network else error


def _is_final(error: Exception) -> bool:
    """Whether another try would fail, too."""
    status = _status(error)
    return isinstance(error, _FINAL) or (status is not None and 400 <= status < 500 and status not in _LATER)


def _status(error: Exception) -> int | None:
    """What a server answered, if it did: aiohttp, httpx and gcsfs have it in different places."""
    if str(error).startswith("Forbidden: "):  # by gcsfs, without a status
        return 403
    response = getattr(error, "response", None)
    status = getattr(error, "status", None) or getattr(response, "status_code", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _failed(error: Exception) -> str:
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return "cannot be read (nothing is there); check the address"
    if isinstance(error, PermissionError) or status in (401, 403):
        return f"cannot be read (no permission: {_reason(error)}); check your credentials"
    return f"cannot be read ({_reason(error)}); check the network and the address"


def _reason(error: Exception) -> str:
    return without_secrets(first_line(error)) or type(error).__name__
