"""Scaling: offsets, units and wild rows do not matter."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    DeepSVDD,
    NeuralTransformations,
    Rotations,
)
from nbam_pyro.detection.scaling import Range
from nbam_pyro.errors import DataError
from tests.detection.cases import TABULAR, contaminated, quick, rows


def test_large_numbers_keep_their_differences():
    x, _ = rows()
    near, far = x.astype(float), x.astype(float) + 1e9
    settings = {"contamination": 0.1, "epochs": 2, "random_state": 0}
    scores = [AnomalyDetector(**settings).fit(part).decision_scores_ for part in (near, far)]
    assert np.allclose(*scores, atol=1e-3)


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12])
def test_offsets_cost_no_digits(make, offset):
    x = contaminated() + offset
    scaled = StandardScaler().fit_transform(x)
    one, other = (quick(make, contamination=0.1).fit(part) for part in (x, scaled))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.decision_scores_, other.decision_scores_, rtol=1e-6)
    np.testing.assert_allclose(
        one.decision_function(x[:9]), other.decision_function(scaled[:9]), rtol=1e-6
    )


@pytest.mark.parametrize("make", TABULAR)
def test_units_do_not_matter(make):
    x = contaminated()
    unlike = x * [1e-9, 1e9, 1.0, 1e-9, 1e9] + [0.0, 1e12, -1e9, 1e-6, 0.0]
    scaled = StandardScaler().fit_transform(unlike)
    one, other = (quick(make, contamination=0.1).fit(part) for part in (unlike, scaled))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.decision_scores_, other.decision_scores_, rtol=1e-6)


def test_values_that_their_type_cannot_tell_apart_are_refused_by_name():
    x = pd.DataFrame(contaminated(), columns=list("abcde"))
    for offset, scale in ((1e18, 1e3), (1e12, 1e-3), (1e9, 1e-6)):
        with pytest.raises(DataError, match="'c'"):
            quick(AutoEncoder).fit(x.assign(c=offset + scale * x["c"]))
    # As they are, rows are trained on in torch's default type.
    with pytest.raises(DataError, match=r"'d'.*scale='range'"):
        quick(AutoEncoder, scale=None).fit(x.assign(d=x["d"] + 1e7))
    with pytest.raises(DataError, match="scale='range'"):
        quick(Rotations).fit(np.random.default_rng(0).random((8, 1, 6, 6)) + 1e9)
    with pytest.raises(DataError, match="'b' has values that are further apart"):
        quick(AutoEncoder).fit(x.assign(b=np.where(np.arange(150) % 2, 1e308, -1e308)))


@pytest.mark.parametrize("wild", [99999.0, -999.0])
@pytest.mark.parametrize("count", [1, 5])
def test_wild_rows_do_not_decide_where_the_others_are(wild, count):
    x = np.random.default_rng(0).normal(size=(90, 3))
    spoilt = x.copy()
    spoilt[-count:, 1] = wild
    plain, after = Range.of(x), Range.of(spoilt)
    assert 0.8 < after.width[1] / plain.width[1] < 1.25
    np.testing.assert_array_equal(after.width[[0, 2]], plain.width[[0, 2]])


@pytest.mark.parametrize("make", [NeuralTransformations, AutoEncoder, DeepSVDD])
@pytest.mark.parametrize("wild", [99999.0, -999.0])
def test_one_wild_row_is_flagged_and_hides_no_other(make, wild):
    x = contaminated(90)
    x[50, 2] = wild
    odd = (np.arange(90) < 12) | (np.arange(90) == 50)
    detector = quick(make, contamination=13 / 90, epochs=100).fit(x)
    assert detector.labels_[50] == 1
    assert roc_auc_score(odd, detector.decision_scores_) > 0.9


@pytest.mark.parametrize("ones", [1, 2, 30])
def test_zeros_and_ones_keep_their_distance(ones):
    x = np.zeros((90, 2))
    x[:ones, 0] = 1.0
    x[:, 1] = 0.1 + 0.2
    x[::2, 1] = 0.3
    assert Range.of(x).width.tolist() == [1.0, 1.0]
