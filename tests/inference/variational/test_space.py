"""Free coordinates of the global latents, and the log posterior in them."""

import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nbam_pyro.inference.variational.space import LogPosterior, Space
from nbam_pyro.models import Story, linear_regression
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING
from tests.inference.exact import conjugate

X = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
STORY = linear_regression(X, X[:, 0].sin()).double()
SPACE = Space.of(STORY, X, X[:, 0])
numbers = st.lists(st.floats(-4, 4), min_size=SPACE.size, max_size=SPACE.size)


@given(free=numbers)
@settings(max_examples=25, deadline=None)
def test_values_and_free_coordinates_are_inverse(free):
    free = torch.tensor([free], dtype=torch.float64)
    draw, _ = SPACE.constrain(free)
    assert torch.allclose(SPACE.free(draw), free, atol=1e-6)
    assert 0 < draw["contamination"] < 0.5
    assert draw["noise"] > 0
    for name, prior in STORY.priors().items():
        assert prior.support.check(draw[name]).all()


@given(free=numbers)
@settings(max_examples=15, deadline=None)
def test_the_log_jacobian_is_that_of_autograd(free):
    free = torch.tensor(free, dtype=torch.float64)

    def values(one):
        draw, _ = SPACE.constrain(one)
        return torch.cat([value.flatten() for value in draw.values()])

    _, log_det = SPACE.constrain(free)
    jacobian = torch.autograd.functional.jacobian(values, free)
    assert torch.allclose(log_det, torch.linalg.slogdet(jacobian).logabsdet, atol=1e-8)


def test_a_batch_of_points_equals_single_points():
    free = torch.randn(3, SPACE.size, dtype=torch.float64)
    draws, log_det = SPACE.constrain(free)
    for number, one in enumerate(free):
        draw, single = SPACE.constrain(one)
        assert torch.allclose(single, log_det[number])
        for name, value in draw.items():
            assert torch.allclose(value, draws[name][number])


def test_the_log_posterior_of_a_conjugate_story_is_prior_plus_likelihood():
    story, x, y = conjugate()
    density = LogPosterior(story, Space.of(story, x, y), _batch(x, y))
    points = torch.tensor([[-1.0], [0.3], [2.0]], dtype=torch.float64)
    draw, log_det = density.space.constrain(points)
    (latents,) = draw.values()
    expected = stats.norm.logpdf(latents, 0, 2) + log_det.numpy()
    expected += stats.norm.logpdf(y, latents[:, None], 1).sum(1)
    assert density(points).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_weights_of_rows_count_as_copies():
    story, x, y = conjugate()
    space = Space.of(story, x, y)
    doubled = LogPosterior(story, space, _batch(torch.cat([x, x[:1]]), torch.cat([y, y[:1]])))
    weighted = LogPosterior(story, space, _batch(x, y, torch.tensor([2.0, 1, 1, 1, 1])))
    points = torch.randn(4, 1, dtype=torch.float64)
    assert torch.allclose(doubled(points), weighted(points))


class _Checked(dist.Normal):
    """A user's own distribution that checks its argument with Python's control flow."""

    def log_prob(self, value):
        if (self.loc > 100).any():
            raise ValueError("too large")
        return super().log_prob(value)


def test_distributions_that_vmap_refuses_are_evaluated_point_by_point():
    story, x, y = conjugate()
    space = Space.of(story, x, y)
    plain = LogPosterior(story, space, _batch(x, y))
    points = torch.randn(3, 1, dtype=torch.float64)
    expected = plain(points)
    forward = type(story.clean).forward
    checked = LogPosterior(story, space, _batch(x, y))
    checked.story.clean.forward = lambda h, latents: _Checked(
        forward(story.clean, h, latents).loc, 1.0
    )
    assert torch.allclose(checked(points), expected)


def test_the_story_is_not_changed():
    story, x, y = conjugate()
    LogPosterior(story, Space.of(story, x, y), _batch(x, y))(torch.zeros(1, 1).double())
    assert isinstance(story, Story)
    assert all(
        not value.is_floating_point() or value.dtype == torch.float32 for value in story.buffers()
    )


def _batch(x, y, weights=None):
    return Batch(
        x=x, y=y, weights=torch.ones(len(y)) if weights is None else weights, verified=NOTHING
    )
