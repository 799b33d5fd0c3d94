"""Compare assumptions: candidate priors and stories by what they predict of rows held out."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import torch
import xarray as xr
from arviz_stats import ELPDData

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.fitting import fit as fit_story
from nbam_pyro.inference.posterior.row_posteriors import log_marginals
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Story
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.folds import split
from nbam_pyro.training.sources import as_rows
from nbam_pyro.training.tensors import as_tensor
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["Comparison", "compare_priors"]

Steps = Sequence[Callable[[Run], None]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates ranked by their expected log predictive density (ELPD) of rows out of fold.

    Attributes:
        elpd: of every candidate, as ArviZ has it; `elpd_i` has one value per row.
        table: from `arviz_stats.compare`, the best first: "elpd", "se", "elpd_diff" from the best
            and its standard error "dse", and stacking weights. For `arviz_plots.plot_compare`.
        fold: in which fold each row was predicted, (N,).
    """

    elpd: dict[str, ELPDData]
    table: pd.DataFrame
    fold: np.ndarray

    def __str__(self) -> str:
        shown = self.table[["rank", "elpd", "se", "elpd_diff", "dse", "weight"]]
        return shown.to_string(float_format=for_people)

    def within(self, standard_errors: float = 2.0, *, nats: float = 4.0) -> list[str]:
        """The candidates that the data do not tell from the best, the best first.

        Args:
            standard_errors: of the difference that count as none.
            nats: that count as none, whatever their standard error: with less, a Normal
                approximation of the difference is not to be trusted (Sivula et al. 2020).
        """
        near = self.table["elpd_diff"].abs() <= np.maximum(
            standard_errors * self.table["dse"], nats
        )
        return list(self.table.index[near])


def compare_priors(
    stories: Mapping[str, Story],
    x: Any,
    y: Any,
    *,
    verified: Verified = NOTHING,
    folds: int = 5,
    steps: Steps | None = None,
    num_draws: int = 200,
    seed: int = 0,
    **options: Any,
) -> Comparison:
    r"""Fit candidate stories to the same folds and compare what they predict of the others' rows.

    .. math::
        \mathrm{elpd} = \sum_i \log \frac{1}{S} \sum_s p(y_i \mid x_i, \theta_s^{(-k_i)})

    with draws of the global latents, and networks, from a fit without the fold of row i. Every
    candidate sees the same folds, the same random numbers and the same initial weights: those of
    the first candidate, wherever names and shapes agree (not single numbers, such as scales, nor
    what is frozen). The stories given are not changed.

    Densities are of the observed targets, so candidates may differ in anything, anomaly
    likelihoods included, but not in the data.

    Args:
        stories: candidates by name, at least two.
        x: rows, (N, ...).
        y: observed targets, (N,).
        verified: what is verified of the rows, if anything.
        folds: how many, at least 2.
        steps: of every fit; None for the recipe of each story.
        num_draws: S, of the global latents.
        seed: of folds and fits.
        options: further arguments of `fit`, such as `batch_size`, `epochs`, or a share `held_out`.

    Returns:
        The ranking, with standard errors of the differences.

    Raises:
        DataError: there are too few rows or folds, lengths differ, or an option is by row.
        StoryError: there are fewer than two candidates.

    Source: cross-validated ELPD and its standard error, Vehtari et al. (2017); stacking, Yao et
    al. (2018).
    """
    if len(stories) < 2:
        raise StoryError("There is nothing to compare: give at least two stories by name.")
    per_row = {"weights", "held_out"} & {n for n, v in options.items() if np.ndim(v)}
    if per_row:
        raise DataError(
            f"{per_row.pop()} by row cannot be split into folds: give a share, or none."
        )
    as_rows((x, y), None, verified)  # for its checks
    rows, targets = as_tensor(x), as_tensor(y)
    fold = _folds(targets, folds, seed)
    first = next(iter(stories.values()))
    pointwise = {name: np.zeros(len(targets)) for name in stories}
    for k in range(folds):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        for name, story in stories.items():
            candidate = copy.deepcopy(story)
            _lend_weights(first, candidate)
            fitted = fit_story(
                candidate,
                (rows[inside], targets[inside]),
                verified=verified[torch.as_tensor(inside)],
                steps=steps,
                seed=seed + k,
                **options,
            )
            pointwise[name][outside] = _log_density(
                log_marginals(
                    fitted,
                    rows[outside],
                    targets[outside],
                    num_draws=num_draws,
                    verified=verified[torch.as_tensor(outside)],
                )
            )
    elpd = {name: _elpd(values, folds, num_draws) for name, values in pointwise.items()}
    # ArviZ 0.8 sorts in place, which pandas 3 deprecates.
    with exclusive(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The inplace keyword")
        table = arviz_stats.compare(elpd)
    return Comparison(elpd, table, fold)


def for_people(number: float) -> str:
    """A number with two decimal places, or with one significant digit where these would be 0.

    Example:
        >>> [for_people(number) for number in (-243.4907, 0.0, 0.00334, 3e-16)]
        ['-243.49', '0.00', '0.003', '3e-16']
    """
    return f"{number:.2f}" if number == 0 or abs(number) >= 0.005 else f"{number:.1g}"


def _folds(y: torch.Tensor, folds: int, seed: int) -> np.ndarray:
    if not 2 <= folds <= len(y) // 2:
        raise DataError(f"{folds} folds of {len(y)} rows: give at least 2, of two rows or more.")
    fold = np.zeros(len(y), dtype=int)
    for k, (_, own) in enumerate(split(y.numpy(), folds, seed=seed)):
        fold[own] = k
    return fold


def _lend_weights(lender: Story, borrower: Story) -> None:
    given = dict(lender.named_parameters())
    with torch.no_grad():
        for name, parameter in borrower.named_parameters():
            trained = parameter.requires_grad and parameter.ndim
            if trained and name in given and given[name].shape == parameter.shape:
                parameter.copy_(given[name])


def _log_density(draws: np.ndarray) -> np.ndarray:
    """Log of the mean density of rows over draws, (S, N, ...) -> (N,)."""
    # The elements of a row share a draw: the density of the row is their product.
    values = torch.as_tensor(draws).double().reshape(*draws.shape[:2], -1).sum(-1)
    return (values.logsumexp(0) - math.log(len(values))).numpy()


def _elpd(values: np.ndarray, folds: int, num_draws: int) -> ELPDData:
    return ELPDData(
        kind="loo_kfold",
        elpd=float(values.sum()),
        se=float(math.sqrt(len(values)) * values.std()),
        p=math.nan,
        n_samples=num_draws,
        n_data_points=len(values),
        scale="log",
        warning=False,
        good_k=math.nan,
        elpd_i=xr.DataArray(values, dims=["row"], coords={"row": np.arange(len(values))}),
        n_folds=folds,
    )
