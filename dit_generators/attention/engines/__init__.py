"""One file an engine: query, key, value (B, heads, N, head_dim) to the same shape."""
