"""Mistakes in what an estimator is fitted to: named in one line."""

import numpy as np
import pytest

from nbam_pyro import Beta, NBAMClassifier, NBAMRegressor
from nbam_pyro.errors import DataError, NBAMError, SupportError
from nbam_pyro.models import UniformRange, mlp

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
NAMES = np.array(["a", "b"])[Y]
BAD = X.copy()
BAD[3, 1] = np.inf


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: NBAMClassifier().fit(BAD, Y), "infinit"),
        (lambda: NBAMRegressor().fit(BAD, Y), "infinit"),
        (lambda: NBAMClassifier().fit(X, np.zeros(12)), "one class"),
        (lambda: NBAMClassifier().fit(X, [0] * 11 + [1]), "fewer than two rows"),
        (lambda: NBAMClassifier().fit(X, Y + 0.5), "NBAMRegressor"),
        (lambda: NBAMClassifier().fit(X, Y + np.inf), "infinit"),
        (lambda: NBAMClassifier().fit(X, [None] * 12), "0 rows"),
        (lambda: NBAMClassifier().fit(X, ["a", 1] * 6), "mix"),
        (lambda: NBAMClassifier().fit(X, Y[:5]), "must agree"),
        (lambda: NBAMRegressor().fit(X, ["far"] * 12), "text"),
        (lambda: NBAMRegressor().fit(X, np.ones(12)), "differ"),
        (lambda: NBAMRegressor().fit(X, np.r_[np.inf, np.ones(11)]), "infinit"),
        (lambda: NBAMRegressor(contamination=1.0).fit(X, Y), "contamination"),
        (lambda: NBAMClassifier(contamination="some").fit(X, Y), "contamination"),
        (lambda: NBAMClassifier(contamination=Beta(0, 1)).fit(X, Y), "positive"),
        (lambda: NBAMClassifier().fit(X, Y, sample_weight=-np.ones(12)), "[Nn]egative"),
        (lambda: NBAMClassifier().fit(X, Y, sample_weight=np.zeros(12)), "weight"),
        (lambda: NBAMClassifier().fit(X, Y, true_label=[2] + [None] * 11), "true_label.*such as 2"),
        (
            lambda: NBAMClassifier().fit(X, Y, true_label=["a"] * 12),
            "classes of training, such as 0",
        ),
        (lambda: NBAMClassifier().fit(X, NAMES, true_label=["a", 1] * 6), "true_label.*mix"),
        (
            lambda: NBAMClassifier().fit(X, NAMES, true_label=NAMES[:5]),
            "5 rows, but the data have 12",
        ),
        (
            lambda: NBAMClassifier().fit(X, Y, contaminated=[2] * 12),
            "'2' is not 1, true, 0 or false",
        ),
        (
            lambda: NBAMClassifier().fit(X, Y, contaminated=["so"] * 12),
            "'so' is not 1, true, 0 or false",
        ),
        (
            lambda: NBAMRegressor().fit(X, X[:, 0], contaminated=[0.5] * 12),
            "'0.5' is not 1, true, 0 or false",
        ),
        (
            lambda: NBAMClassifier().fit(X, Y, true_label=1 - Y, contaminated=[None] * 3 + [0] * 9),
            "its true label is different in 9 cases, the first in row 3",
        ),
        (
            lambda: NBAMClassifier().fit(X, [None, *NAMES[1:]], contaminated=[0] * 12),
            "no target, the first is row 0",
        ),
    ],
)
def test_mistakes_are_named(call, says):
    with pytest.raises(NBAMError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_measurement_outside_a_bounded_anomaly_is_named():
    with pytest.raises(SupportError, match="row 11"):
        NBAMRegressor(anomaly=UniformRange(0.0, 10.0)).fit(X, np.arange(12.0))


def test_more_classes_than_there_is_memory_for_are_named(monkeypatch):
    class Memory:
        available = 40_000

    monkeypatch.setattr("psutil.virtual_memory", Memory)
    y = np.repeat(np.arange(60), 2)
    with pytest.raises(DataError, match=r"60 classes.*144000 bytes, but 40000 are available"):
        NBAMClassifier(network=mlp).fit(np.zeros((120, 2)), y)
