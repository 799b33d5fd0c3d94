"""Runs: from a data file to a run folder, reading it again, and its summary in words.

Use `read_run` in Python to load the fit of a run and the encoding of its features. Names load when
first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
