"""Rates: the share of anomalies by agreement and by likelihood."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    DeepSVDD,
    Energies,
    NeuralTransformations,
    estimate_rate,
    likely_rate,
)
from nbam_pyro.detection.rate_estimates import member_agreement
from nbam_pyro.detection.rates import CANDIDATES
from nbam_pyro.detection.scores import shares_below
from nbam_pyro.errors import DataError
from tests.detection.cases import quick, rows


def agreeing(rate, members=4, n=400, noise=0.3):
    """Scores of members that agree which rows are the anomalies, and on nothing else."""
    generator = torch.Generator().manual_seed(0)
    odd = torch.arange(n) < round(rate * n)
    told = np.repeat(CANDIDATES, members)
    score = torch.where(odd, 2.0, 0.0) + noise * torch.randn(len(told), n, generator=generator)
    return Energies(score, -score), told


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_the_rate_is_that_at_which_members_agree(rate):
    found = estimate_rate(*agreeing(rate))
    assert found.rate == rate
    assert found.low <= rate <= found.high
    assert list(found.agreement.index) == sorted(CANDIDATES)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(0, 100))
def test_the_rate_of_densities_that_do_not_overlap_is_that_of_counting(seed, count):
    odd = torch.from_numpy(np.random.default_rng(seed).permutation(200) < count)
    pair = Energies(torch.where(odd, 50.0, 0.0)[None], torch.where(odd, 0.0, 50.0)[None])
    found = likely_rate(pair)
    exact = beta(count + 1, 200 - count + 1)  # under a uniform prior up to 1/2
    low, high = exact.ppf(np.array([0.05, 0.95]) * exact.cdf(0.5))
    assert found.low == pytest.approx(low, abs=2e-3)
    assert found.high == pytest.approx(high, abs=2e-3)
    assert found.low < found.rate < found.high
    # Rows that are known say the same as rows that are plain.
    known = likely_rate(Energies(torch.zeros(1, 200), torch.zeros(1, 200)), odd.long())
    assert known.rate == pytest.approx(found.rate, abs=1e-3)


def test_without_agreement_the_rate_is_none():
    found = estimate_rate(*agreeing(0.0))
    assert (found.rate, found.low, found.high) == (0.0, 0.0, 0.5)


def test_an_agreement_that_grows_to_the_last_says_nothing():
    score = torch.arange(400.0).expand(12, 400) + 20 * torch.randn(12, 400)
    found = estimate_rate(Energies(score, -score), np.repeat([0.1, 0.2, 0.3], 4))
    assert found.agreement["mean"].is_monotonic_increasing
    assert found.rate == 0.0


def test_rows_that_are_known_are_no_agreement():
    """Members agree on ten known anomalies and on nothing else."""
    torch.manual_seed(0)
    known = torch.full((200,), -1)
    known[:10] = 1
    score = torch.rand(6, 200) + 5 * (known == 1)
    energies, rates = Energies(score, -score), np.repeat([0.02, 0.05, 0.1], 2)
    assert estimate_rate(energies, rates).rate == 0.05
    found = estimate_rate(energies, rates, known)
    assert found.rate == 0.0
    assert found.agreement["mean"].loc[[0.02, 0.05]].eq(0).all()
    # Ten more that they do agree on are found beside the known ones.
    more = score + 5 * (torch.arange(200) < 20)
    assert estimate_rate(Energies(more, -more), np.repeat([0.05, 0.1, 0.2], 2), known).rate == 0.1


@given(st.integers(0, 99), st.sampled_from([0.1, 0.3]))
def test_kappa_is_0_by_chance_and_1_for_the_same(seed, rate):
    generator = torch.Generator().manual_seed(seed)
    score = torch.rand(6, 400, generator=generator)
    assert member_agreement(Energies(score, -score), rate).mean() == pytest.approx(0, abs=0.15)
    same = score[:1].expand(2, 400)
    assert member_agreement(Energies(same, -same), rate) == pytest.approx([1.0])


def test_agreement_takes_several_members_and_rates():
    score = torch.rand(2, 20)
    for rates in ([0.1, 0.1], [0.1, 0.2]):
        with pytest.raises(DataError, match="two or more"):
            estimate_rate(Energies(score, -score), np.array(rates))


def test_a_rate_that_is_not_known_is_averaged_over():
    x, odd = rows(share=0.15)
    detector = AnomalyDetector(AutoEncoder, epochs=60, lr=3e-3, random_state=0).fit(x)
    assert len(detector.rates_) == 3 * len(CANDIDATES)
    used = np.unique(detector.rates_[detector.ranking_])
    assert len(used) == 1 or used.tolist() == [0.05, 0.1]
    clean = detector.energies(x).clean[detector.ranking_]
    expected = shares_below(clean.sort().values, clean).mean(0)
    assert np.allclose(detector.decision_scores_, expected)
    assert roc_auc_score(odd, detector.decision_scores_) > 0.7
    r = detector.report_.rows["responsibility"]
    assert detector.contamination_ == pytest.approx(r.mean(), rel=1e-12)


@pytest.mark.parametrize("make", [NeuralTransformations, AutoEncoder, DeepSVDD])
def test_where_nothing_differs_no_rate_is_told(make):
    step = np.arange(1.0, 101.0)
    for x in (np.ones((60, 4)), np.c_[step, step], np.zeros((50, 1))):
        detector = quick(make, epochs=30).fit(x)
        assert detector.verdict_.level == "cannot tell"
        assert detector.contamination_interval_[0] == 0
        assert detector.contamination_ < 0.1
        assert detector.labels_.sum() == 0


def test_agreement_that_is_the_same_everywhere_tells_nothing():
    same = torch.arange(100.0, dtype=torch.double).expand(10, 100)
    rates = np.repeat([0.05, 0.1, 0.15, 0.2, 0.3], 2)
    found = estimate_rate(Energies(same, -same), rates)
    assert (found.rate, found.low, found.high) == (0.0, 0.0, 0.5)
    assert (found.agreement["mean"] > 0.99).all()


def test_ties_agree_by_chance_and_not_by_row_number():
    equal = torch.ones(3, 40)
    assert member_agreement(Energies(equal, equal), 0.1) == pytest.approx([0.0, 0.0, 0.0])
    # Two rows are above, of the other places chance decides: 2 + 36 * (2/36)^2 of 4 are shared.
    some = equal.clone()
    some[:, [3, 17]] = 2.0
    shared = (2 + 38 * (2 / 38) ** 2) / 4
    expected = (shared - 0.1) / 0.9
    assert member_agreement(Energies(some, -some), 0.1) == pytest.approx([expected] * 3)


def test_energies_that_are_not_finite_are_refused():
    bad = torch.ones(4, 30)
    bad[1, 7] = torch.nan
    for call in (lambda pair: estimate_rate(pair, np.repeat([0.1, 0.2], 2)), likely_rate):
        with pytest.raises(DataError, match="row 7 in model 1"):
            call(Energies(torch.ones(4, 30), bad))
