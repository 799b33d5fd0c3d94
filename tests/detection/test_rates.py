"""Rates: which one the settings ask for, and what each does."""

import numpy as np
import pytest
import torch

from nbam_pyro.detection import Blind, Energies, Exact, Soft
from nbam_pyro.detection.rates import AgreedRate, GivenRate, LearnedRate, rate_of

RATES = [GivenRate(0.2), LearnedRate(), AgreedRate()]


@pytest.mark.parametrize(
    ("contamination", "assignment", "kind"),
    [
        (0, Exact(), GivenRate),
        (0.1, Soft(), GivenRate),
        ("auto", Exact(), LearnedRate),
        ("auto", Soft(), AgreedRate),
        ("auto", Blind(), AgreedRate),
    ],
)
def test_settings_ask_for_one_rate(contamination, assignment, kind):
    assert type(rate_of(contamination, assignment)) is kind


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_scores_rows(rate):
    torch.manual_seed(0)
    told = rate.training_rates(2)
    energies = Energies(torch.rand(len(told), 50).double(), torch.rand(len(told), 50).double())
    ranking = rate.ranking(energies, told, torch.full((50,), -1))
    assert rate.shape(energies.clean, ranking).shape == (50,)
    reference = energies.clean[ranking].sort().values
    scores = rate.scores(energies.clean, reference, ranking)
    assert scores.shape == (50,)
    assert np.ptp(scores) > 0


def test_only_members_of_one_rate_are_averaged_by_energy():
    clean = torch.rand(10, 20).double()
    told = AgreedRate().training_rates(1)
    assert len(told) == 10  # pairs of models agree, so each rate has two
    ranking = torch.tensor([4, 5])
    scores = AgreedRate().scores(clean, clean[ranking].sort().values, ranking)
    by_hand = [(clean[k][:, None] > clean[k]).double().mean(1) for k in ranking]
    np.testing.assert_allclose(scores, sum(by_hand) / 2)
    np.testing.assert_allclose(
        GivenRate(0.1).scores(clean, clean[:0], torch.arange(0)), clean.mean(0)
    )
