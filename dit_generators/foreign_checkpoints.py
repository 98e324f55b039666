"""What is no checkpoint of a DiT, though it looks like one: other files by its name, and models of other families."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import CheckpointError

# Families by a weight that only they have.
_WEIGHTS = {
    "REPA": r"projectors\.",
    "LightningDiT": r"(?:blocks\.\d+\.mlp\.w12|feat_rope)\.",
    "U-ViT": r"(?:in_blocks|mid_block|out_blocks)\.",
    "MDT": r"(?:sideblocks\.|blocks\.\d+\.attn\.rel_pos_bias|en_inblocks\.)",
    "MaskDiT": r"(?:model\.)?(?:decoder_layer|decoder_blocks)\.",
    "PixArt": r"(?:blocks\.\d+\.cross_attn|y_embedder\.y_proj|t_block|caption_projection)\.",
    "Stable Diffusion 3": r"(?:model\.diffusion_model\.)?(?:joint_blocks|context_embedder)\.",
    "Flux": r"double_blocks\.",
}
# Transport models (SiT and what is built on it) share every name and shape with DiT: only their arguments tell.
_TRANSPORT_ARGS = ("path_type", "loss_weight", "proj_coeff", "enc_type", "train_eps", "sample_eps")
_FAMILY_NAMES = re.compile(r"(SiT|REPA|LightningDiT|U-?ViT|MDTv?2?|MaskDiT|PixArt)(?![a-z])")
_ADVICE = "its samples by the process of DiT would be wrong; use the code it came with"


def check_content(path: Path) -> None:
    """Raise CheckpointError for a pipe, an empty file, a Git-LFS pointer, or a page of HTML."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no regular file (a pipe, device or socket); give a .safetensors or .pt file")
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start:
        raise CheckpointError(f"{path}: is empty; fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path}: is a Git-LFS pointer and no weights; run git lfs pull, or fetch the file itself"
        )
    if re.match(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype|html|head|\?xml)", start, re.IGNORECASE | re.DOTALL):
        raise CheckpointError(f"{path}: is a web page and no weights; the download failed, fetch it again")


def check_args(args: Any, where: str) -> None:
    """Raise CheckpointError when the arguments of a training script are those of another family."""
    fields = args if isinstance(args, Mapping) else vars(args) if isinstance(args, argparse.Namespace) else {}
    named = _FAMILY_NAMES.match(str(fields.get("model", "")))
    if named:
        raise CheckpointError(f"{where}: is a {named[1]} ({fields['model']}) and no DiT; {_ADVICE}")
    told = [name for name in _TRANSPORT_ARGS if name in fields]
    if told:
        raise CheckpointError(f"{where}: its arguments have {told[0]}: a SiT or a relative and no DiT; {_ADVICE}")


def check_family(names: Mapping[str, Any], where: str) -> None:
    """Raise CheckpointError when names of weights, or of the file, are those of another family."""
    for family, pattern in _WEIGHTS.items():
        found = next((name for name in names if re.match(pattern, name)), None)
        if found:
            raise CheckpointError(f"{where}: is a {family} ({found}) and no DiT; {_ADVICE}")
    if re.match(r"SiT[-_]", Path(where).name):
        raise CheckpointError(f"{where}: is a SiT by its name and no DiT; {_ADVICE}")
