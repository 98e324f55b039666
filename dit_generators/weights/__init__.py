"""Checkpoints and autoencoders, wherever they come from."""
