"""What is no checkpoint of a DiT, though it looks like one: other files, and models of other families."""

import argparse
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

# Families by a weight that only they have.
_WEIGHTS = {
    "U-ViT": r"(?:in_blocks|mid_block|out_blocks)\.",
    "MDT": r"(?:sideblocks\.|blocks\.\d+\.attn\.rel_pos_bias|en_inblocks\.)",
    "MaskDiT": r"(?:model\.)?(?:decoder_layer|decoder_blocks)\.",
    "PixArt": r"(?:blocks\.\d+\.cross_attn|y_embedder\.y_proj|t_block|caption_projection)\.",
    "Stable Diffusion 3": r"(?:model\.diffusion_model\.)?(?:joint_blocks|context_embedder)\.",
    "Flux": r"double_blocks\.",
}
_NORMALISED = r"blocks\.\d+\.attn\.(?:q_norm|k_norm)\."  # in several families, each with another objective
_FAMILIES = r"(U-?ViT|MDT(?:v2)?|MaskDiT|PixArt)"
_MODEL_NAME = re.compile(rf"(?<![a-z]){_FAMILIES}(?![a-z])", re.IGNORECASE)
_FILE_NAME = re.compile(rf"(?:^|[-_.]){_FAMILIES}[-_](?:S|B|L|XL|M|H)[-_/]?\d", re.IGNORECASE)
MODEL_FIELDS = ("model", "model_type", "model_name", "arch", "architecture", "modelspec.architecture", "_target_")
_ADVICE = "sampling it as a DiT would give wrong images; use the code it came with"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc": "7z"}
_SHOWN = 40  # characters of a text


def check_content(path: Path) -> None:
    """Raise CheckpointError for a pipe, and for a file that is a page, a pointer or an archive instead of weights."""
    if not path.is_file():
        raise CheckpointError(f"{path}: not a regular file (a pipe, device or socket); give a .safetensors or .pt file")
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start:
        raise CheckpointError(f"{path}: is empty; fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: is a Git-LFS pointer, not weights; run git lfs pull, or fetch the file itself")
    if re.match(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype|html|head|\?xml)", start, re.IGNORECASE | re.DOTALL):
        raise CheckpointError(f"{path}: is a web page, not weights; the download failed, fetch it again")
    if not re.search(rb"[^\t-\r\x20-\x7e]", start):
        text = " ".join(start.decode("ascii")[:_SHOWN].split())
        raise CheckpointError(f"{path}: is text, not weights ({text}); the download failed, fetch it again")
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise CheckpointError(f"{path}: is compressed ({kind}); unpack it first")
    if start.startswith(b"PK"):
        _check_archive(path)


def _check_archive(path: Path) -> None:
    """torch.save writes a zip with data.pkl in it; one that cannot be parse_list is left to torch, which says why."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return
    parts = {name.rpartition("/")[2] for name in names}
    if "data.pkl" not in parts:
        raise CheckpointError(f"{path}: is a zip of {', '.join(names[:3]) or 'nothing'}, not a checkpoint; unpack it")
    if "constants.pkl" in parts:
        raise CheckpointError(f"{path}: is a TorchScript program, not a state dict; save the model's state_dict()")


def check_args(arguments: Iterable[Any], where: str) -> None:
    """Raise CheckpointError when the arguments of a training script, however nested, are those of another family."""
    for name, value in walk(arguments):
        if name in MODEL_FIELDS and isinstance(value, str) and (found := _MODEL_NAME.search(value)):
            raise CheckpointError(f"{where}: is a {found[1]} ({value}), not a DiT; {_ADVICE}")


def walk(arguments: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of arguments that are dicts or Namespaces, model names first, and of those in them."""
    left, seen = [*arguments][::-1], set()
    while left:
        holder = left.pop()
        fields = vars(holder) if isinstance(holder, argparse.Namespace) else holder
        if not isinstance(fields, Mapping) or id(fields) in seen:
            continue
        seen.add(id(fields))
        named = {str(name).replace("-", "_"): value for name, value in fields.items()}
        yield from sorted(named.items(), key=lambda item: item[0] not in MODEL_FIELDS)
        left += named.values()


def check_family(names: Mapping[str, Any], where: str, *, known: bool = False) -> None:
    """Raise CheckpointError when names of weights, or of the file and its folders, are those of another family.

    Where the family is not `known`, normalised queries say that it is not DiT's.
    """
    unknown = {} if known else {"relative of DiT with normalised queries": _NORMALISED}
    for family, pattern in (_WEIGHTS | unknown).items():
        found = next((name for name in names if re.match(pattern, name)), None)
        if found:
            raise CheckpointError(f"{where}: is a {family} ({found}), not a DiT; {_ADVICE}")
    for part in Path(where).absolute().parts[-3:]:
        if named := _FILE_NAME.search(part):
            raise CheckpointError(f"{where}: is a {named[1]} by its name ({part}), not a DiT; {_ADVICE}")
