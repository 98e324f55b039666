"""Pictures to batches and to latents."""
