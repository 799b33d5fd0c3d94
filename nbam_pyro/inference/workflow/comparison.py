"""Comparison of candidate stories and priors by their predictions of rows out of fold."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from nbam_pyro.training.contexts import each_warning_once, exclusive
from nbam_pyro.training.folds import split, together
from nbam_pyro.training.parallel import check_n_jobs, independent, processes
from nbam_pyro.training.sources import as_rows
from nbam_pyro.training.tensors import as_tensor
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["Comparison", "compare_priors"]

Steps = Sequence[Callable[[Run], None]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates ranked by their expected log predictive density (ELPD) for rows out of fold.

    A row is out of fold if the fit that predicts it was made without the fold of the row. The ELPD
    is the sum of the log densities of all targets, in nats. Higher is better.

    Attributes:
        elpd: ELPD of every candidate, as an object of ArviZ. Its `elpd_i` has one value per row.
        table: Result of `arviz_stats.compare`, the best candidate first. Its columns are "elpd",
            its standard error "se", the difference from the best "elpd_diff", the standard error of
            the difference "dse", and stacking weights, "weight". `arviz_plots.plot_compare` takes
            this table.
        fold: Index of the fold that each row belongs to, (N,).
    """

    elpd: dict[str, ELPDData]
    table: pd.DataFrame
    fold: np.ndarray

    def __str__(self) -> str:
        shown = self.table[["rank", "elpd", "se", "elpd_diff", "dse", "weight"]]
        return shown.to_string(float_format=readable)

    def within(self, standard_errors: float = 2.0, *, nats: float = 4.0) -> list[str]:
        """Return the candidates that the data cannot distinguish from the best, the best first.

        A candidate is returned if its difference from the best is within either of two limits.

        Args:
            standard_errors: Limit of the difference in units of its standard error.
            nats: Limit of the difference in nats. A Normal approximation of smaller differences is
                not reliable (Sivula et al. 2020).
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
    groups: Any = None,
    folds: int = 5,
    steps: Steps | None = None,
    num_draws: int = 200,
    seed: int = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> Comparison:
    r"""Compare candidate stories by cross-validation: each is fitted once for every fold.

    Rows are divided into folds. The targets of a fold are predicted by a fit to the other folds:

    .. math::
        \mathrm{elpd} = \sum_i \log \frac{1}{S} \sum_s p(y_i \mid x_i, \theta_s^{(-k_i)})

    where the draws :math:`\theta_s^{(-k_i)}` of the global latents, and the networks, are those of
    the fit without the fold :math:`k_i` of row i.

    All candidates have the same folds, the same random numbers and the same initial weights. The
    weights of the first candidate are copied to parameters with the same name and shape in the
    other candidates. Single numbers, such as scales, and frozen parameters are not copied. The
    stories that are passed do not change.

    The densities are those of the observed targets. Candidates may therefore differ in any part,
    anomaly likelihoods included, but they must be compared on the same data.

    Args:
        stories: Candidates by name, at least two.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims). The targets of one row count together.
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        groups: Identifier of the group of each row, a text or a number, (N,). No fold divides a
            group; None for no groups. Rows of a table that are exactly equal are not divided
            either.
        folds: Number of folds, at least 2.
        steps: Steps of every fit; None for the default steps of each story.
        num_draws: Number of draws of the global latents, S.
        seed: Seed of the folds and the fits.
        n_jobs: Number of processes in which fits run, one fit for each candidate and fold. None for
            one, or the number that `joblib.parallel_config` sets; -1 for all processors. The result
            does not depend on it in the sense of `fit`.
        options: Further arguments of `fit`, such as `batch_size`, `epochs`, or `held_out` as a
            share.

    Returns:
        The ranking, with standard errors of the differences.

    Raises:
        DataError: There are too few rows or folds, lengths differ, an option has one value per row,
            or `n_jobs` is 0 or no whole number.
        StoryError: There are fewer than two candidates.

    Source: cross-validated ELPD and its standard error, Vehtari et al. (2017); stacking, Yao et
    al. (2018).
    """
    if len(stories) < 2:
        raise StoryError(
            f"A comparison needs at least two stories, but the number of stories is "
            f"{len(stories)}. Pass them by name in a dictionary."
        )
    check_n_jobs(n_jobs)
    per_row = {"weights", "held_out"} & {n for n, v in options.items() if np.ndim(v)}
    if per_row:
        raise DataError(
            f"{per_row.pop()} has one value for each row, which cannot be split into folds. Pass "
            "held_out as a share, and leave weights out."
        )
    as_rows((x, y), None, verified)  # raises an error if the data are invalid
    rows, targets = as_tensor(x), as_tensor(y)
    units = together(rows.numpy() if rows.ndim == 2 else None, groups, count=len(rows))
    fold = _folds(targets, folds, seed, units)
    first = next(iter(stories.values()))
    given = {"steps": steps, **options}
    if processes(n_jobs) > 1:  # several progress bars would overwrite each other
        given["progress"] = False
    parts = [(k, name) for k in range(fold.max() + 1) for name in stories]
    data = _Data(rows, targets, verified, units, num_draws)
    with each_warning_once():
        densities = independent(
            _density_out_of_fold,
            [
                (first, stories[name], data, fold == k, given | {"seed": seed + k})
                for k, name in parts
            ],
            n_jobs=n_jobs,
            seeds=[seed + k for k, _ in parts],
        )
    pointwise = {name: np.zeros(len(targets)) for name in stories}
    for (k, name), density in zip(parts, densities, strict=True):
        pointwise[name][fold == k] = density
    elpd = {name: _elpd(values, folds, num_draws) for name, values in pointwise.items()}
    # ArviZ 0.8 sorts in place. pandas 3 deprecates that, so its warning is ignored.
    with exclusive(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The inplace keyword")
        table = arviz_stats.compare(elpd)
    return Comparison(elpd, table, fold)


class _Data(NamedTuple):
    """All rows, targets, verified rows and groups of a comparison, and its number of draws."""

    x: torch.Tensor
    y: torch.Tensor
    verified: Verified
    groups: np.ndarray | None
    num_draws: int


def _density_out_of_fold(
    first: Story,
    story: Story,
    data: _Data,
    own: np.ndarray,
    options: dict[str, Any],
) -> np.ndarray:
    """Fit a copy of a candidate, and return the log densities of the rows of a fold, (n,).

    Args:
        first: First candidate, whose weights are copied.
        story: Candidate.
        data: All rows.
        own: True for the rows of the fold, (N,).
        options: Further arguments of `fit`.
    """
    candidate = copy.deepcopy(story)
    _copy_weights(first, candidate)
    outside, inside = torch.as_tensor(own), torch.as_tensor(~own)
    fitted = fit_story(
        candidate,
        (data.x[inside], data.y[inside]),
        verified=data.verified[inside],
        groups=None if data.groups is None else data.groups[~own],
        **options,
    )
    draws = log_marginals(
        fitted,
        data.x[outside],
        data.y[outside],
        num_draws=data.num_draws,
        verified=data.verified[outside],
    )
    return _log_density(draws)


def readable(number: float) -> str:
    """Return a number with two decimals, or with one significant digit if these would be 0.

    Example:
        >>> [readable(number) for number in (-243.4907, 0.0, 0.00334, 3e-16)]
        ['-243.49', '0.00', '0.003', '3e-16']
    """
    return f"{number:.2f}" if number == 0 or abs(number) >= 0.005 else f"{number:.1g}"


def _folds(y: torch.Tensor, folds: int, seed: int, groups: np.ndarray | None) -> np.ndarray:
    """Return the index of the fold of each row, (N,)."""
    if not 2 <= folds <= len(y) // 2:
        raise DataError(
            f"{len(y)} rows cannot be divided into {folds} folds. Give at least 2 folds, and at "
            "most one fold for every two rows."
        )
    fold = np.zeros(len(y), dtype=int)
    for k, (_, own) in enumerate(split(y.numpy(), folds, seed=seed, groups=groups)):
        fold[own] = k
    return fold


def _copy_weights(source: Story, target: Story) -> None:
    """Copy trainable weights of the same names and shapes from one story to another."""
    given = dict(source.named_parameters())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            trained = parameter.requires_grad and parameter.ndim
            if trained and name in given and given[name].shape == parameter.shape:
                parameter.copy_(given[name])


def _log_density(draws: np.ndarray) -> np.ndarray:
    """Return the log of the mean density of each row over draws, (S, N, *dims) to (N,)."""
    # Targets of one row are independent given a draw, so their log densities are added.
    values = torch.as_tensor(draws).double().reshape(*draws.shape[:2], -1).sum(-1)
    return (values.logsumexp(0) - math.log(len(values))).numpy()


def _elpd(values: np.ndarray, folds: int, num_draws: int) -> ELPDData:
    """Return log densities of rows, (N,), as an object of ArviZ."""
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
