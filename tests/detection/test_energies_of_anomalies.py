"""The energy of an anomaly, and units, of the backbones whose clean energy is a distance."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbam_pyro.detection import AutoEncoder, DeepSVDD, complement
from nbam_pyro.errors import DataError


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
