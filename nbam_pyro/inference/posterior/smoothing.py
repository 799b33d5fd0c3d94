"""Responsibilities of rows of series, where contamination comes in bursts, from any fit."""

from typing import Any

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.row_posteriors import prior_contamination, responsibilities
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.series.from_responsibilities import from_responsibilities

__all__ = ["smooth"]


def smooth(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    series: Any = None,
    order: Any = None,
    verified: Any = None,
    switch: MarkovSwitch | None = None,
    probability: float = 0.9,
    num_draws: int = 100,
    seed: int = 0,
) -> ContaminationReport:
    """Estimate which rows of series are contaminated, where contamination comes in bursts.

    The fit judges each row alone. Its prior is then replaced by a Markov chain of the switches of a
    series, whose share and dwell are estimated from these rows (`from_responsibilities`). The
    story, its networks and its other latents do not change. The network may have memorised its
    training rows: for these, call `from_responsibilities` with
    `fit.training_rows.responsibility`.

    Args:
        fit: Fitted story with one switch per row.
        x: Rows, (N, ...).
        y: Observed targets, (N,).
        series: Name of the series of each row, (N,); None if all rows are one series.
        order: Place of each row in its series, (N,): numbers, or times, which are converted to
            seconds. None if the rows are in order, in steps of 1.
        verified: Codes of verified rows, (N,): 1 for contaminated, 0 for clean, and -1, NaN or
            None where nothing is verified.
        switch: Coupling with the priors of share and dwell; None for `MarkovSwitch()`.
        probability: Posterior probability that each interval contains, in (0, 1).
        num_draws: Number of draws of the global latents, over which probabilities are averaged.
        seed: Seed for the draws of share, dwell and paths.

    Returns:
        A `ContaminationReport` of kind "series" (see `nbam_pyro.outputs.from_series`).

    Raises:
        StoryError: A target of the story has more than one switch.
        DataError: The rows, the order or the verified codes are not valid.

    Example:
        >>> import torch
        >>> from nbam_pyro import fit
        >>> from nbam_pyro.models import linear_regression
        >>> x = torch.linspace(0, 1, 300)[:, None]
        >>> burst = torch.arange(300) // 20 % 5 == 4
        >>> noise = torch.randn(300, generator=torch.Generator().manual_seed(0))
        >>> y = 2 * x[:, 0] + 0.1 * noise + 0.3 * burst
        >>> fitted = fit(linear_regression(x, y), (x, y))
        >>> report = smooth(fitted, x, y)
        >>> flagged = report.rows["responsibility"].to_numpy() > 0.5
        >>> bool((flagged == burst.numpy()).mean() > 0.95)
        True
    """
    if fit.story.dims:
        raise StoryError(
            "smooth needs a story with one switch per row, but this story has one for each "
            f"{' and '.join(fit.story.dims)}. Fit one element of the targets at a time."
        )
    return from_responsibilities(
        responsibilities(fit, x, y, num_draws=num_draws),
        prior_contamination(fit, x, num_draws=num_draws),
        series=series,
        order=order,
        verified=verified,
        switch=switch,
        probability=probability,
        seed=seed,
    )
