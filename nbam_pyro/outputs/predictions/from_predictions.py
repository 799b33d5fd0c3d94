"""Estimates of which measurements are wrong, and how many, from the predictions of any model."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.intervals import check_probability
from nbam_pyro.outputs.predictions.cells import cells_of
from nbam_pyro.outputs.predictions.fitting import fit_errors, shares_before
from nbam_pyro.outputs.predictions.residuals import Residuals
from nbam_pyro.outputs.predictions.spread import evened
from nbam_pyro.outputs.predictions.wording import predictions_note, predictions_verdict
from nbam_pyro.outputs.switch_codes import switch_codes

__all__ = ["from_predictions"]


def from_predictions(
    y: Any,
    mean: Any = None,
    *,
    scale: Any = None,
    quantiles: Any = None,
    draws: Any = None,
    verified: Any = None,
    prior: Beta | None = None,
    probability: float = 0.9,
    seed: int = 0,
) -> ContaminationReport:
    r"""Estimate wrong measurements and their share from out-of-sample predictions of any regressor.

    No model is trained. The residuals are standardised by the predicted mean and standard
    deviation, :math:`e = (y - \mu) / s`. The switch z is 1 if a measurement is contaminated. The
    story is

    .. math:: z \sim \text{Bernoulli}(\pi), \qquad
        e \mid z = 0 \sim \text{bulk}, \qquad e \mid z = 1 \sim \text{broad, or shifted}.

    Predicted scales are often wrong. Therefore the bulk has an unknown location, scale and skew,
    and tails of a normal or of Student-t distributions (`Errors`). A heavy tail and few gross
    errors are competing explanations of large residuals. Four models are fitted by sequential Monte
    Carlo: normal and heavy tails, each with and without contamination. Responsibilities, shares and
    intervals are averages over all unknowns and over the four models, weighted by their evidence.
    If the scatter of residuals clearly depends on the prediction, they are first divided by its
    trend.

    If predicted quantiles are given, the residual is replaced by the normal score of the predicted
    distribution function, :math:`e = \Phi^{-1}(F(y))`. The score is linear between two quantiles,
    and beyond the outermost quantiles. Draws are described by their quantiles at .05, .25, .5, .75
    and .95.

    Args:
        y: Measurements, (N,), in any unit. NaN or None if missing. An array, a list, a tensor, or a
            column of pandas, polars or pyarrow.
        mean: Predicted mean of each measurement, (N,), in the unit of y. A model that was not
            trained on a row must have predicted it, for instance with
            `sklearn.model_selection.cross_val_predict`. Give one of `mean`, `quantiles`, `draws`.
        scale: Predicted standard deviation of each measurement, (N,), positive, in the unit of y.
            `from_predictions` estimates a common factor of all of them. None if they are unknown;
            the standard deviation is then assumed to be the same for all rows.
        quantiles: Predicted quantiles, such as those of conformal or quantile regression: a
            dictionary from levels in (0, 1) to quantiles, (N,), or a data frame whose columns are
            levels. At least two levels.
        draws: Draws of each measurement from its predicted distribution, (N, S), S at least 20.
        verified: Codes of verified rows, (N,): 1 for a wrong measurement, 0 for a right one, and
            -1, NaN or None where nothing is verified. A `nbam_pyro.Verified` without true labels
            works too. Rows may be chosen by their residuals, or at random.
        prior: Pseudo-counts of the contamination rate; None for `Beta(1, 9)`.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed for the draws.

    Returns:
        A `ContaminationReport` of kind "measurements". Its rows have the columns "measurement",
        "prediction" (mean or median), "residual" (standardised) and "responsibility". A row without
        a measurement has the population rate as its responsibility.

    Raises:
        DataError: Shapes or indices do not agree, a value is infinite, a prediction is missing, a
            scale is not positive, levels of quantiles are not in (0, 1), a row without a
            measurement is verified, or not exactly one kind of predictions is given.

    Source: Box & Tiao (1968) describe contaminated errors of regression; Fernández & Steel (1998)
    give a distribution a skew by two scales; Miller & Dunson (2019) bound the number of rows that a
    likelihood counts where its family is not exact.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> mean = rng.normal(size=300)
        >>> y = mean + rng.normal(size=300)
        >>> y[:30] += 10
        >>> report = from_predictions(y, mean)
        >>> report.verdict.level, bool(0.09 < report.contamination < 0.11)
        ('identified', True)
    """
    probability = as_number(probability, "probability")
    check_probability(probability)
    prior = prior or Beta(1.0, 9.0)
    data = Residuals.of(y, mean, scale=scale, quantiles=quantiles, draws=draws)
    n = len(data.y)
    present = ~np.isnan(data.y)
    known = switch_codes(verified, n).numpy()
    if (alone := (known >= 0) & ~present).any():
        raise DataError(
            f"{int(alone.sum())} rows are verified but have no measurement, the first is row "
            f"{int(alone.argmax())}. Leave them unverified."
        )
    codes = known[present]
    residual, uneven = evened(data.residual[present], data.predictors[present])
    cells = cells_of(residual)
    normal, wrong = (
        np.bincount(cells.of_row[codes == code], minlength=len(cells.counts)) for code in (0, 1)
    )
    found = fit_errors(cells, normal, wrong, prior=prior, seed=seed)
    r = np.full(n, found.population_rate.mean())
    between = np.interp(cells.row_values, cells.values, found.responsibility)
    r[present] = np.where(codes >= 0, codes, between)
    standard = np.full(n, np.nan)
    standard[present] = cells.row_values
    missing = int((~present).sum())
    absent = np.random.default_rng(seed + 1).binomial(missing, found.population_rate)
    share = found.contamination / int(present.sum())
    tail = (1 - probability) / 2
    low, high = np.quantile(share, [tail, 1 - tail])
    posterior = {
        "contamination": (found.contamination + absent) / n,
        "population_rate": found.population_rate,
    }
    told = int((codes >= 0).sum())
    return ContaminationReport(
        kind="measurements",
        rows=pd.DataFrame(
            {
                "measurement": data.y,
                "prediction": data.prediction,
                "residual": standard,
                "responsibility": r,
            },
            index=data.index,
        ),
        posterior=xr.Dataset({name: ("draw", drawn) for name, drawn in posterior.items()}),
        prior=xr.Dataset({"contamination": ("draw", shares_before(n, prior))}),
        verdict=predictions_verdict(
            found,
            count=int(present.sum()),
            verified=told,
            tied=cells.tied,
            interval=(float(low), float(high)),
            probability=probability,
        ),
        note=predictions_note(
            probability=probability, missing=missing, verified=told, uneven=uneven
        ),
        probability=probability,
    )
