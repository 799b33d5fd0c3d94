"""Probabilistic models for contaminated data, on Pyro and PyTorch.

Names are imported when they are first used, so that importing the package is fast.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
