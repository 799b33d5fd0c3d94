"""`widening`: how much unknown switches widen the posterior of the clean means."""

import pytest
import torch

from nbam_pyro.inference.variational.search import search_modes
from nbam_pyro.inference.variational.space import LogPosterior, Space
from nbam_pyro.inference.variational.widening import widening
from nbam_pyro.models import linear_regression
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING, Verified
from tests.cases import prepare

N = 40


def found(errors, verified=None):
    """Return the result of a search on a line with some errors in its last rows."""
    generator = torch.Generator().manual_seed(3)
    x = torch.linspace(-2, 2, N, dtype=torch.float64)[:, None]
    y = 2 * x[:, 0] + 0.3 * torch.randn(N, generator=generator, dtype=torch.float64)
    y[N - len(errors) :] += torch.tensor(errors, dtype=torch.float64)
    codes = NOTHING if verified is None else Verified.of(y, contaminated=torch.tensor(verified))
    rows = Batch(x=x, y=y, weights=torch.ones(N, dtype=torch.float64), verified=codes)
    story = linear_regression(x, y).double()
    return search_modes(story, rows, most=4, draws=500, seed=0), rows, story


def test_gross_errors_do_not_widen():
    for errors in ([], [6.0, -6.0, 6.0]):
        result, _, _ = found(errors)
        assert result.widening() == pytest.approx(1, abs=0.15)


def test_rows_in_doubt_widen():
    result, _, _ = found([1.5, 2.0, 1.7, 1.9, 1.6, 1.4])
    assert result.widening() > 1.2


def test_verified_rows_leave_nothing_in_doubt():
    verified = [0] * (N - 6) + [1] * 6
    result, _, _ = found([1.5, 2.0, 1.7, 1.9, 1.6, 1.4], verified)
    assert result.widening() == pytest.approx(1, abs=0.1)


def test_draws_whose_means_differ_widen():
    result, rows, story = found([])
    density = LogPosterior(story, Space.of(story, rows.x[:8], rows.y[:8]), rows)
    mode, free = result.guide.centres[0], result.guide.free
    two_means = torch.cat([free, free + 0.1])
    assert widening(density, mode, two_means, seed=0) > 1.5 * widening(density, mode, free, seed=0)


def test_labels_have_no_means():
    story, x, y = prepare("label_flip", dtype=torch.float64)
    space = Space.of(story, x, y)
    weights = torch.ones(len(y), dtype=torch.float64)
    density = LogPosterior(story, space, Batch(x=x, y=y, weights=weights, verified=NOTHING))
    zero = torch.zeros(space.size, dtype=torch.float64)
    assert widening(density, zero, zero.expand(10, -1), seed=0) == pytest.approx(1.0)
