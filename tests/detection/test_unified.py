"""The unified objective: three terms, no collapse, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import UnifiedObjective, Weights, train_objective
from nbam_pyro.detection.unified.objective import SAD, SVDD
from nbam_pyro.errors import DataError
from tests.detection.cases import rows


@pytest.mark.parametrize("weights", [Weights(), SVDD, SAD, Weights(compactness=0, separation=0)])
def test_the_unified_objective_has_three_terms_and_no_collapse(weights):
    torch.manual_seed(0)
    x, odd = rows()
    verified = torch.as_tensor(np.where(odd, 1, -1))
    objective = UnifiedObjective(5, weights=weights)
    history = train_objective(objective, torch.as_tensor(x), verified, epochs=30)
    assert {"information", "compactness", "separation"} <= set(history[0])
    total = sum(vars(weights)[name] * history[-1][name] for name in vars(weights))
    assert history[-1]["loss"] == pytest.approx(-total, rel=1e-3)
    assert history[-1]["loss"] < history[0]["loss"]
    scores = objective.scores(torch.as_tensor(x)).numpy()
    assert np.ptp(scores) > 0.01
    assert roc_auc_score(odd, scores) > 0.8


def test_a_batch_of_labelled_anomalies_alone_has_no_normal_terms():
    objective = UnifiedObjective(5, weights=SAD)
    terms = objective.terms(torch.rand(4, 5), torch.ones(4))
    assert terms.information == terms.compactness == 0
    assert terms.separation.isfinite()
    for wrong in (torch.ones(4), torch.zeros(3)):
        with pytest.raises(DataError, match="verified"):
            train_objective(objective, torch.rand(4, 5), wrong, epochs=1)
    for make in (
        lambda: Weights(information=-1.0),
        lambda: Weights(information=0, compactness=0, separation=0),
        lambda: UnifiedObjective(5, weights=SVDD, embedding=0),
    ):
        with pytest.raises(DataError):
            make()


def test_the_objective_refuses_what_would_become_nan():
    x = torch.rand(20, 5)
    objective = UnifiedObjective(5, weights=Weights())
    bad = x.clone()
    bad[3, 1] = torch.nan
    for call in (lambda rows: train_objective(objective, rows, epochs=1), objective.scores):
        with pytest.raises(DataError, match="row 3, column 1"):
            call(bad)
        with pytest.raises(DataError, match="float64"):
            call(x.double())
        with pytest.raises(DataError, match=r"\(N, 5\)"):
            call(x[:, :4])
    with pytest.raises(DataError, match="wrong code 7 in row 2"):
        train_objective(objective, x, torch.tensor([-1, 0, 7] + 17 * [-1]), epochs=1)
    with pytest.raises(DataError, match="not finite"):
        train_objective(objective, x * 1e30, epochs=1)
    with pytest.raises(DataError, match="finite"):
        Weights(information=float("nan"))
