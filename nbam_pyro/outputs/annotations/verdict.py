"""The verdict on annotations: do they overlap enough, and do annotators agree as predicted?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import softmax

from nbam_pyro.outputs.annotations.fitting import Estimate
from nbam_pyro.outputs.annotations.reading import Annotated
from nbam_pyro.outputs.annotations.sampling import Draws
from nbam_pyro.outputs.explanation import Level
from nbam_pyro.outputs.open_share import MAJORITY, open_share, unknown_share
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import listed, percent, sentence, share_clause

__all__ = ["annotation_verdict"]

# Three independent labels of an item identify confusion matrices; a classifier counts as one.
_VIEWS = 3
# Smallest number of items with so many labels, and the smallest share of all annotated items.
_FEW_ITEMS, _FEW_SHARE = 20, 0.05
# Estimate and draws may choose different labels for this share of items.
_DIFFER = 0.05
# So many standard deviations more errors than expected may show shared mistakes. Few items show
# little, so this is not much.
_ERRORS = 1.0
_NAMED = 5


def annotation_verdict(
    data: Annotated,
    found: Estimate,
    draws: Draws,
    *,
    shares: np.ndarray,
    check: pd.DataFrame,
    copied: int,
    probability: float,
) -> Verdict:
    """Return the verdict.

    Args:
        data: Annotations.
        found: Estimated true labels and confusion matrices.
        draws: Draws of the unknown numbers.
        shares: Draws of the share of wrong annotations, (S,).
        check: Result of `agreement_check`.
        copied: Number of pairs of annotators that repeat mistakes.
        probability: Posterior probability that intervals contain.
    """
    tail = (1 - probability) / 2
    low, high = map(float, np.quantile(shares, [tail, 1 - tail]))
    told = share_clause((low, high), "annotations are wrong", probability=probability)
    problems = [*_problems(data, (low, high))]
    doubts = [*_doubts(found, draws, check, copied), *_shared_mistakes(data, found)]
    wide = open_share(low, high, all_right=0.0, share=float(shares.mean()))
    level: Level = "cannot tell" if problems else "weak" if doubts or wide else "identified"
    independent = (
        "annotators are assumed to err independently of each other, given the true label, and more "
        "often to be right than wrong"
    )
    return Verdict(
        level=level,
        sure=sentence(*(problems or [told])),
        assumed=sentence(*doubts, independent),
        decides="" if level == "identified" else sentence(*_decides(data, problems, doubts)),
    )


def _views(data: Annotated) -> np.ndarray:
    """Return the number of independent views of each annotated item."""
    labels = data.triples.received
    return labels[labels > 0] + (data.log_p is not None)


def _problems(data: Annotated, interval: tuple[float, float]) -> Iterator[str]:
    known = int((data.true_label >= 0).sum())
    views = _views(data)
    enough = int((views >= _VIEWS).sum())
    if known < _FEW_ITEMS and enough < max(_FEW_ITEMS, _FEW_SHARE * len(views)):
        more = "two labels beside the classifier" if data.log_p is not None else "three labels"
        yield (
            f"annotations barely overlap: only {enough:,} of {len(views):,} items have {more} or "
            "more, so the data cannot tell who is right"
        )
    if unknown_share(*interval):
        low, high = map(percent, interval)
        yield (
            "the data cannot tell how many annotations are wrong: the interval reaches from "
            f"{low} to {high}"
        )
    elif interval[1] >= MAJORITY:
        yield (
            f"up to {percent(interval[1])} of the annotations may be wrong, and if half of them or "
            "more are, it is open which class is which"
        )


def _doubts(found: Estimate, draws: Draws, check: pd.DataFrame, copied: int) -> Iterator[str]:
    failed = check[~check["agrees"]]
    if len(failed):
        one = failed.iloc[0]
        yield (
            "annotators do not agree as independent annotators would: the "
            f"{listed(failed['statistic'].tolist(), most=2)} is {one['observed']:.3f}, and the "
            f"model predicts {one['low']:.3f} to {one['high']:.3f}, so intervals are too narrow "
            "and some items are probably difficult for all annotators"
        )
    if copied:
        yield (
            f"{copied} pair{'' if copied == 1 else 's'} of annotators repeat each other's "
            "mistakes, so their labels count too much"
        )
    best = found.posterior.argmax(-1)
    modes = np.stack(
        [(draws.true_label == c).mean(0) for c in range(found.posterior.shape[1])], 1
    ).argmax(-1)
    differ = float((best != modes).mean())
    if differ > _DIFFER:
        yield (
            f"two ways to compute the consensus differ in {percent(differ)} of the items, so "
            "another explanation of the annotations is almost as good"
        )


def _shared_mistakes(data: Annotated, found: Estimate) -> Iterator[str]:
    """Yield what verified items say about mistakes that most annotators of an item share.

    Annotations alone cannot show such mistakes: they look like right labels of another class.
    """
    labelled = data.triples.received > 0
    known = np.flatnonzero(labelled & (data.true_label >= 0))
    if len(known) < _FEW_ITEMS:
        few = f"only {len(known)}" if len(known) else "no"
        items = "item is" if len(known) < 2 else "items are"
        yield (
            f"{few} annotated {items} verified, and mistakes that most annotators of an item share "
            "cannot be seen in their labels"
        )
        return
    blind = softmax(found.log_joint(data.triples)[known], -1)
    expected = 1 - blind.max(-1)
    wrong = int((blind.argmax(-1) != data.true_label[known]).sum())
    spread = float(np.sqrt((expected * (1 - expected)).sum()))
    if wrong > expected.sum() + _ERRORS * spread:
        yield (
            f"of {len(known)} verified items, annotations alone get {wrong} wrong, and "
            f"{expected.sum():.1f} were expected, so annotators may share mistakes"
        )


def _decides(data: Annotated, problems: list[str], doubts: list[str]) -> Iterator[str]:
    if any("overlap" in one for one in problems):
        missing = "two annotators" if data.log_p is not None else "three annotators"
        yield f"let {missing} or more label the same items, at least {_FEW_ITEMS} of them"
    if doubts or len(problems) > any("overlap" in one for one in problems):
        yield "verify the true labels of about 50 items that are chosen at random, with verified="
    elif not problems:
        yield "ask for more labels of the items with the largest gain"
