"""A switch on the outputs of any model: rates, flips and responsibilities from predictions.

Names load when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
