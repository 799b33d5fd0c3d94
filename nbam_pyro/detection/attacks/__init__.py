"""Attacks on anomaly scores, and how far a detector withstands them. Names load when first used.

An attacker may change each value of a row by at most eps. It moves normal rows up, so that they are
flagged, and anomalies down, so that they are missed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
