"""How one picture is read: its content first, by which it is recognised, and then its pixels."""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import PictureError
from .decode import Picture

Content = bytes | Picture  # encoded, or without an encoding of its own


@dataclass(frozen=True)
class Load:
    """One picture of a source; `load()` gives it decoded. Each step raises PictureError, and may run in any thread."""

    read: Callable[[], Content]
    decode: Callable[[bytes], Picture]

    def __call__(self) -> Picture:
        return self.decoded(self.read())

    def decoded(self, content: Content) -> Picture:
        """The picture of a content that `read` gave."""
        return content if isinstance(content, Picture) else self.decode(content)


def of_pixels(read: Callable[[], Picture]) -> Load:
    """For a picture that has no encoding."""
    return Load(read, _has_no_encoding)


def refusal(reason: PictureError) -> Load:
    """For a picture of which it is known already that it cannot be read."""

    def refuse() -> Picture:
        raise reason

    return of_pixels(refuse)


def _has_no_encoding(_data: bytes) -> Picture:
    raise AssertionError("a picture without an encoding is read decoded")


def content_digest(content: Content) -> bytes:
    """SHA-256 of the encoded bytes, or of pixels, size and conversions: equal for equal pictures only."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    height, width = content.pixels.shape[:2]
    said = "\0".join((content.format, *content.notes)).encode()
    digest = hashlib.sha256(b"pixels" + struct.pack("<QQQ", height, width, len(said)) + said)
    digest.update(np.ascontiguousarray(content.pixels).data)
    return digest.digest()
