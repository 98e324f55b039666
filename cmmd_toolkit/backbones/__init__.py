"""Backbones: networks that turn pictures into features, all on one contract (base.py)."""

from .base import Backbone
from .registry import load_backbone

__all__ = ["Backbone", "load_backbone"]
