"""The loss equals its closed form, the filter has its level, and views keep what they must."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from nbam_pyro.detection.contrast.opposite_pairs import contrast_energies
from nbam_pyro.detection.contrast.shift_filter import ShiftFilter
from nbam_pyro.detection.contrast.transforms import TRANSFORMS, pseudo_anomalies
from nbam_pyro.detection.contrast.views import mild_views
from nbam_pyro.errors import DataError

TAU = 0.5


def embeddings(views, rows=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(
        torch.randn(views, 2, rows, 4, generator=generator, dtype=torch.double), dim=-1
    )


def slow_loss(z, *, opposite):
    """The sums over pairs as they are written, with a loop over all pairs."""
    views, _, rows, _ = z.shape
    names = [(k, g, i) for k in range(views) for g in range(2) for i in range(rows)]
    total = 0.0
    for one in names:
        others = [name for name in names if name != one]
        logs = torch.stack([z[one] @ z[name] / TAU for name in others])
        pair = {name: logs.logsumexp(0) - z[one] @ z[name] / TAU for name in others}
        k, g, i = one
        total = total + sum(pair[other, g, i] for other in range(views) if other != k)
        if opposite and k < 2:
            total = total - pair[k, 1 - g, i]
    return total / len(names)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("form", ["opposite", "plain"])
def test_the_mean_energy_is_the_sum_over_pairs(views, form):
    z = embeddings(views)
    found = contrast_energies(z, form=form, temperature=TAU)[0].mean()
    assert float(found) == pytest.approx(float(slow_loss(z, opposite=form == "opposite")), abs=1e-9)


def test_with_two_views_all_denominators_cancel():
    z = embeddings(2)
    found = contrast_energies(z, form="opposite", temperature=TAU)[0].mean()
    positive = (z * z.flip(0)).sum(-1).mean()
    opposite = (z * z.flip(1)).sum(-1).mean()
    assert float(found) == pytest.approx(float((opposite - positive) / TAU), abs=1e-6)
    slow = slow_loss(z, opposite=True)
    assert float(slow) == pytest.approx(float(found), abs=1e-6)


def test_other_rows_are_not_pushed_away():
    """The energy of a row has no gradient in the embeddings of other rows."""
    z = embeddings(2).requires_grad_()
    own = contrast_energies(z, form="opposite", temperature=TAU)[0][0]
    (gradient,) = torch.autograd.grad(own, z)
    assert gradient[:, :, 1:].abs().max() == 0
    (gradient,) = torch.autograd.grad(slow_loss(z, opposite=True), z)
    (ours,) = torch.autograd.grad(
        contrast_energies(z, form="opposite", temperature=TAU)[0].mean(), z
    )
    assert torch.allclose(gradient, ours, atol=1e-9)
    plain = contrast_energies(z, form="plain", temperature=TAU)[0][0]
    (gradient,) = torch.autograd.grad(plain, z)
    assert gradient[:, :, 1:].abs().max() > 0


def test_the_least_loss_is_minus_four():
    one = torch.tensor([1.0, 0.0])
    z = torch.stack([one, -one])[None, :, None].repeat(2, 1, 3, 1)
    found = contrast_energies(z, form="opposite", temperature=TAU)
    assert found[0].tolist() == [-4.0] * 3
    assert (found[1] > found[0]).all()  # it costs to call a good normal row an anomaly


def test_supervised_energies_are_those_of_supcon():
    z = embeddings(2)
    flat, group = z.flatten(0, 2), torch.tensor([0, 1]).repeat_interleave(5).repeat(2)
    total = 0.0
    for i in range(20):
        others = [k for k in range(20) if k != i]
        log_sum = (flat[others] @ flat[i] / TAU).logsumexp(0)
        same = [k for k in others if group[k] == group[i]]
        total += float(log_sum - (flat[same] @ flat[i]).mean() / TAU)
    found = contrast_energies(z, form="supervised", temperature=TAU)[0].mean()
    assert float(found) == pytest.approx(total / 20, abs=1e-9)


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.0, 0.05), (1.0, 0.170), (2.0, 0.516), (3.0, 0.851)]
)
def test_the_filter_accepts_shifted_rows_as_its_level_says(shift, expected):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(20000, 1, generator=generator)
    new = torch.randn(20000, 1, generator=generator) + shift
    assert float(ShiftFilter(normal)(new).float().mean()) == pytest.approx(expected, abs=0.012)


def test_the_level_holds_with_few_rows_and_many_features():
    """In-sample distances would accept far more than the level."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(300, 64, generator=generator)
    new = torch.randn(4000, 64, generator=generator)
    assert float(ShiftFilter(normal)(new).float().mean()) == pytest.approx(0.05, abs=0.035)
    assert ShiftFilter(normal, level=1.0)(new).all()
    assert ShiftFilter(torch.ones(6, 3))(torch.zeros(2, 3)).all()


def test_bad_levels_and_features_are_refused():
    with pytest.raises(DataError, match="level is 0"):
        ShiftFilter(torch.rand(9, 2), level=0)
    with pytest.raises(DataError, match="features have shape"):
        ShiftFilter(torch.rand(1, 2))


@pytest.mark.parametrize("shape", [(40, 1, 9, 9), (40, 3, 12, 8)])
def test_views_and_pseudo_anomalies_are_images_of_the_same_shape(shape):
    torch.manual_seed(0)
    x = torch.rand(shape)
    view = mild_views(x, crop=0.3)
    assert view.shape == x.shape
    assert view.min() >= 0
    assert view.max() <= 1
    assert not torch.equal(view, mild_views(x, crop=0.3))
    for transform in TRANSFORMS:
        changed = transform(x)
        assert changed.shape == x.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        # Every image changes.
        assert ((changed - x).abs().flatten(1).max(1).values > 1e-3).all()
    changed, kind = pseudo_anomalies(x)
    assert set(kind.tolist()) == set(range(len(TRANSFORMS)))
    again = torch.manual_seed(3), pseudo_anomalies(x)[0]
    assert torch.equal(again[1], (torch.manual_seed(3), pseudo_anomalies(x)[0])[1])


def test_a_constant_image_keeps_its_value_in_a_crop():
    torch.manual_seed(0)
    x = torch.full((4, 1, 8, 8), 0.5)
    view = mild_views(x, crop=0.2)
    assert torch.allclose(view, view[:, :, :1, :1].expand_as(view), atol=1e-5)
    assert view.mean().item() == pytest.approx(0.5, abs=0.2)
    assert math.isfinite(float(view.sum()))
