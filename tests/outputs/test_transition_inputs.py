"""Checks of the arguments of `estimate_transition`."""

import pytest
import torch

from nbam_pyro import FlipPrior
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.transition import RowsByLabel, estimate_transition
from tests.outputs.cases import evidence

F = torch.full((4, 2), 0.5).log()

Y = torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_f": F[:, :1]}, "at least two"),
        ({"log_f": F[0]}, "at least two"),
        ({"log_f": Y[:, None].expand(4, 2)}, "floats"),
        ({"log_f": F[:0], "labels": Y[:0]}, "no rows"),
        ({"log_f": torch.ones(4, 2)}, "log_f is 1.0 in row 0, column 0; expected logarithms"),
        ({"log_f": F - 0.1}, "not normalised in 4 rows, the first is row 0"),
        (
            {"log_f": F.index_fill(0, torch.tensor([1]), torch.nan)},
            "log_f is nan in row 1, column 0",
        ),
        ({"log_f": F.index_fill(0, torch.tensor([1]), -torch.inf)}, "not normalised in 1 rows"),
        ({"labels": Y[:3]}, "labels have shape"),
        ({"labels": Y.float()}, "labels has type torch.float32; expected integers"),
        ({"labels": Y + 1}, "label 2 in row 1, .*If labels start at 1, subtract 1"),
        ({"labels": Y - 1}, "label -1 in row 0.*expected 0 to 1 for 2 classes. If -1"),
        ({"true_labels": Y - 2}, "true_labels has the label -2 in row 0"),
        ({"true_labels": Y[:, None]}, "true_labels have shape"),
        ({"weights": torch.tensor([1.0, -1.0, 1.0, 1.0])}, "not negative"),
        ({"weights": torch.tensor([1.0, torch.nan, 1.0, 1.0])}, "not negative"),
        ({"weights": torch.ones(4) / 0}, "not negative"),
        ({"weights": torch.zeros(4)}, "All weights are 0, so no row counts"),
        ({"weights": torch.ones(3)}, r"weights have shape \(3,\); expected \(4,\)"),
        ({"start": torch.full((2, 2), torch.nan)}, "start has 4 numbers that are missing"),
        ({"start": torch.tensor([[1.0, 0.0], [-1.0, 1.0]])}, "negative in row 1, column 0"),
        ({"start": torch.ones(3, 3)}, r"start has shape \(3, 3\)"),
        ({"iterations": 0}, "at least one"),
        ({"class_prior": 0.0}, "class_prior is 0.0: .* positive and finite; None"),
        ({"class_prior": -1.0}, "class_prior is -1.0"),
        ({"class_prior": torch.inf}, "class_prior is inf"),
        ({"class_prior": torch.nan}, "class_prior is nan"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"log_f": F, "labels": Y, **change}
    with pytest.raises(DataError, match=message):
        estimate_transition(
            arguments.pop("log_f"), arguments.pop("labels"), **{"prior": FlipPrior(), **arguments}
        )


def test_grouping_does_not_touch_the_caller_s_tensors():
    log_f, true, y = evidence(20, 3, 0)
    before = log_f.clone()
    RowsByLabel.of(log_f, y, weights=None, true_labels=true)
    assert torch.equal(log_f, before)


def test_half_precision_and_graphs_are_taken_by_the_estimate():
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], dtype=torch.float64)
    logits = p.repeat(20, 1).log().requires_grad_()
    y = torch.tensor([0, 1, 1] * 20, dtype=torch.uint8)
    exact = estimate_transition(logits, y, prior=FlipPrior())
    coarse = estimate_transition(logits.bfloat16(), y, prior=FlipPrior())
    assert torch.allclose(exact.rate, coarse.rate, atol=0.05)
    weights = torch.ones(60, requires_grad=True)
    again = estimate_transition(logits, y, prior=FlipPrior(), weights=weights)
    assert torch.equal(again.rate, exact.rate)
    assert not again.rate.requires_grad
