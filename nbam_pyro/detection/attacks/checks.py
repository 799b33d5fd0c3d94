"""Checks that an attack was strong enough for its result to be believed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch

from nbam_pyro.detection.attacks.gradients import Score
from nbam_pyro.detection.attacks.moving import Rows, Strength, auroc, moved, queried, signed
from nbam_pyro.detection.attacks.steps import HalvingStep
from nbam_pyro.detection.attacks.targets import Target

__all__ = ["Check", "checks_of"]

# Differences of AUROC below this are not counted.
_SMALL = 0.01
# An attack with a large ball must bring the AUROC below this.
_BROKEN = 0.1
# Number of equal steps from 0 to twice eps along a straight line.
_PIECES = 32
# Least share of the way of a score that must be a rise, and largest share in one of the steps.
_RISE = 0.5
_JUMP = 0.5
# A large ball without bounds, in units of the largest eps.
_LARGE = 20.0


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of an attack.

    Attributes:
        name: Name of the check.
        passed: Whether it passed; None if it does not apply.
        text: What was found, as a sentence.
    """

    name: str
    passed: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "Passed", False: "Failed", None: "Does not apply"}[self.passed]
        return f"{word} ({self.name}): {self.text}"


def checks_of(
    target: Target, rows: Rows, eps: float, strength: Strength, *, worst: np.ndarray
) -> Iterator[Check]:
    """Yield the checks of an attack.

    Args:
        target: Scores of the detector.
        rows: Rows that were attacked, or some of them.
        eps: Largest change of a value.
        strength: How much the attacker tried.
        worst: Worst rows that were found with this eps, (N, ...).
    """
    scores, odd = target.scores(worst), rows.sign < 0
    clean, found = target.scores(rows.x), auroc(scores, odd)
    yield _no_better(clean, scores, rows.sign)
    yield _same_again(clean, target.scores(rows.x))
    yield _random_signs(auroc(signed(target, rows, eps)[1], odd), found)
    if target.score is None:
        text = "there are no gradients to check; the rows were moved by queries or transfer."
        yield Check(name="gradients", passed=None, text=text)
        stronger = replace(strength, queries=2 * strength.queries)
        what = f"twice as many queries ({stronger.queries})"
    else:
        yield _gradients(target, rows)
        yield _lines(target, rows, eps)
        queries = auroc(queried(target, rows, eps, strength.queries)[1], odd)
        yield Check(
            name="queries",
            passed=queries > found - _SMALL,
            text=f"{strength.queries} score queries, which use no gradients, bring the AUROC to "
            f"{queries:.3f}; the attack brings it to {found:.3f}.",
        )
        stronger = replace(
            strength, steps=2 * strength.steps, step_rule=HalvingStep(), smoothed=True
        )
        what = f"{stronger.steps} steps with momentum and halving, through all forms of the score,"
    again = auroc(moved(target, rows, eps, stronger, worst)[1], odd)
    yield Check(
        name="convergence",
        passed=found - again < _SMALL,
        text=f"{what} bring the AUROC to {again:.3f} instead of {found:.3f}.",
    )
    yield _large(target, rows, eps, strength, worst)


def _no_better(clean: np.ndarray, scores: np.ndarray, sign: np.ndarray) -> Check:
    better = int((sign * scores < sign * clean).sum())
    return Check(
        name="every row",
        passed=better == 0,
        text="no row has a better score under attack than without it."
        if better == 0
        else f"{better} rows have a better score under attack than without it.",
    )


def _same_again(clean: np.ndarray, again: np.ndarray) -> Check:
    same = bool(np.array_equal(clean, again))
    return Check(
        name="repeatable",
        passed=same,
        text="the same rows get the same scores twice."
        if same
        else "the same rows get other scores when they are scored again. Fix the random numbers of "
        "the detector: the attack keeps the worst of several random scores.",
    )


def _random_signs(noise: float, found: float) -> Check:
    return Check(
        name="random signs",
        passed=noise - found >= _SMALL or found < _SMALL,
        text=f"changes of eps in random directions bring the AUROC to {noise:.3f}; the attack "
        f"brings it to {found:.3f}.",
    )


def _gradients(target: Target, rows: Rows) -> Check:
    """Check that the score of no row is flat, as it is behind a rounding or a saturated unit."""
    rough = _gradient(target, rows).reshape(len(rows.x), -1)
    dead = int((~np.isfinite(rough).all(1) | (rough == 0).all(1)).sum())
    return Check(
        name="gradients",
        passed=dead == 0,
        text="the gradient of every row is finite and not 0."
        if dead == 0
        else f"the gradient of {dead} of {len(rough)} rows is 0 or not finite, so steps along it "
        "do not move these rows.",
    )


def _lines(target: Target, rows: Rows, eps: float) -> Check:
    """Check that scores along straight lines rise with the gradient, and do not jump.

    Both are signs of masking: a gradient that says nothing about the score, and a score that is
    constant in pieces.
    """
    sign = rows.sign.reshape(-1, *(1,) * (rows.x.ndim - 1))
    uphill = _shares(target, rows, eps, sign * np.sign(_gradient(target, rows)))
    noise = np.random.default_rng(rows.seed).choice([-1.0, 1.0], size=rows.x.shape)
    rise, jump = uphill[0], max(uphill[1], _shares(target, rows, eps, noise)[1])
    return Check(
        name="straight lines",
        passed=rise >= _RISE and jump <= _JUMP,
        text=f"from 0 to twice eps along the signs of the gradient, {rise:.0%} of the change of a "
        f"score goes the way of the attack; the largest of {_PIECES} steps has {jump:.0%} of it "
        "(medians of the rows).",
    )


def _shares(target: Target, rows: Rows, eps: float, direction: np.ndarray) -> tuple[float, float]:
    """Return medians of the net change and of the largest step, as shares of all change."""
    through = _through(target)
    line = []
    for share in np.linspace(0, 2, _PIECES + 1):
        x = rows.x + share * eps * rows.unit * direction
        x = x if rows.bounds is None else x.clip(*rows.bounds)
        with torch.no_grad():
            line.append(through(target.tensor(x)).double().cpu().numpy())
    change = rows.sign * np.diff(line, axis=0)
    way = np.abs(change).sum(0)
    change, way = change[:, way > 0], way[way > 0]
    if not len(way):  # the check of gradients counts flat scores
        return 1.0, 0.0
    return float(np.median(change.sum(0) / way)), float(np.median(np.abs(change).max(0) / way))


def _through(target: Target) -> Score:
    """Return the function through which rows are moved."""
    through = target.objectives[0] if target.objectives else target.score
    if through is None:
        raise TypeError("a target without gradients")
    return through


def _gradient(target: Target, rows: Rows) -> np.ndarray:
    x = target.tensor(rows.x).requires_grad_()
    (gradient,) = torch.autograd.grad(_through(target)(x).sum(), x)
    return np.asarray(gradient.double().cpu().numpy())


def _large(target: Target, rows: Rows, eps: float, strength: Strength, worst: np.ndarray) -> Check:
    bounds = rows.bounds
    wide = _LARGE * eps if bounds is None else max(eps, (bounds[1] - bounds[0]) / 2)
    scores = moved(target, rows, wide, strength, worst)[1]
    found = auroc(scores, rows.sign < 0)
    return Check(
        name="large eps",
        passed=found <= _BROKEN,
        text=f"at eps {wide:.3g}, with which no detector can be right, the AUROC is {found:.3f}.",
    )
