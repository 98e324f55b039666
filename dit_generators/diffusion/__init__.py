"""Schedules, losses, samplers, guidance and noise."""
