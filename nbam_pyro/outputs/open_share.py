"""When the share of wrong labels is open, given its interval and "no label is wrong"."""

__all__ = ["COMPETES", "MAJORITY", "open_share", "unknown_share"]

# Widths of the interval of the share above which the verdict is weak, or cannot tell. Chosen on the
# development designs of benchmarks/calibration/sharpness_prior.py.
_WEAK, _UNKNOWN = 0.12, 0.3
# Both answers are probable if each has more than this weight, and the share is larger than the
# second number if labels are wrong.
_RIVAL, _MATTERS = 0.12, 0.02

MAJORITY = 0.5
"""If this share of the labels or more may be wrong, the names of the classes are open."""

COMPETES = 0.02
"""An explanation with a smaller weight is not mentioned."""


def unknown_share(low: float, high: float) -> bool:
    """Return whether the data cannot tell how many labels are wrong.

    Args:
        low: Lower end of the interval of the share of wrong labels.
        high: Upper end of this interval.
    """
    return high - low > _UNKNOWN


def open_share(low: float, high: float, *, all_right: float, share: float) -> bool:
    """Return whether the share of wrong labels is at most weakly determined.

    Its interval is wide, or right labels and wrong labels are both probable, and differ.

    Args:
        low: Lower end of the interval of the share.
        high: Upper end of this interval.
        all_right: Probability that no label is wrong.
        share: Share of wrong labels, averaged over both answers.
    """
    rivals = min(all_right, 1 - all_right) > _RIVAL and share / (1 - all_right) > _MATTERS
    return rivals or high - low > _WEAK
