"""`Verified`: its values, its checks, and how rows and batches keep it."""

import pytest
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import nn

from nbam_pyro import LabelFlip, Verified, fit
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.models import linear_regression, robust_regression
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.sources import as_rows
from nbam_pyro.verified import NOTHING


def test_lightning_moves_verified_values_with_their_rows():
    x, y = torch.randn(4, 2), torch.arange(4)
    rows = as_rows((x, y), None, Verified.of(y, contaminated=[0, 1, -1, -1]))
    moved = move_data_to_device(rows.first(4), torch.device("meta"))
    assert isinstance(moved, Batch)
    assert {part.device.type for part in (moved.y, *vars(moved.verified).values())} == {"meta"}


def test_the_first_rows_include_verified_ones():
    x, y = torch.randn(30, 2), torch.arange(30) % 3
    contaminated = torch.where(torch.arange(30) >= 27, 1, -1)
    rows = as_rows((x, y), None, Verified.of(y, contaminated=contaminated))
    assert (rows.first(4).verified.contaminated == 1).sum() == 2
    assert len(rows.first(30).x) == 30
    assert as_rows((x, y), None, Verified.of(y)).verified is NOTHING


def test_most_rows_contaminated_is_a_collapse_unless_verified_rows_agree():
    assert CollapseReport(0.6, 0.6).collapsed
    assert CollapseReport(0.6, 0.6, 0.4).collapsed
    assert not CollapseReport(0.6, 0.6, 0.9).collapsed
    verified = Verified.of(torch.zeros(2), contaminated=torch.tensor([1, -1]))
    assert verified.accuracy(torch.tensor([0.9, 0.1]), torch.zeros(2)) == 1.0


def test_the_verdict_says_that_the_choice_of_verified_rows_is_unknown():
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(-1, 1, 80)[:, None]
    y = 2 * x[:, 0] + 0.1 * torch.randn(80, generator=generator)
    y[::10] += 5
    codes = torch.full((80,), -1)
    plain = fit(linear_regression(x, y), (x, y))
    assert "verified" not in plain.verdict.assumed
    codes[0] = 1
    one = fit(linear_regression(x, y), (x, y), verified=Verified.of(y, contaminated=codes))
    assert "1 verified row counts as an observation" in one.verdict.assumed.lower()
    assert "the share of the other rows rests on the model" in one.verdict.assumed
    assert one.verdict.level == plain.verdict.level


GOOD = torch.randn(12, 4), torch.arange(12) % 3
NONE = torch.full((12,), -1)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s, v: fit(s, GOOD, verified=v[:5]), DataError, r"shape \(5,\)"),
        (
            lambda s, v: fit(s, GOOD, verified=Verified(NONE, NONE.clone().fill_(3))),
            DataError,
            "not one of the 3 classes",
        ),
        (
            lambda s, v: fit(s, (GOOD[0], GOOD[1].roll(1)), verified=v),
            DataError,
            "different in 12 cases, the first in row 0",
        ),
        (lambda s, v: Verified.of(GOOD[1], contaminated=NONE.float()), DataError, "integers"),
        (lambda s, v: Verified.of(GOOD[1], contaminated=NONE + 3), DataError, "1, 0 or -1"),
        (lambda s, v: Verified.of(GOOD[1], true_label=NONE - 1), DataError, "not a class number"),
        (
            lambda s, v: fit(
                robust_regression(nn.Linear(4, 1), GOOD[0][:, 0]),
                (GOOD[0], GOOD[0][:, 0]),
                verified=Verified(NONE, NONE + 1),
            ),
            StoryError,
            "no latent true label",
        ),
    ],
)
def test_mistakes_are_named(call, error, says):
    verified = Verified.of(GOOD[1], contaminated=NONE + 1, true_label=GOOD[1])
    with pytest.raises(error, match=says):
        call(LabelFlip(nn.Linear(4, 3), 3), verified)
