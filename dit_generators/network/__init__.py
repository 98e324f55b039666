"""The network, its shapes, and what it costs."""
