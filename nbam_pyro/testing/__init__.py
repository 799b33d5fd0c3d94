"""Checks for parts that you write yourself: stories, components, backbones and recipe steps.

Each function takes one of your parts and a few rows, and runs it in the ways in which the library
runs it. If the part does not work, it raises a `nbam_pyro.errors.ContractError`, which states the
cause and how to fix it. Call these functions from your own tests. Names load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
