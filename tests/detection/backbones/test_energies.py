"""Energies of backbones are those of their formulas, and units do not matter."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nbam_pyro.detection import (
    AutoEncoder,
    DeepSVDD,
    GaussianMixture,
    InternalContrast,
    NeuralTransformations,
    complement,
)
from nbam_pyro.detection.backbones.neural_transformations import log_not
from nbam_pyro.errors import DataError


@torch.no_grad()
def test_energies_are_those_of_the_formulas():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 5)
    ntl = NeuralTransformations(5, transforms=4)
    views = ntl.views(x[:, None]) + x[:, None]
    z = [normalize(ntl.encoder(part[None])[0], dim=-1) for part in (x[0], *views[0])]
    for i in range(3):
        p = []
        for k in range(1, 5):
            h = [float((z[k][i] @ other[i] / 0.1).exp()) for other in z]
            p.append(h[0] / (sum(h) - h[k]))
        pair = ntl.energies(x)
        assert pair.clean[0, i].item() == pytest.approx(-np.log(p).mean() / np.log(4), rel=1e-3)
        expected = -np.log(1 - np.array(p)).mean() / np.log(4)
        assert pair.anomalous[0, i].item() == pytest.approx(expected, rel=1e-3)
    icl = InternalContrast(5, window=2, temperature=0.5)
    windows = [x[..., k : k + 2] for k in range(4)]
    rests = [torch.cat([x[..., :k], x[..., k + 2 :]], -1) for k in range(4)]
    f = [normalize(icl.inside(part)[0], dim=-1) for part in windows]
    g = [normalize(icl.outside(part)[0], dim=-1) for part in rests]
    for i in range(3):
        h = np.array([[float((a[i] @ b[i] / 0.5).exp()) for b in g] for a in f])
        p = h.diagonal() / h.sum(1)
        assert icl.energies(x).clean[0, i].item() == pytest.approx(-np.log(p).mean(), rel=1e-3)
        expected = -np.log(1 - p).mean()
        assert icl.energies(x).anomalous[0, i].item() == pytest.approx(expected, rel=1e-3)


@given(st.integers(2, 6), st.integers(0, 99))
def test_log_not_is_the_log_of_one_minus_p(count, seed):
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(count, count, generator=generator, dtype=torch.double).log_softmax(-1)
    assert torch.allclose(log_not(log_p), torch.log1p(-log_p.diagonal().exp()))


def test_both_energies_of_a_mixture_are_densities():
    torch.manual_seed(0)
    x = torch.randn(1, 200, 1, dtype=torch.double) * 2 + 5
    backbone = GaussianMixture(1, components=3).double()
    backbone.start(x)
    with torch.no_grad():
        backbone.precision.normal_(std=0.3)
        backbone.weight.normal_()
        grid = torch.linspace(-60, 70, 40001, dtype=torch.double)[None, :, None]
        for part in backbone.energies(grid):
            assert torch.trapezoid((-part[0]).exp(), grid[0, :, 0]) == pytest.approx(1, abs=1e-5)


@given(st.floats(1e-3, 50), st.floats(1e-3, 50))
def test_the_complement_falls_and_equals_at_one_half(one, other):
    of_near, of_far = complement(torch.tensor(sorted([one, other])))
    assert of_near >= of_far >= 0
    half = torch.tensor(math.log(2))
    assert torch.isclose(complement(half), half, atol=1e-5)
    assert complement(torch.tensor([0.0, 1e30])).isfinite().all()


@given(st.floats(1e-2, 1e2))
def test_the_unit_of_an_auto_encoder_is_that_of_its_rows(factor):
    torch.manual_seed(0)
    backbone, x = AutoEncoder(5, members=2), torch.rand(2, 40, 5)
    backbone.start(x)
    unit, span = backbone.unit.clone(), backbone.span.clone()
    backbone.start(factor * x)
    assert torch.allclose(backbone.unit, factor**2 * unit, rtol=1e-3)
    assert torch.allclose(backbone.span, factor * span, rtol=1e-3)


def test_deep_svdd_has_the_anomaly_energy_of_deep_sad_if_told():
    torch.manual_seed(0)
    x = torch.rand(1, 41, 5)
    backbone = DeepSVDD(5)
    backbone.start(x)
    found = backbone.energies(x)
    assert found.clean.median().item() == pytest.approx(1)
    assert torch.equal(found.anomalous, complement(found.clean))
    backbone = DeepSVDD(5, far="inverse")
    backbone.start(x)
    found = backbone.energies(x)
    distance = (backbone.encoder(x) - backbone.centre).square().sum(-1)
    assert torch.equal(found.clean, distance)
    assert torch.allclose(found.anomalous, 1 / (found.clean + 1e-6))
    with pytest.raises(DataError, match="far is 'log'; give 'complement' or 'inverse'"):
        DeepSVDD(5, far="log")
