"""Assignments: their weights are gradients, and verified rows keep their switches."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from nbam_pyro.detection import (
    Blind,
    Energies,
    Exact,
    Hard,
    Refine,
    Soft,
)
from nbam_pyro.detection.energies import Prior
from nbam_pyro.errors import DataError

ASSIGNMENTS = [Blind(), Refine(), Hard(), Soft(), Exact()]


energy = st.lists(st.floats(-5, 5), min_size=2, max_size=12)


@given(energy, st.floats(-3, 3), st.sampled_from(ASSIGNMENTS))
def test_the_gradient_of_the_loss_is_the_weights(values, logit, assignment):
    clean = torch.tensor(values, requires_grad=True)
    anomalous = torch.tensor(values[::-1]).sin().requires_grad_()
    found = assignment(torch.tensor(logit), Energies(clean, anomalous))
    found.loss.backward()
    counted = (found.clean + found.anomalous > 0).sum().clamp_min(1)
    assert torch.allclose(clean.grad, found.clean / counted, atol=1e-5)
    assert torch.allclose(anomalous.grad, found.anomalous / counted, atol=1e-5)
    assert ((found.clean >= 0) & (found.anomalous >= 0)).all()


@given(energy, st.floats(0, 0.5))
def test_as_many_are_assigned_as_the_prior_expects(values, rate):
    pair = Energies(torch.tensor(values), -torch.tensor(values))
    prior = Prior([rate]).logit[0]
    expected = torch.sigmoid(prior).item() * len(values)
    assume(abs(expected % 1 - 0.5) > 1e-4)  # half a row is rounded either way
    assert Hard()(prior, pair).anomalous.sum() == round(expected)
    if rate == 0:
        assert Soft()(prior, pair).loss == Blind()(prior, pair).loss


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_is_verified_stays(assignment):
    pair = Energies(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    found = assignment(torch.tensor(-1.0), pair, torch.tensor([1, 0, 0]))
    assert found.anomalous.tolist() == [1, 0, 0]
    assert found.clean.tolist() == [0, 1, 1]


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_the_exact_loss_of_observed_rows_is_their_joint(weight):
    """Its gradients are the weights: eta for what is known, the posterior for what is not."""
    clean = torch.tensor([0.3, 1.0, 2.0], dtype=torch.double, requires_grad=True)
    anomalous = torch.tensor([1.5, 0.2, 2.5], dtype=torch.double, requires_grad=True)
    logit = torch.tensor(-1.0, dtype=torch.double, requires_grad=True)
    verified = torch.tensor([0, 1, -1])
    pair = Energies(clean, anomalous)
    found = Exact(label_weight=weight)(logit, pair, verified)
    pi = logit.sigmoid()
    by_hand = (
        weight * ((1 - pi).log() - clean[0])
        + weight * (pi.log() - anomalous[1])
        + ((1 - pi) * (-clean[2]).exp() + pi * (-anomalous[2]).exp()).log()
    )
    torch.testing.assert_close(found.loss, -by_hand / 3)
    gradients = torch.autograd.grad(found.loss, [clean, anomalous, logit])
    torch.testing.assert_close(gradients[0], found.clean / 3)
    torch.testing.assert_close(gradients[1], found.anomalous / 3)
    torch.testing.assert_close(gradients[2], torch.autograd.grad(-by_hand / 3, logit)[0])


def test_known_normal_rows_take_no_place_of_anomalies():
    values = torch.arange(10.0)
    told = torch.full((10,), -1)
    told[8:] = 0  # the two highest are known to be normal
    found = Hard()(torch.tensor(0.2).logit(), Energies(values, -values), told)
    assert found.anomalous.nonzero().flatten().tolist() == [6, 7]
    told[0] = 1
    found = Hard()(torch.tensor(0.2).logit(), Energies(values, -values), told)
    assert found.anomalous.nonzero().flatten().tolist() == [0, 7]


def test_labels_weigh_eta():
    pair = Energies(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]))
    told = torch.tensor([-1, 1])
    assert Blind(label_weight=2.0)(torch.tensor(0.0), pair, told).loss == (1 + 2 * 5) / 2
    with pytest.raises(DataError, match="label_weight"):
        Blind(label_weight=0.0)
