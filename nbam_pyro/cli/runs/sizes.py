"""Notes on what a fit leaves out, or does with some of the rows, because there are many."""

from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.estimators.means import SEARCHED
from nbam_pyro.inference.posterior.sharpness_estimates import MOST

__all__ = ["size_notes"]


def size_notes(estimator: NBAMClassifier | NBAMRegressor, rows: int) -> list[str]:
    """Return one note if the size of the data changed what a fit did, or an empty list.

    The table in docs/howto/many_rows.md lists all limits.

    Args:
        estimator: Estimator that was fitted.
        rows: Number of rows that have a target.
    """
    if isinstance(estimator, NBAMRegressor):
        chosen = estimator.mean == "auto" and estimator.epochs is None  # else nothing is chosen
        if rows <= SEARCHED or not chosen or len(estimator.fit_.kind.x_shape) != 1:
            return []
        return [
            f"there are more than {SEARCHED} rows, so that lines, splines and Gaussian processes "
            "were not tried as the mean"
        ]
    if rows <= MOST or estimator.fit_.trust is None:
        return []
    return [
        f"there are more than {MOST} rows, so that how far the network can be trusted was "
        f"estimated from {MOST} random rows"
    ]
