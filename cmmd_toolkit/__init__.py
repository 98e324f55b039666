"""How close a set of generated images is to real ones. See README.md and docs/.

The public names are in __init__.pyi. Each is loaded when it is first used: importing this package imports neither torch
nor transformers.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
