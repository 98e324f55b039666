"""Diffusion Transformers with interchangeable attention, official checkpoints, and sampling one can trust.

The public names are in __init__.pyi. Each is loaded when it is first used: importing this package imports neither torch
nor diffusers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
