"""Columns of smooth means: splines, and waves of a Gaussian process."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from nbam_pyro.models import FourierFeatures, Splines


def columns(n=80, width=2, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double()


def test_curves_are_centred_scaled_and_orthogonal_to_their_column():
    h = columns()
    out = Splines.of(h)(h)
    assert out.shape == (80, Splines.of(h).outputs)
    assert torch.equal(out[:, :2], h)
    curves = out[:, 2:].unflatten(1, (2, 3))
    assert torch.allclose(curves.mean(0), torch.zeros(2, 3).double(), atol=1e-9)
    assert torch.allclose(curves.std(0), torch.ones(2, 3).double())
    away = h - h.mean(0)
    assert (torch.einsum("nd,ndj->dj", away, curves).abs() < 1e-8).all()


@given(step=st.floats(0.1, 20), side=st.sampled_from([-1, 1]))
@settings(max_examples=20, deadline=None)
def test_curves_are_straight_lines_beyond_the_outer_knots(step, side):
    h = columns(width=1)
    end = h.max() if side > 0 else h.min()
    points = (end + side * step * torch.arange(3.0)).double()[:, None]
    out = Splines.of(h)(points)
    bend = out[2] - 2 * out[1] + out[0]
    assert bend.abs().max() < 1e-6 * (1 + out.abs().max())


def test_the_columns_span_all_natural_cubic_splines():
    h = columns(200, 1)
    layer = Splines.of(h)
    knots = layer.knots[0].numpy()
    spline = CubicSpline(knots, np.random.default_rng(0).normal(size=5), bc_type="natural")
    inside = torch.linspace(knots[0], knots[-1], 60).double()[:, None]
    design = np.column_stack([np.ones(60), layer(inside).numpy()])
    target = spline(inside[:, 0].numpy())
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    assert fitted == pytest.approx(target, abs=1e-8)


@given(a=st.floats(0.01, 100), b=st.floats(-100, 100))
@settings(max_examples=15, deadline=None)
def test_curves_do_not_depend_on_the_units_of_a_column(a, b):
    h = columns()
    first = Splines.of(h)(h)[:, 2:]
    assert torch.allclose(Splines.of(a * h + b)(a * h + b)[:, 2:], first, atol=1e-5)


def test_columns_of_few_values_have_no_curves():
    h = torch.tensor([0.0, 1.0]).repeat(20)[:, None]
    assert (Splines.of(h)(h)[:, 1:] == 0).all()
    assert Splines.of(torch.ones(9, 1))(torch.ones(9, 1)).isfinite().all()


def test_loaded_splines_are_the_same():
    h = columns()
    layer, again = Splines.of(h), Splines(2).double()
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(h), layer(h))


def test_waves_approximate_a_squared_exponential_kernel():
    h = columns(12)
    layer = FourierFeatures(2, waves=20_000, length=1.5, amplitude=0.5).double()
    waves = layer(h)[:, 2:]
    distance = torch.cdist(h, h)
    expected = 0.25 * torch.exp(-0.5 * (distance / 1.5) ** 2)
    assert torch.allclose(waves @ waves.mT, expected, atol=0.02)


def test_waves_follow_their_seed_and_leave_random_state_alone():
    before = torch.get_rng_state()
    h = columns().float()
    first, second, other = (FourierFeatures(2, seed=seed)(h) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (80, FourierFeatures(2).outputs)
