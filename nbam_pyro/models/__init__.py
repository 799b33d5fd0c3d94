"""Stories and their components: what the data are assumed to have gone through.

Names load when they are first used, so that losses, which need a prior only, do not import Pyro.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
