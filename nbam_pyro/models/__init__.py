"""Generative stories and their components: assumptions about how data are contaminated.

Names are imported when they are first used. `nbam_pyro.losses` uses only a prior from this package
and therefore does not import Pyro.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
