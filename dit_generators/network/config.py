"""The shape of a DiT: one frozen dataclass, and the published presets."""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from ..attention.neighbours import Border
from ..attention.settings import AttentionSettings
from ..common.types import check_above_0, check_types
from ..errors import ArgumentError

# depth, hidden size, heads: Peebles & Xie, arXiv 2212.09748, table 1; Yao et al., arXiv 2501.01423, lightningdit.py.
SIZES = {"S": (12, 384, 6), "B": (12, 768, 12), "L": (24, 1024, 16), "XL": (28, 1152, 16)}
LIGHTNING_SIZES = {**SIZES, "1p0B": (24, 1536, 24), "1p6B": (28, 1792, 28)}
_PRESETS = {f"DiT-{size}/{patch}": numbers for size, numbers in SIZES.items() for patch in (2, 4, 8)}
_LIGHTNING = {f"LightningDiT-{size}/{patch}": own for size, own in LIGHTNING_SIZES.items() for patch in (1, 2)}
_BESIDE_DIT = ("qk_norm", "norm", "feed_forward", "rotary", "modulation_shift")
_MOST_HEADS = 32  # that a message suggests
_OLD_ENGINES = re.compile(r"\bswa:(?:flex|gather)\b")  # in files of versions that let users fix them


@dataclass(frozen=True)
class DiTConfig:
    """A Diffusion Transformer, its shape and how it attends.

    Attributes:
        input_size: rows (= columns) of the input in pixels or latent positions.
        patch_size: edge of a patch; divides input_size.
        in_channels: channels of the input (4 for Stable Diffusion's latents, 3 or 1 for pixels).
        hidden_size: width D of a token; divisible by 4 and by num_heads.
        depth: number of blocks.
        num_heads: attention heads per block.
        mlp_ratio: width of the feed-forward layer as a multiple of D; of both its halves where it is "swiglu".
        num_classes: number of classes; 0 for an unconditional model, which then has no label table.
        class_dropout_prob: share of labels replaced by the null label in training; 0 leaves the null label out.
        learn_sigma: also predict the variance: the output has 2 in_channels channels instead of in_channels.
        qk_norm: normalise the queries and keys of each head.
        norm: of tokens, queries and keys: "layer", or "rms".
        feed_forward: "gelu", two layers, or "swiglu", three.
        rotary: turn queries and keys by their positions, beside the table that is added; head_dim divisible by 4.
        modulation_shift: shift in the blocks, as well as scale and gate.
        attention: kind of each layer: naive, full, xformers, swa, or a pattern such as "swa*3,full".
        window, window_border, window_dilation: the window of the layers that are swa.

    Raises ArgumentError for a combination that cannot be built.
    """

    input_size: int = 32
    patch_size: int = 2
    in_channels: int = 4
    hidden_size: int = 1152
    depth: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    num_classes: int = 1000
    class_dropout_prob: float = 0.1
    learn_sigma: bool = True
    qk_norm: bool = False
    norm: Literal["layer", "rms"] = "layer"
    feed_forward: Literal["gelu", "swiglu"] = "gelu"
    rotary: bool = False
    modulation_shift: bool = True
    attention: str = "full"
    window: int = 3
    window_border: Border = "shift"
    window_dilation: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        check_above_0(self, "input_size", "patch_size", "in_channels", "hidden_size", "depth", "num_heads", "mlp_ratio")
        if self.input_size % self.patch_size:
            raise ArgumentError(
                f"input_size: expected a multiple of the patch size {self.patch_size}, got {self.input_size}"
            )
        if self.hidden_size % 4:
            raise ArgumentError(f"hidden_size: expected a multiple of 4, got {self.hidden_size}")
        if self.hidden_size % self.num_heads:
            divisors = [count for count in range(1, _MOST_HEADS + 1) if self.hidden_size % count == 0]
            raise ArgumentError(
                f"num_heads: expected a divisor of `hidden_size` {self.hidden_size}, got {self.num_heads}; "
                f"take one of {', '.join(map(str, divisors))}"
            )
        if self.rotary and self.head_dim % 4:
            raise ArgumentError(f"rotary: expected heads of a multiple of 4 channels, got {self.head_dim}")
        if self.num_classes < 0:
            raise ArgumentError(f"num_classes: expected 0 (unconditional) or more, got {self.num_classes}")
        if not 0 <= self.class_dropout_prob <= 1:
            raise ArgumentError(f"class_dropout_prob: expected 0 to 1, got {self.class_dropout_prob}")
        self.attention_settings.check(self.depth, self.grid)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "DiTConfig":
        """A published shape by its name, `DiT-XL/2`, `XL/2` or `LightningDiT-XL/1`; keywords change its fields."""
        full = name if "DiT-" in name else f"DiT-{name}"
        is_lightning = full.startswith("LightningDiT-")
        known = _LIGHTNING if is_lightning else _PRESETS | _LIGHTNING
        if full not in known:
            raise ArgumentError(f"{name}: no such preset; expected one of {', '.join(known)}")
        depth, hidden_size, num_heads = known[full]
        shape = {"depth": depth, "hidden_size": hidden_size, "num_heads": num_heads, "patch_size": int(full[-1])}
        layers = _lightning_layers(hidden_size) if is_lightning else {}
        return cls(**{**shape, **layers, **changes})

    @property
    def inner_size(self) -> int:
        """Width of the feed-forward layer."""
        return int(self.hidden_size * self.mlp_ratio + 1e-6)  # a ratio of two whole numbers may come out below

    @property
    def beside_dit(self) -> list[str]:
        """The fields in which its layers are not those of DiT."""
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        return [name for name in _BESIDE_DIT if getattr(self, name) != fields[name]]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return (self.input_size // self.patch_size,) * 2

    @property
    def num_tokens(self) -> int:
        """Number of tokens N."""
        return self.grid[0] * self.grid[1]

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def out_channels(self) -> int:
        """Channels that the network gives: noise, and the raw variance where it is learned."""
        return self.in_channels * (2 if self.learn_sigma else 1)

    @property
    def has_null_label(self) -> bool:
        """Whether the label table has a row for "no label"."""
        return self.num_classes > 0 and self.class_dropout_prob > 0

    @property
    def null_label(self) -> int:
        """The label that stands for "no label": always num_classes."""
        return self.num_classes

    @property
    def attention_settings(self) -> AttentionSettings:
        """The attention's fields as one value."""
        return AttentionSettings(self.attention, self.window, self.window_border, self.window_dilation)

    def to_json(self) -> str:
        """One line of JSON; `from_dict` takes it back once parsed."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, fields: Any) -> "DiTConfig":
        """From parsed JSON; raises ArgumentError that names an unknown or wrong field.

        An engine of swa that is no option any more, flex or gather, is read as swa, which computes the same.
        """
        if not isinstance(fields, dict):
            raise ArgumentError(f"expected the fields of a DiTConfig, got {type(fields).__name__}")
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := next((name for name in fields if name not in names), None):
            raise ArgumentError(f"DiTConfig has no field {unknown!r}; expected some of {', '.join(names)}")
        if isinstance(pattern := fields.get("attention"), str):
            fields = {**fields, "attention": _OLD_ENGINES.sub("swa", pattern)}
        return cls(**fields)


def _lightning_layers(hidden_size: int) -> dict[str, Any]:
    """As the published models are: inputs of 16 x 16 x 32, no variance, and a SwiGLU of 2/3 of four times the width."""
    inputs = {"input_size": 16, "in_channels": 32, "learn_sigma": False}
    layers = {"norm": "rms", "feed_forward": "swiglu", "rotary": True}
    return {**inputs, **layers, "mlp_ratio": int(2 / 3 * 4 * hidden_size) / hidden_size}
