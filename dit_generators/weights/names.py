"""The names of weights in files: official, and as diffusers keeps them. Pure functions on state dicts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from cmmd_toolkit.common.text import first_names

from ..errors import CheckpointError, UnsaidError
from ..network.config import DiTConfig
from ..network.embeddings import position_table

State = dict[str, Tensor]

_TOP = {
    "pos_embed.proj": "x_embedder.proj",
    "proj_out_1": "final_layer.adaLN_modulation.1",
    "proj_out_2": "final_layer.linear",
}
_IN_BLOCK = {
    "norm1.linear": "adaLN_modulation.1",
    "attn1.to_out.0": "attn.proj",
    "ff.net.0.proj": "mlp.fc1",
    "ff.net.2": "mlp.fc2",
}
_EMBEDDERS = {  # diffusers keeps a copy in every block
    "norm1.emb.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "norm1.emb.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "norm1.emb.class_embedder.embedding_table": "y_embedder.embedding_table",
}
_CLASSES = ("DiTTransformer2DModel", "Transformer2DModel")
_OF_DIT = {"norm_type": "ada_norm_zero", "activation_fn": "gelu-approximate", "attention_bias": True}
_QKV = ("attn1.to_q", "attn1.to_k", "attn1.to_v")
_ROTARY = "feat_rope.freqs_cos"
_PUBLISHED = {384: 6, 768: 12, 1024: 16, 1152: 16}  # heads by width
_MOST_TOKENS = 2**16  # 4096 pixels as latents in patches of 2


def without_projectors(state: Mapping[str, Tensor]) -> State:
    """Without the heads by which REPA compares features while it trains (arXiv 2410.06940); sampling needs none.

    REPA's first checkpoints call the blocks behind those heads decoder_blocks, and count them anew.
    """
    projected = any(name.startswith("projectors.") for name in state)
    first = 1 + max((int(m[1]) for name in state if (m := re.match(r"blocks\.(\d{1,6})\.", name))), default=-1)

    def plain(name: str) -> str:
        match = re.fullmatch(r"decoder_blocks\.(\d{1,6})\.(.+)", name) if projected else None
        return f"blocks.{first + int(match[1])}.{match[2]}" if match else name

    return {plain(name): value for name, value in state.items() if not name.startswith("projectors.")}


def to_diffusers(state: Mapping[str, Tensor], config: DiTConfig) -> State:
    """Names and layout of diffusers' DiTTransformer2DModel."""
    if config.beside_dit:
        raise CheckpointError(f"diffusers' DiT has no {', '.join(config.beside_dit)}, as this model has")
    if not config.num_classes:
        raise CheckpointError("diffusers' DiT always has class labels; an unconditional model cannot be written for it")
    if not config.has_null_label:
        raise CheckpointError("diffusers' DiT always has a null label; this model has none")
    if any(config.attention_settings.meaning(config.depth)[i] != ("full",) for i in range(config.depth)):
        raise CheckpointError("diffusers' DiT has full attention only; this model was trained with windows")
    out: State = {}
    for names, ours in _named(config.depth):
        out |= zip(names, state[ours].chunk(len(names)), strict=True)
    return out


def _named(depth: int) -> Iterator[tuple[list[str], str]]:
    """Their names and ours of each weight; an embedder comes once for each block."""
    for part in ("weight", "bias"):
        yield from (([f"{theirs}.{part}"], f"{ours}.{part}") for theirs, ours in _TOP.items())
        for i in range(depth):
            block = f"transformer_blocks.{i}."
            yield [f"{block}{name}.{part}" for name in _QKV], f"blocks.{i}.attn.qkv.{part}"
            yield from (
                ([f"{block}{theirs}.{part}"], f"blocks.{i}.{ours}.{part}") for theirs, ours in _IN_BLOCK.items()
            )
            for theirs, ours in _EMBEDDERS.items():
                if f"{ours}.{part}" != "y_embedder.embedding_table.bias":
                    yield [f"{block}{theirs}.{part}"], f"{ours}.{part}"


def from_diffusers(state: Mapping[str, Tensor], config: DiTConfig, where: str) -> State:
    """Official names. Raises CheckpointError where blocks have embedders of their own, which official DiT has not."""
    left = dict(state)
    if config.num_tokens > _MOST_TOKENS or config.hidden_size != _size(state, "pos_embed.proj.weight", 4, where)[0]:
        raise CheckpointError(
            f"{where}: {config.num_tokens} tokens of width {config.hidden_size} are not those of its weights"
        )
    table = torch.from_numpy(position_table(config.hidden_size, config.grid)).float()[None]
    out = {"pos_embed": table}
    left.pop("pos_embed.pos_embed", None)
    for names, ours in _named(config.depth):
        parts = [_take(left, name, where) for name in names]
        value = torch.cat(parts) if len(parts) > 1 else parts[0]
        if (first := out.setdefault(ours, value)) is not value and not torch.equal(first, value):
            raise CheckpointError(
                f"{where}: {names[0]} differs from that of block 0. It was trained in diffusers, where each block "
                "embeds time and labels for itself; official DiT has one embedder, so it cannot be converted"
            )
    if left:
        raise CheckpointError(f"{where}: unknown weights {first_names(left, 3)}; it is not a DiTTransformer2DModel")
    return out


def diffusers_config(config: DiTConfig) -> dict[str, Any]:
    """config.json of diffusers' DiTTransformer2DModel."""
    if config.mlp_ratio != 4:
        raise CheckpointError(f"diffusers' DiT has mlp_ratio 4 only; this model has {config.mlp_ratio:g}")
    return {
        "_class_name": "DiTTransformer2DModel",
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "attention_head_dim": config.head_dim,
        "dropout": 0.0,
        "in_channels": config.in_channels,
        "norm_elementwise_affine": False,
        "norm_eps": 1e-05,
        "norm_num_groups": 32,
        "norm_type": "ada_norm_zero",
        "num_attention_heads": config.num_heads,
        "num_embeds_ada_norm": config.num_classes,
        "num_layers": config.depth,
        "out_channels": config.out_channels,
        "patch_size": config.patch_size,
        "sample_size": config.input_size,
        "upcast_attention": False,
    }


def config_from_diffusers(fields: Mapping[str, Any], where: str) -> DiTConfig:
    """The shape that config.json of a DiTTransformer2DModel (or of the older Transformer2DModel) describes."""
    expected = ("num_attention_heads", "attention_head_dim", "num_layers", "patch_size", "sample_size", "in_channels")
    missing = [name for name in expected if type(fields.get(name)) is not int]
    other = [name for name, value in _OF_DIT.items() if fields.get(name, value) not in (value, None)]
    classes = fields.get("num_embeds_ada_norm", 1000)
    if type(classes) is not int or classes < 1:
        missing.append("num_embeds_ada_norm")
    if missing or other or fields.get("_class_name", "DiTTransformer2DModel") not in _CLASSES:
        named = ", ".join([*missing, *other]) or fields["_class_name"]
        raise CheckpointError(f"{where}: is not the config.json of a DiT ({named})")
    in_channels = fields["in_channels"]
    return DiTConfig(
        input_size=fields["sample_size"],
        patch_size=fields["patch_size"],
        in_channels=in_channels,
        hidden_size=fields["num_attention_heads"] * fields["attention_head_dim"],
        depth=fields["num_layers"],
        num_heads=fields["num_attention_heads"],
        num_classes=classes,
        learn_sigma=(fields.get("out_channels") or in_channels) == 2 * in_channels,
    )


def config_from_shapes(
    state: Mapping[str, Tensor], num_heads: int | None, where: str, num_classes: int | None = None
) -> DiTConfig:
    """The configuration of an official state dict, read from the shapes; heads are known for published widths only."""
    _, tokens, _ = _size(state, "pos_embed", 3, where)
    hidden_size, in_channels, patch_size, _ = _size(state, "x_embedder.proj.weight", 4, where)
    outputs, _ = _size(state, "final_layer.linear.weight", 2, where)
    swiglu = "blocks.0.mlp.w12.weight" in state
    inner, _ = _size(state, f"blocks.0.mlp.{'w12' if swiglu else 'fc1'}.weight", 2, where)
    modulated, _ = _size(state, "blocks.0.adaLN_modulation.1.weight", 2, where)
    edge = round(tokens**0.5)
    if edge**2 != tokens:
        raise CheckpointError(f"{where}: pos_embed has {tokens} tokens, not a square grid")
    rows = _size(state, table, 2, where)[0] if (table := "y_embedder.embedding_table.weight") in state else 0
    has_null = _has_null(rows, num_classes, where)
    blocks = {int(match[1]) for name in state if (match := re.match(r"blocks\.(\d{1,6})\.", name))}
    return DiTConfig(
        input_size=edge * patch_size,
        patch_size=patch_size,
        in_channels=in_channels,
        hidden_size=hidden_size,
        depth=len(blocks),
        num_heads=_heads_of(state, hidden_size, num_heads, where),
        mlp_ratio=inner / (2 if swiglu else 1) / hidden_size,
        num_classes=rows - has_null,
        class_dropout_prob=0.1 if has_null else 0.0,
        learn_sigma=outputs == 2 * in_channels * patch_size**2,
        qk_norm="blocks.0.attn.q_norm.weight" in state,
        norm="rms" if "blocks.0.norm1.weight" in state else "layer",
        feed_forward="swiglu" if swiglu else "gelu",
        rotary=_ROTARY in state,
        modulation_shift=modulated != 4 * hidden_size,
    )


def _heads_of(state: Mapping[str, Tensor], hidden_size: int, num_heads: int | None, where: str) -> int:
    """By the width of a head, where weights or tables of one tell it; else as told, else as published."""
    for name, axis, dimensions in ((_ROTARY, 1, 2), ("blocks.0.attn.q_norm.weight", 0, 1)):
        if name in state:
            width = _size(state, name, dimensions, where)[axis]
            if hidden_size % width:
                raise CheckpointError(f"{where}: {name} is of heads of {width}, which do not divide {hidden_size}")
            return hidden_size // width
    if num_heads is None and hidden_size not in _PUBLISHED:
        raise UnsaidError(
            f"{where}: the number of attention heads is not in the file and width {hidden_size} is not that of a "
            "published DiT; give it (`num_heads=N`)"
        )
    return _PUBLISHED[hidden_size] if num_heads is None else num_heads


def _has_null(rows: int, num_classes: int | None, where: str) -> bool:
    """Whether the last row of a label table is the null label: as the arguments say, else where there is room."""
    if num_classes is None or not rows:
        return rows > 1  # a table of one row is the usual way to train without labels
    if rows not in (num_classes, num_classes + 1):
        raise CheckpointError(f"{where}: its arguments say {num_classes} classes, but its label table has {rows} rows")
    return rows == num_classes + 1


def _size(state: Mapping[str, Tensor], name: str, dimensions: int, where: str) -> tuple[int, ...]:
    """The shape of a weight that has so many dimensions, none of them empty."""
    if name not in state:
        raise CheckpointError(f"{where}: has no {name}; expected the weights of a DiT, found {first_names(state, 3)}")
    shape = tuple(state[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise CheckpointError(f"{where}: {name} has shape {shape}, expected {dimensions} dimensions")
    return shape


def _take(state: State, name: str, where: str) -> Tensor:
    if name not in state:
        raise CheckpointError(f"{where}: {name} is missing; the file is incomplete or of another network")
    return state.pop(name)
