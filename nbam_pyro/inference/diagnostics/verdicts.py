"""The verdict of every fit, and the warning if it is "cannot tell"."""

from collections.abc import Callable, Sequence

from nbam_pyro.inference.diagnostics.collapse import (
    COLLAPSE_ADVICE,
    CollapseReport,
    collapse_clause,
)
from nbam_pyro.inference.diagnostics.label_evidence import LabelEvidence
from nbam_pyro.inference.diagnostics.label_verdict import label_verdict
from nbam_pyro.inference.diagnostics.measurement_verdict import modes_verdict
from nbam_pyro.inference.variational.peak import Peak
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import sentence

__all__ = ["UNCHECKED", "verdict_of"]

UNCHECKED = Verdict(level="cannot tell", sure="The fit was not checked.")
"""Verdict of a fit that has no reports yet."""


def verdict_of(
    collapse: CollapseReport,
    evidence: LabelEvidence | None,
    peaks: Sequence[Peak] = (),
    *,
    most: float = 0.0,
    widening: Callable[[], float] | None = None,
    held_out: Callable[[], Verdict] | None = None,
) -> Verdict:
    """Return the verdict of a fit of any story.

    Args:
        collapse: Collapse report of the fit.
        evidence: Numbers from which the verdict on labels is made; None if the story has no latent
            true label.
        peaks: Modes of the posterior; empty if they were not searched.
        most: Upper end of the 90 % interval of the contaminated share, which belongs to the peaks.
        widening: Function that returns the factor by which unknown switches widen the posterior of
            the clean means, which belongs to the peaks; None if it is not known.
        held_out: Function that returns the verdict from the residuals of held-out measurements. It
            is called if `evidence` is None, the fit has not collapsed, and there are no peaks. None
            for stories without a location of clean measurements; their verdict then depends on the
            collapse report alone.

    Example:
        >>> print(verdict_of(CollapseReport(0.1, 0.1), None))
        Verdict: identified
        The fit has shown no sign of collapse (mean responsibility 0.100, disagreement 0.100).
        The story is taken as right, because nothing else was checked.
    """
    if evidence is not None:
        return label_verdict(evidence)
    if collapse.collapsed:
        return Verdict(
            level="cannot tell",
            sure=sentence(collapse_clause(str(collapse))),
            decides=sentence(COLLAPSE_ADVICE),
        )
    if peaks:
        return modes_verdict(peaks, most=most, widening=widening)
    if held_out is not None:
        return held_out()
    return Verdict(
        level="identified",
        sure=f"The fit has {collapse}.",
        assumed="The story is taken as right, because nothing else was checked.",
    )
