"""Decisions from responsibilities: which data to flag, review, relabel or weight.

A responsibility is the probability that a datum is contaminated, P(z=1 | x, y). Decisions depend
only on these probabilities. Therefore they are reliable only if the probabilities are calibrated.
Some verified rows, drawn at random, show whether they are, and `reviewed` corrects them.
"""

from nbam_pyro.decisions.flagging import Costs, Flags, flags
from nbam_pyro.decisions.labels import relabel, weights
from nbam_pyro.decisions.queue import review_queue
from nbam_pyro.decisions.reviewed import Reviewed, reviewed

__all__ = [
    "Costs",
    "Flags",
    "Reviewed",
    "flags",
    "relabel",
    "review_queue",
    "reviewed",
    "weights",
]
