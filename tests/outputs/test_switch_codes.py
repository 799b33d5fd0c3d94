"""Verified rows: codes, arrays with gaps and `Verified` mean the same; the rest is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from nbam_pyro import Verified
from nbam_pyro.detection import (
    AnomalyDetector,
    DeepSVDD,
    Energies,
    Exact,
    GaussianMixture,
    UnifiedObjective,
    Weights,
    estimate_rate,
    likely_rate,
    train_objective,
)
from nbam_pyro.detection.assignments import Hard, Soft
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import UNVERIFIED, switch_codes
from tests.detection.cases import rows

CODES = [1, 0, -1, -1, 1, 0]
FORMS = {
    "integers": np.array(CODES),
    "numbers with gaps": [1.0, 0.0, np.nan, np.nan, 1.0, 0.0],
    "objects with gaps": [True, False, None, np.nan, 1, 0.0],
    "a column with gaps": pd.Series([1, 0, None, None, 1, 0], dtype="Int64"),
    "a tensor": torch.tensor(CODES),
    "a Verified": Verified.of(torch.zeros(6).long(), contaminated=CODES),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_the_same_codes(form):
    codes = switch_codes(FORMS[form], 6)
    assert codes.dtype == torch.int64
    assert codes.tolist() == CODES


def test_nothing_is_verified_of_any_row_where_nothing_is_given():
    assert switch_codes(None, 3).tolist() == switch_codes([None] * 3, 3).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("verified", "words"),
    [
        ([1, 0], "shape"),
        (np.zeros((3, 1)), "shape"),
        ([0, 1, 2], "2 in row 2"),
        (["1", "0", "0"], "'1' in row 0"),
        ([0, [1], 0], "in row 1"),
        (np.array([0, 0.5, 1]), "0.5 in row 1"),
    ],
)
def test_other_codes_are_refused_by_row(verified, words):
    with pytest.raises(DataError, match=words):
        switch_codes(verified, 3)


def test_a_true_label_is_refused_where_there_are_no_labels():
    verified = Verified.of(torch.tensor([0, 1, 1]), true_label=[-1, -1, 0])
    with pytest.raises(DataError, match="true label for row 2, but a detector has no labels"):
        AnomalyDetector(DeepSVDD).fit(np.zeros((3, 2)), verified=verified)


def test_every_function_takes_every_form():
    x, odd = rows(60)
    codes = np.where(np.arange(60) % 3 == 0, odd, -1)
    gaps = np.where(codes < 0, np.nan, codes)
    whole = Verified.of(torch.zeros(60).long(), contaminated=codes)
    torch.manual_seed(0)
    pair = Energies(torch.rand(4, 60), torch.rand(4, 60))
    told = np.repeat([0.1, 0.2], 2)

    def trained(verified):
        torch.manual_seed(0)
        objective = UnifiedObjective(5, weights=Weights())
        return train_objective(objective, torch.as_tensor(x), verified, epochs=2)

    def scores(verified):
        detector = AnomalyDetector(DeepSVDD, contamination=0.1, epochs=2, random_state=0)
        return detector.fit(x, verified=verified).decision_scores_.tolist()

    def agreed(verified):
        return estimate_rate(pair, told, verified).agreement.to_numpy().tolist()

    for call in (trained, scores, agreed, lambda verified: likely_rate(pair, verified).rate):
        assert call(codes) == call(gaps) == call(whole)
        assert call(codes) != call(None)


@pytest.mark.parametrize("assignment", [Hard(), Soft(), Exact(label_weight=2.0)])
def test_the_null_value_is_a_code_of_minus_one_for_every_row(assignment):
    torch.manual_seed(0)
    pair = Energies(torch.rand(2, 8), torch.rand(2, 8))
    every = assignment(torch.zeros(2, 1), pair, torch.full((2, 8), -1))
    for other in (assignment(torch.zeros(2, 1), pair),
                  assignment(torch.zeros(2, 1), pair, UNVERIFIED)):  # fmt: skip
        assert all(torch.equal(one, two) for one, two in zip(every, other, strict=True))


def test_a_rate_of_zero_contradicts_verified_anomalies():
    x, odd = rows(60)
    detector = AnomalyDetector(GaussianMixture, assignment=Exact(), contamination=0, epochs=1)
    with pytest.raises(DataError, match="6 rows are verified as anomalies"):
        detector.fit(x, verified=odd)
    detector.fit(x, verified=np.where(odd, -1, 0))
