"""Whole files and seeded damage to them, for hostile.py."""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Damage = Callable[[random.Random, bytearray], None]


def photograph(seed: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pictures() -> dict[str, bytes]:
    """Whole pictures by name (`format-variant`): each format in the variants that cameras and tools write."""
    rgb = photograph(0)
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L"))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "png-rgb": _encoded(rgb, "PNG"),
        "png-grey": _encoded(rgb.convert("L"), "PNG"),
        "png-palette": _encoded(rgb.convert("P"), "PNG"),
        "png-alpha": _encoded(rgba, "PNG"),
        "png-16": _encoded(grey16, "PNG"),
        "jpeg": _encoded(rgb, "JPEG", quality=90),
        "jpeg-progressive": _encoded(rgb, "JPEG", progressive=True),
        "jpeg-turned": _encoded(rgb, "JPEG", exif=turned),
        "jpeg-cmyk": _encoded(rgb.convert("CMYK"), "JPEG"),
        "webp": _encoded(rgb, "WEBP"),
        "webp-lossless": _encoded(rgba, "WEBP", lossless=True),
        "bmp": _encoded(rgb, "BMP"),
        "tiff": _encoded(rgb, "TIFF"),
        "tiff-lzw": _encoded(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": _encoded(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-16": _encoded(grey16, "TIFF"),
    }


def containers(scratch: Path) -> dict[str, bytes]:
    """Whole sets, stored features and checkpoints by file name."""
    from safetensors.numpy import save

    from cmmd_toolkit import Features, embed
    from cmmd_toolkit.backbones.mini import BUNDLED
    from dit_generators import DiT, DiTConfig, save_checkpoint

    batch = np.stack([np.asarray(photograph(seed)) for seed in range(4)])
    rows = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
    stored, plain, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(stored, mu=np.zeros(4), sigma=np.eye(4))
    np.save(plain, batch)
    np.savez(packed, arr_0=batch)
    shape = {"input_size": 8, "patch_size": 2, "in_channels": 3, "hidden_size": 32, "depth": 1, "num_heads": 2}
    model = DiT(DiTConfig(**shape, num_classes=0))
    save_checkpoint(model, scratch / "model.safetensors")
    Features(rows, {"backbone": "mini"}, tuple(f"{i}.png" for i in range(12))).save(scratch / "features.safetensors")
    recorded = embed(batch, backbone="mini", device="cpu")
    recorded.save(scratch / "recorded.safetensors")
    recorded.statistics().save(scratch / "statistics.safetensors")
    pickled = io.BytesIO()
    import torch

    torch.save({"ema": model.state_dict()}, pickled)
    whole = {path.name: path.read_bytes() for path in scratch.glob("*.safetensors")}
    return whole | {
        "set.zip": _zipped([f"{seed}.png" for seed in range(3)]),
        "nested.zip": _zipped([f"class {seed}/{'deep/' * 9}{seed}.png" for seed in range(3)]),
        "set.npy": plain.getvalue(),
        "set.npz": packed.getvalue(),
        "mini.safetensors": BUNDLED.read_bytes(),
        "statistics.npz": stored.getvalue(),
        "bare.safetensors": save({"features": rows}, {"cmmd": json.dumps({"backbone": 3})}),
        "model.pt": pickled.getvalue(),
    }


def _zipped(names: list[str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for seed, name in enumerate(names):
            out.writestr(name, _encoded(photograph(seed), "PNG"))
    return archive.getvalue()


def _flip(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice((1, 1, 4, 32))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _flip_head(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(min(len(data), 128))] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.randrange(1, 64))
    data[start:stop] = chance.randbytes(stop - start)


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def _zero_tail(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    data[start:] = bytes(len(data) - start)


def _remove(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, 64)]


def _insert(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    data[start:start] = chance.randbytes(chance.randrange(1, 64))


def _largest(chance: random.Random, data: bytearray) -> None:
    """A length field that says four thousand million, where there is one."""
    start = chance.randrange(min(len(data), 96))
    data[start : start + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00"))


def _value(chance: random.Random, data: bytearray) -> None:
    """Another value in the JSON header of a `.safetensors`, whose length stays true; elsewhere a flipped bit."""
    length = int.from_bytes(data[:8], "little")
    if not 2 < length < len(data):
        _flip(chance, data)
        return
    header = bytes(data[8 : 8 + length])
    found = chance.choice(list(re.finditer(rb'\\?"[^"]*"|-?[0-9]+|null|true|\[\]', header)))
    header = header[: found.start()] + chance.choice(_VALUES) + header[found.end() :]
    data[: 8 + length] = len(header).to_bytes(8, "little") + header


_VALUES = (b"0", b"-1", b"1e999", b"NaN", b"null", b'""', b'\\"x\\"', b"[]", b"[[1]]", b"{}", b"9" * 5000, b"[" * 2000)

DAMAGES: dict[str, Damage] = {
    "bits": _flip,
    "header bit": _flip_head,
    "bytes": _overwrite,
    "cut": _cut,
    "zero tail": _zero_tail,
    "removed": _remove,
    "inserted": _insert,
    "lengths": _largest,
    "value": _value,
}


def damaged(whole: bytes, seed: int) -> tuple[str, bytes]:
    """The name of the damage and the damaged bytes, by seed; never equal to the whole."""
    chance = random.Random(seed)
    name = chance.choice(sorted(DAMAGES))
    data = bytearray(whole)
    while bytes(data) == whole:
        DAMAGES[name](chance, data)
    return name, bytes(data)
