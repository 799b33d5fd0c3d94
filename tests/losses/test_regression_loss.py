"""`NBAMRegressionLoss`: its value, its start, and verified measurements."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nbam_pyro import NBAMRegressionLoss
from nbam_pyro.errors import DataError
from nbam_pyro.losses import nbam_regression_loss


def outliers():
    x = torch.linspace(-1, 1, 60)
    y = 3 * x + 0.1 * torch.randn(60)
    y[::10] += 20.0
    return x, y


def test_regression_is_absolute_error_until_started():
    prediction, target = torch.randn(5), torch.randn(5)
    assert NBAMRegressionLoss()(prediction, target) == F.l1_loss(prediction, target)


def test_regression_resists_outliers_and_flags_them():
    x, y = outliers()
    network, loss = nn.Linear(1, 1), NBAMRegressionLoss()
    optimiser = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=0.05)
    for step in range(400):
        if step == 100:
            loss.start_from(network(x[:, None])[:, 0].detach(), y)
        optimiser.zero_grad()
        loss(network(x[:, None])[:, 0], y).backward()
        optimiser.step()
    assert network.weight.item() == pytest.approx(3.0, abs=0.1)
    r = loss.responsibility(network(x[:, None])[:, 0], y)
    assert (r[::10] > 0.99).all()
    assert (r > 0.5).sum() == 6
    assert loss.log_scale.exp().item() == pytest.approx(0.1, rel=0.4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_regression_reductions_agree(reduction):
    prediction, target = torch.randn(7), torch.randn(7)
    whole, parts = NBAMRegressionLoss(reduction=reduction), NBAMRegressionLoss(reduction="none")
    for loss in (whole, parts):
        loss.start_from(prediction, target)
    values = parts(prediction, target)
    expected = values.mean() if reduction == "mean" else values.sum()
    assert torch.allclose(whole(prediction, target), expected)


def test_regression_gradcheck():
    def loss(prediction, logit, log_scale):
        broad = {"anomaly_loc": torch.tensor(0.0), "anomaly_scale": torch.tensor(9.0)}
        return nbam_regression_loss(
            prediction, target, switch_logit=logit, log_scale=log_scale, **broad
        )

    target = torch.randn(4, dtype=torch.float64)
    arguments = [torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (4, 1, 1)]
    assert torch.autograd.gradcheck(loss, arguments)


def test_regression_respects_what_is_verified():
    x, y = outliers()
    prediction = 3 * x
    contaminated = torch.full((60,), -1)
    contaminated[:10], contaminated[10] = 0, 1
    contaminated[0] = 1
    loss = NBAMRegressionLoss()
    plain = F.l1_loss(prediction[1:10], y[1:10])
    assert torch.allclose(loss(prediction[:10], y[:10], contaminated=contaminated[:10]), plain)
    loss.start_from(prediction, y, contaminated=contaminated)
    r = loss.responsibility(prediction, y, contaminated=contaminated)
    assert torch.equal(r[:11], contaminated[:11].float())
    assert torch.equal(r[11:], loss.responsibility(prediction, y)[11:])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_regression_has_finite_gradients_where_verified(reduction):
    prediction, target = torch.randn(30, requires_grad=True), torch.randn(30)
    loss = NBAMRegressionLoss(reduction=reduction)
    for contaminated in (torch.arange(30) % 3 - 1, torch.ones(30).long()):
        loss(prediction, target, contaminated=contaminated).sum().backward()
        loss.start_from(prediction, target)
    assert prediction.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in loss.parameters())


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: NBAMRegressionLoss()(torch.zeros(3, 1), torch.zeros(3)), "must be equal"),
        (lambda: NBAMRegressionLoss().responsibility(torch.zeros(3), torch.zeros(3)), "start_from"),
        (lambda: NBAMRegressionLoss().start_from(torch.zeros(3), torch.zeros(3)), "different"),
        (lambda: NBAMRegressionLoss(breadth=0.5), "breadth"),
        (
            lambda: NBAMRegressionLoss()(
                torch.zeros(2), torch.ones(2), contaminated=torch.tensor([0.0, torch.nan])
            ),
            "expected integers",
        ),
    ],
)
def test_mistakes_are_named(mistake, says):
    with pytest.raises(DataError, match=says):
        mistake()
