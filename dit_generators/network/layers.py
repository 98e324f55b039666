"""The layers of a DiT (Peebles & Xie, arXiv 2212.09748) and those of LightningDiT beside them, official names."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..attention import Attention as Attend
from .config import DiTConfig

_NORM_EPS = 1e-6
_QK_NORM_EPS = 1e-5  # of LayerNorm; RMSNorm's is 1e-6 everywhere


def modulate(x: Tensor, shift: Tensor | None, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift, for x (B, N, D) and shift, scale (B, D); no shift where it is None."""
    scaled = x * (1 + scale[:, None])
    return scaled if shift is None else scaled + shift[:, None]


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean x^2 + eps) times a weight (Zhang & Sennrich, arXiv 1910.07467, eq. 4), in float32 as LayerNorm."""

    def forward(self, x: Tensor) -> Tensor:
        normed = F.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps)
        return normed.to(self.weight.dtype)


def norm(config: DiTConfig) -> nn.Module:
    """Of tokens: LayerNorm without weights, or RMSNorm with them."""
    if config.norm == "rms":
        return RMSNorm(config.hidden_size, eps=_NORM_EPS)
    return nn.LayerNorm(config.hidden_size, eps=_NORM_EPS, elementwise_affine=False)


def qk_norm(config: DiTConfig) -> nn.Module:
    """Of each head's queries or keys (Dehghani et al., arXiv 2302.05442, section 2), by the same norm with weights."""
    if not config.qk_norm:
        return nn.Identity()
    if config.norm == "rms":
        return RMSNorm(config.head_dim, eps=_NORM_EPS)
    return nn.LayerNorm(config.head_dim, eps=_QK_NORM_EPS)


class PatchEmbed(nn.Module):
    """Images (B, C, H, W) -> tokens (B, N, D): one linear map of each patch, row-major."""

    def __init__(self, patch_size: int, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, hidden_size, patch_size, patch_size)

    def forward(self, x: Tensor) -> Tensor:
        # The convolution of stride = kernel as a matrix product, whose rounding does not depend on the batch.
        patches = F.unfold(x, self.proj.kernel_size, stride=self.proj.stride).transpose(1, 2)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class SelfAttention(nn.Module):
    """Multi-head self-attention of tokens (B, N, D) by whichever function `attend` is given."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.q_norm, self.k_norm = qk_norm(config), qk_norm(config)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, attend: Attend, positions: nn.Module | None = None) -> Tensor:
        """Queries and keys are normalised, then turned by `positions`; both in the type of the values."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = self.q_norm(query), self.k_norm(key)
        if positions is not None:
            query, key = positions(query), positions(key)
        attended = attend(query.to(value.dtype), key.to(value.dtype), value)
        return self.proj(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with the tanh approximation of GELU between them."""

    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, inner_size)
        self.fc2 = nn.Linear(inner_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class SwiGLU(nn.Module):
    """W_3 (SiLU(W_1 x) * W_2 x) (Shazeer, arXiv 2002.05202, eq. 6, with biases); W_1 and W_2 are one layer."""

    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(hidden_size, 2 * inner_size)
        self.w3 = nn.Linear(inner_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class DiTBlock(nn.Module):
    """Attention and feed-forward, each shifted, scaled and gated by the conditioning vector (adaLN-Zero)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width, shifts = config.hidden_size, config.modulation_shift
        self.norm1 = norm(config)
        self.attn = SelfAttention(config)
        self.norm2 = norm(config)
        self.mlp = (SwiGLU if config.feed_forward == "swiglu" else FeedForward)(width, config.inner_size)
        self.shifts = shifts
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, (6 if shifts else 4) * width))

    def forward(self, x: Tensor, c: Tensor, attend: Attend, positions: nn.Module | None = None) -> Tensor:
        """x (B, N, D), c (B or more, D); rows of c beyond B are computed and left out."""
        modulation = self.adaLN_modulation(c)[: len(x)]
        if self.shifts:  # section 3.2, "adaLN-Zero block"
            shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation.chunk(6, dim=1)
        else:
            scale_msa, gate_msa, scale_mlp, gate_mlp = modulation.chunk(4, dim=1)
            shift_msa = shift_mlp = None
        x = x + gate_msa[:, None] * self.attn(modulate(self.norm1(x), shift_msa, scale_msa), attend, positions)
        return x + gate_mlp[:, None] * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))


class FinalLayer(nn.Module):
    """Tokens (B, N, D) -> patches (B, N, patch * patch * channels), channel last within a patch."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm_final = norm(config)
        self.linear = nn.Linear(width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c)[: len(x)].chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))
