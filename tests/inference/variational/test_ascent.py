"""Maximisation from many starting points, and second derivatives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen

from nbam_pyro.inference.variational.ascent import ascend, inverse_curvature, polish


def bowl(matrix, centre):
    def function(points):
        away = points - centre
        return -0.5 * ((away @ matrix) * away).sum(-1)

    return function


def random_matrix(seed, size=4):
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(seed)).double()
    return root @ root.mT + 0.1 * torch.eye(size)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_top_of_a_quadratic_function_is_found_from_everywhere(seed):
    matrix, centre = random_matrix(seed), torch.full((4,), 2.0).double()
    starts = 10 * torch.randn(5, 4, generator=torch.Generator().manual_seed(seed)).double()
    points, values = ascend(bowl(matrix, centre), starts)
    assert torch.allclose(points, centre.expand(5, 4), atol=1e-2)
    assert values.abs().max() < 1e-4


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_curvature_of_a_quadratic_function_is_its_matrix(seed):
    matrix = random_matrix(seed)
    found = inverse_curvature(bowl(matrix, torch.zeros(4).double()), torch.randn(3, 4).double())
    assert torch.allclose(found @ matrix, torch.eye(4).double().expand(3, 4, 4), atol=1e-6)


def test_curvatures_of_what_torch_differentiates_once_are_differences():
    """The second derivative of logaddexp is not a number for values that are far apart."""

    def function(points):
        far = torch.logaddexp(points[:, 0], torch.tensor(-2000.0).double())
        return far - 0.5 * (points**2).sum(-1)

    found = inverse_curvature(function, torch.zeros(1, 2).double())
    assert torch.allclose(found[0], torch.eye(2).double(), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_newtons_steps_reach_the_top_in_every_unit(scale):
    centre = torch.tensor([2.0, -1.0]).double()
    matrix = torch.diag(torch.tensor([1.0, scale]).double())
    start = torch.zeros(1, 2).double()
    function = bowl(matrix, centre)
    points, values = polish(function, start, function(start))
    assert values.tolist() == pytest.approx([0], abs=1e-6)
    assert points[0, 0] == pytest.approx(2, abs=1e-3)


def test_a_bent_valley_is_followed():
    def valley(points):
        x, y = points.unbind(-1)
        return -(100 * (y - x**2) ** 2 + (1 - x) ** 2)

    starts = torch.tensor([[-1.2, 1.0], [2.0, 2.0], [0.0, -3.0]]).double()
    points, values = ascend(valley, starts)
    assert [rosen(point.numpy()) for point in points] == pytest.approx([0] * 3, abs=1e-6)
    assert values.tolist() == pytest.approx([0] * 3, abs=1e-6)


def test_no_point_becomes_worse_and_impossible_points_stay():
    def half(points):  # impossible on the negative side
        return torch.where(
            points[:, 0] > 0, points[:, 0].clamp_min(1e-9).log() - points[:, 0], -torch.inf
        )

    starts = torch.tensor([[0.1], [5.0], [-1.0]]).double()
    points, values = ascend(half, starts)
    assert points[:2, 0].tolist() == pytest.approx([1, 1], abs=1e-3)
    assert points[2] == -1
    assert values[2] == -torch.inf
    assert (values >= half(starts)).all()


def test_no_starts_and_flat_functions():
    points, _ = ascend(lambda u: 0 * u.sum(-1), torch.ones(2, 3).double())
    assert torch.equal(points, torch.ones(2, 3).double())
