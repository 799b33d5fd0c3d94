"""Codes of groups beside rows."""

import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip
from nbam_pyro.data import with_groups
from nbam_pyro.errors import DataError


@pytest.mark.parametrize(
    ("x", "group", "match"),
    [
        (torch.zeros(3), [1, 2, 3], "two dimensions"),
        (torch.zeros(3, 1), [1, 2], "one group for each row"),
    ],
)
def test_groups_that_do_not_fit_are_refused(x, group, match):
    with pytest.raises(DataError, match=match):
        with_groups(x, group)
    with pytest.raises(DataError, match="with_groups"):
        LabelFlip(nn.Linear(1, 2), 2, groups=2).log_predictor(torch.zeros(3, 1), {})


def test_missing_groups_are_unknown_and_images_carry_a_channel():
    rows, names = with_groups(torch.zeros(3, 2, 4, 4), ["a", None, "b"])
    assert rows.shape == (3, 3, 4, 4)
    assert rows[:, -1, 0, 0].tolist() == [0.0, -1.0, 1.0]
    assert list(names) == ["a", "b"]


def test_missing_groups_among_texts_are_unknown():
    rows, names = with_groups(torch.zeros(3, 1), ["b", float("nan"), "a"])
    assert rows[:, -1].tolist() == [1.0, -1.0, 0.0]
    assert list(names) == ["a", "b"]
    with pytest.raises(DataError, match="twice"):
        with_groups(torch.zeros(3, 1), ["a", "b", "a"], names=["a", "b", "a"])
