"""How many multiply-adds a DiT takes, and what share of them attention is: arithmetic from the layer shapes."""

from ..attention.settings import AttentionSettings
from .config import DiTConfig


def multiply_adds(config: DiTConfig, settings: AttentionSettings | None = None) -> int:
    """Multiply-adds of one forward pass for one image (the "Gflops" of the DiT paper, table 4, times 1e9)."""
    tokens, width = config.num_tokens, config.hidden_size
    layers = 3 if config.feed_forward == "swiglu" else 2
    vectors = 6 if config.modulation_shift else 4
    # A token in a block: Q, K, V and the projection (4 D^2), feed-forward (2 or 3 D inner); an image: adaLN's vectors.
    block = tokens * (4 * width**2 + layers * width * config.inner_size) + vectors * width**2
    patch = config.patch_size**2
    # Patches in and out; adaLN of the last layer (2 D^2); the two layers of the timestep's embedding.
    ends = tokens * width * patch * (config.in_channels + config.out_channels) + 2 * width**2 + 256 * width + width**2
    return config.depth * block + ends + attention_multiply_adds(config, settings)


def attention_multiply_adds(config: DiTConfig, settings: AttentionSettings | None = None) -> int:
    """Those of Q K^T and of the product with V, all layers: what an attention engine can save at most."""
    settings = settings or config.attention_settings
    window = min(settings.window**2, config.num_tokens)
    keys = (config.num_tokens if kind == ("full",) else window for kind in settings.meaning(config.depth))
    return 2 * config.num_tokens * config.hidden_size * sum(keys)


def attention_share(config: DiTConfig) -> float:
    """Share of full attention in all multiply-adds: a model gets at most 1 / (1 - share) times as fast without it."""
    full = AttentionSettings("full")
    return attention_multiply_adds(config, full) / multiply_adds(config, full)
