"""Folds never divide rows that belong together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, NBAMRegressor, fit
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, WarmUp, compare_priors
from nbam_pyro.models import BetaSwitch, LatentSwitch, LinearNormal, UniformRange
from nbam_pyro.training.folds import split, together

QUICK = [WarmUp(epochs=15, lr=0.05), Joint(epochs=30, lr=0.05)]


@given(
    groups=st.lists(st.integers(0, 9), min_size=12, max_size=60),
    labelled=st.booleans(),
    seed=st.integers(0, 3),
)
@settings(max_examples=30, deadline=None)
def test_no_fold_divides_a_group_and_every_row_is_in_one_fold(groups, labelled, seed):
    numbers = together(None, groups)
    y = np.arange(len(groups)) % 2 if labelled else np.linspace(0, 1, len(groups))
    folds = list(split(y, 3, seed=seed, groups=numbers))
    rows = np.concatenate([own for _, own in folds])
    assert sorted(rows) == list(range(len(groups)))
    if numbers is not None and len(set(groups)) > 1:
        assert len(folds) == min(3, len(set(groups)))
        for others, own in folds:
            assert not set(np.array(groups)[others]) & set(np.array(groups)[own])


def test_equal_rows_and_groups_join():
    x = np.array([[0.0, 1.0], [2.0, 3.0], [-0.0, 1.0], [4.0, 5.0], [6.0, 7.0]])
    assert together(x).tolist() == [0, 1, 0, 2, 3]
    # Row 0 equals row 2, which is of the same patient as row 3.
    assert together(x, ["a", "b", "c", "c", "d"]).tolist() == [0, 1, 0, 0, 2]
    assert together(x[[0, 1, 3]]) is None
    assert together(None, ["a", "b"]) is None
    assert together(None) is None
    categories = np.tile(np.eye(3), (5, 1))  # rows repeat by design
    assert together(categories) is None
    assert together(categories, ["a"] * 2 + ["b"] * 13).tolist() == [0] * 2 + [1] * 13
    with pytest.raises(DataError, match="one value per row"):
        together(None, ["a", "a"], count=3)
    for wrong in (["a"], [["a"] * 5]):
        with pytest.raises(DataError, match="one value per row"):
            together(x, wrong)


def patients(n=90):
    rng = np.random.default_rng(0)
    patient = rng.integers(0, 30, n)
    y = patient % 3
    return 4 * np.eye(3)[y] + rng.normal(size=(n, 3)), y, patient


def test_held_out_patients_are_not_trained_on():
    x, y, patient = patients()
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=QUICK, groups=patient)
    held_out = fitted.held_out
    assert 5 <= held_out.sum() <= 30
    assert not set(patient[held_out]) & set(patient[~held_out])
    with pytest.raises(DataError, match=r"one for each row|one value per row"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=QUICK, groups=patient[:5])


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_estimators_take_groups_of_rows_with_and_without_a_target():
    x, y, patient = patients()
    names = np.array(["p"], dtype=object) + patient.astype(str)
    labels = y.astype(float)
    labels[4] = np.nan
    classifier = NBAMClassifier(network=nn.Linear, steps=QUICK, random_state=0)
    held_out = classifier.fit(x, labels, groups=names).fit_.held_out
    used = np.delete(patient, 4)
    assert not set(used[held_out]) & set(used[~held_out])
    with pytest.raises(DataError, match="groups has shape"):
        classifier.fit(x, labels, groups=names[:3])
    line = x[:30, :1]
    regressor = NBAMRegressor(random_state=0).fit(line, line[:, 0] ** 2, groups=patient[:30])
    assert set(regressor.mean_.scores.index) >= {"linear", "spline"}


def test_priors_are_compared_on_whole_groups():
    x, _, patient = patients(60)
    x = x.astype(np.float32)
    y = x[:, 0] + 0.1 * np.sin(9 * x[:, 1])
    stories = {
        str(a): LatentSwitch(
            switch=BetaSwitch(a, 9.0), clean=LinearNormal(3), anomaly=UniformRange(-60.0, 60.0)
        )
        for a in (1.0, 2.0)
    }
    fold = compare_priors(stories, x, y, folds=3, groups=patient).fold
    assert all(len(set(fold[patient == one])) == 1 for one in np.unique(patient))


def test_equal_rows_lie_in_one_fold():
    x, y, _ = patients()
    x[1::2] = x[::2]
    torch.manual_seed(0)
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=QUICK)
    assert (fitted.held_out[1::2] == fitted.held_out[::2]).all()
