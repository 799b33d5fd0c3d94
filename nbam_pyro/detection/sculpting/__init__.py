"""How much a score changes the distribution of a nuisance, such as a mass, when it selects rows.

If background rows of some values of the nuisance pass a threshold more often than others, a peak
among the selected rows means nothing. Each figure comes with its floor: the value that it has on
average for a score that does not depend on the nuisance, with this number of rows. No score can be
seen to do better than the floor. Names load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
