"""Seeded damage to the bytes of a file."""

import random
from collections.abc import Iterator


def damages(content: bytes, count: int) -> Iterator[bytes]:
    """Seeded: bytes changed, cut short, zeroed, put in, not UTF-8, other values, nothing."""
    for seed in range(count):
        chance = random.Random(seed)
        place, length = chance.randrange(len(content)), chance.randrange(1, 64)
        after = content[place + length :]
        changed = bytes([content[place] ^ (1 << chance.randrange(8))])
        yield chance.choice([
            content[:place] + changed + content[place + 1 :],
            content[:place],
            content[:place] + bytes(length) + after,
            content[:place] + chance.randbytes(length) + content[place:],
            content[:place] + b"\xff\xfe" + after,
            content[:place] + chance.choice([b"null", b"-1", b"1e999", b"[" * 3000, b'"x"', b"true", b"{}"]) + after,
            b"",
        ])  # fmt: skip
