"""scikit-learn estimators, which call `fit` on tables and image arrays.

Names load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
