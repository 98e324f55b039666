"""Addresses such as s3://bucket/folder: told from paths, and shown without what is secret in them."""

import os
import re
from typing import Any

_URL = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]+)*://", re.IGNORECASE)  # C:\ has one letter
_IN_TEXT = re.compile(r"[a-z][a-z0-9+.-]+://[^\s'\"<>]*", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_SECRET = re.compile(r"\b(\w*(?:key|secret|token|password|signature|credential)\w*)=[^\s&;,'\"]+", re.IGNORECASE)


def is_url(name: Any) -> bool:
    """Whether this is an address with a protocol, not the path of a file here."""
    return isinstance(name, str) and _URL.match(name) is not None


def shown_url(url: str) -> str:
    """An address without user, password, query and fragment: signatures and tokens stand there."""
    return _QUERY.sub("", _USER.sub(r"\1", url))


def without_secrets(text: str) -> str:
    """A text, such as another library's error, in which every address is shown without what is secret."""
    shown = _IN_TEXT.sub(lambda found: shown_url(found[0]), text)
    return _SECRET.sub(r"\1=...", shown)


def base_name(name: str | os.PathLike[str]) -> str:
    """The last part of a path or address, without query and fragment."""
    text = os.fspath(name)
    return (shown_url(text) if is_url(text) else text).replace(os.sep, "/").rstrip("/").rpartition("/")[2]
