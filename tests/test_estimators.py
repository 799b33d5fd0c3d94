"""The estimators as scikit-learn's users meet them."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nbam_pyro import Beta, NBAMClassifier, NBAMRegressor
from nbam_pyro.errors import DataError, NBAMError, SupportError
from nbam_pyro.inference import Joint, RobustStart, WarmUp, transition_matrix
from nbam_pyro.models import UniformRange, mlp

# Noise for labels, ten rows, one feature: scikit-learn's checks contain fits that must collapse.
collapses = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")
QUICK = [WarmUp(epochs=15, lr=1e-2), Joint(epochs=5, guide_lr=1e-3)]
QUICK_REGRESSION = [RobustStart(epochs=10, lr=1e-2), Joint(epochs=15, lr=1e-2)]

NOT_A_SUM = (
    "mini-batches, folds and held-out rows are drawn row by row, so a row repeated twice is not "
    "drawn as one row of weight two; the objective is the same, the random path is not"
)
EXPECTED_TO_FAIL = {"check_sample_weight_equivalence_on_dense_data": NOT_A_SUM}


@collapses
@parametrize_with_checks(
    [NBAMClassifier(), NBAMRegressor()], expected_failed_checks=lambda _: EXPECTED_TO_FAIL
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)
