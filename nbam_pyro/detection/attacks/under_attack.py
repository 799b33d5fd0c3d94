"""`attacked_auc`: the AUROC of a detector when an attacker changes the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.attacks.ball import Bounds, check_bounds
from nbam_pyro.detection.attacks.checks import checks_of
from nbam_pyro.detection.attacks.moving import Rows, Strength, auroc, moved, signed, subset
from nbam_pyro.detection.attacks.report import AttackReport
from nbam_pyro.detection.attacks.steps import StepRule
from nbam_pyro.detection.attacks.targets import Target, target_of
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["attacked_auc"]

# Without a threshold of the detector, this share of normal rows is flagged without an attack.
_FLAGGED = 0.05


def attacked_auc(
    detector: Any,
    X: Any,
    y: ArrayLike,
    *,
    eps: Sequence[float],
    bounds: Bounds | None = None,
    unit: ArrayLike = 1.0,
    steps: int = 20,
    starts: int = 1,
    step_rule: StepRule | None = None,
    samples: int = 1,
    smoothed: bool = True,
    queries: int = 500,
    surrogates: Sequence[Any] = (),
    checked: int = 200,
    seed: int = 0,
) -> AttackReport:
    r"""Return how well a detector separates anomalies when an attacker changes the rows.

    The attacker knows the detector, and may change each value of a row by at most eps. It raises
    the scores of normal rows and lowers those of anomalies:

    .. math::
        x' = \arg\max_{|x' - x|_\infty \le \epsilon} \sigma(x) s(x'), \qquad
        \sigma = 1 \text{ for normal rows, } -1 \text{ for anomalies}

    An `AnomalyDetector` with any backbone is attacked through its network. If its scores are
    ranks, it is attacked through the energies below them. `Mahalanobis` is differentiated, and so
    are statistics whose density or classifier is a `TorchFunction`. Any other detector has no
    gradients: it is attacked by score queries, and by the attacked rows of `surrogates`. The
    report then says "not attacked by gradients".

    Each eps begins with the worst rows of the smaller one. Therefore no row gets a better score
    with a larger eps, and the AUROC does not increase.

    Args:
        detector: Fitted `AnomalyDetector`; a test statistic; a detector of this library, of PyOD or
            of scikit-learn with `decision_function`; or a function that takes rows and returns
            scores, high for anomalies.
        X: Rows that the detector was not trained on: features, (N, D), or images, (N, C, H, W).
        y: 1 for an anomaly and 0 for a normal row, (N,).
        eps: Largest changes of a value, such as ``[4 / 255, 16 / 255]`` for pixels in [0, 1].
        bounds: Smallest and largest value, such as (0, 1) for pixels; None without bounds.
        unit: Change of each feature at eps = 1, as a number or (D,). Give the standard deviations
            of the features if they have different units.
        steps: Number of gradient steps from each start.
        starts: Number of starts, the first at the rows themselves and the others random.
        step_rule: Rule of the steps. None for `FixedStep()`.
        samples: Number of scores that are averaged if the score has random numbers.
        smoothed: Whether rows are also moved through smoothed forms of the score, if the backbone
            has any. This takes as many steps again for each form.
        queries: Number of score queries for each row: the attack on a detector without gradients,
            and the comparison for one with gradients.
        surrogates: Detectors with gradients, such as one trained with another seed. Rows that
            fool them are tried, too.
        checked: Largest number of rows for the checks that attack again.
        seed: Seed of all random numbers. Global random states are not changed.

    Returns:
        AUROC and worst scores for each eps, and checks of the attack.

    Raises:
        DataError: A shape or a setting is wrong, a value is missing or out of bounds, or there are
            no anomalies or no normal rows.

    Source: Madry et al. (2018), Croce & Hein (2020), Carlini et al. (2019).

    Example:
        >>> from nbam_pyro.detection import Mahalanobis
        >>> rng = np.random.default_rng(0)
        >>> normal, odd = rng.normal(size=(100, 2)), rng.normal(size=(50, 2)) + 4
        >>> x, y = np.r_[normal, odd], np.arange(150) >= 100
        >>> report = attacked_auc(Mahalanobis(rng.normal(size=(200, 2))), x, y, eps=[0.5, 2])
        >>> report.clean_auroc > report.auroc[0] > report.auroc[1]
        np.True_
        >>> report.masked
        False
    """
    x, odd = _rows(X), _labels(y)
    sizes = _checked(x, odd, eps, bounds, checked=checked)
    units = np.asarray(unit, dtype=float)
    _check_unit(units, x)
    rows = Rows(
        x=x,
        sign=np.where(odd, -1.0, 1.0),
        unit=units,
        bounds=bounds,
        seed=seed,
    )
    target = target_of(detector)
    strength = Strength(
        steps=steps,
        starts=starts,
        step_rule=step_rule,
        samples=samples,
        smoothed=smoothed,
        queries=queries,
        surrogates=tuple(map(_with_gradients, surrogates)),
    )
    clean, worst = target.scores(x), x
    scores, noise = [], []
    for size in sizes:
        worst, found = moved(target, rows, size, strength, worst) if size else (x, clean)
        changed, other = signed(target, rows, size)
        worse = rows.sign * other > rows.sign * found
        worst = np.where(worse.reshape(-1, *(1,) * (x.ndim - 1)), changed, worst)
        scores.append(np.where(worse, other, found))
        noise.append(auroc(other, odd))
    index = subset(odd, checked, seed)
    checks = checks_of(target, rows.part(index), sizes[-1], strength, worst=worst[index])
    threshold, chosen = _threshold(target, clean[~odd])
    return AttackReport(
        detector=target.name,
        eps=sizes,
        auroc=np.array([auroc(one, odd) for one in scores]),
        clean=clean,
        scores=np.stack(scores),
        anomaly=odd,
        x=worst,
        random_signs=np.array(noise),
        threshold=threshold,
        chosen=chosen,
        method=_method(target, strength),
        by_gradients=target.score is not None,
        checks=tuple(checks) if sizes[-1] > 0 else (),
    )


def _rows(X: Any) -> np.ndarray:
    x = as_numbers(X, "X").astype(np.float64)
    if x.ndim not in (2, 4) or not len(x):
        raise DataError(f"X has shape {x.shape}; give features (N, D) or images (N, C, H, W).")
    check_finite(x, "X")
    return x


def _labels(y: ArrayLike) -> np.ndarray:
    labels = as_numbers(y, "y")
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise DataError("y must have 1 for an anomaly and 0 for a normal row, (N,).")
    return np.asarray(labels == 1)


def _checked(
    x: np.ndarray,
    odd: np.ndarray,
    eps: Sequence[float],
    bounds: Bounds | None,
    *,
    checked: int,
) -> tuple[float, ...]:
    if len(odd) != len(x):
        raise DataError(f"y has {len(odd)} labels, but X has {len(x)} rows. Give one for each.")
    if odd.all() or not odd.any():
        raise DataError("y has only one kind of rows; give normal rows (0) and anomalies (1).")
    sizes = tuple(sorted({float(one) for one in np.ravel(np.asarray(eps, dtype=float))}))
    if not sizes or not np.isfinite(sizes).all() or sizes[0] < 0:
        raise DataError(f"eps is {eps}; give one or more finite numbers, 0 or more.")
    check_whole("checked", checked, least=2)
    if bounds is not None:
        check_bounds(torch.as_tensor(x), bounds)
    return sizes


def _check_unit(unit: np.ndarray, x: np.ndarray) -> None:
    """Raise an error if units are not positive, or do not fit to the features of a row."""
    try:
        np.broadcast_to(unit, x.shape)
    except ValueError as error:
        raise DataError(
            f"unit has shape {unit.shape}, but a row has {x.shape[1:]}. Give one number, or one "
            "for each feature."
        ) from error
    if not (np.isfinite(unit) & (unit >= 0)).all():
        raise DataError("unit must be finite and 0 or more. Give for instance X.std(0).")


def _with_gradients(surrogate: Any) -> Target:
    target = target_of(surrogate)
    if target.score is None:
        raise DataError(
            f"The surrogate {target.name} has no gradients. Give an AnomalyDetector with a "
            "backbone, or a statistic with a TorchFunction."
        )
    return target


def _threshold(target: Target, normal: np.ndarray) -> tuple[float, str]:
    if target.threshold is not None:
        return target.threshold, "that of the detector"
    value = float(np.quantile(normal, 1 - _FLAGGED, method="higher"))
    return value, f"above {1 - _FLAGGED:.0%} of the normal rows without an attack"


def _method(target: Target, strength: Strength) -> str:
    if target.score is None:
        by = f"by {strength.queries} score queries for each row"
        if strength.surrogates:
            by += f" and by {len(strength.surrogates)} surrogates"
    else:
        many = "one start" if strength.starts == 1 else f"each of {strength.starts} starts"
        by = f"by {strength.steps} gradient steps from {many}"
    return f"Normal rows were moved up and anomalies down, {by}."
