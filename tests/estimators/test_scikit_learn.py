"""The estimators pass scikit-learn's own checks."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.inference import Joint, RobustStart, WarmUp

# Noise for labels, ten rows, one feature: scikit-learn's checks contain fits that must collapse.
collapses = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
QUICK = [WarmUp(epochs=15, lr=1e-2), Joint(epochs=5, guide_lr=1e-3)]
QUICK_REGRESSION = [RobustStart(epochs=10, lr=1e-2), Joint(epochs=15, lr=1e-2)]

NOT_A_SUM = (
    "mini-batches, folds and held-out rows are drawn row by row, so a row repeated twice is not "
    "drawn as one row of weight two; the objective is the same, the random path is not"
)
EXPECTED_TO_FAIL = {"check_sample_weight_equivalence_on_dense_data": NOT_A_SUM}


@collapses
@parametrize_with_checks(
    [NBAMClassifier(steps=QUICK), NBAMRegressor(steps=QUICK_REGRESSION)],
    expected_failed_checks=lambda _: EXPECTED_TO_FAIL,
)
def test_scikit_learns_own_checks(estimator, check):
    """How an estimator speaks and what it refuses is the same under every recipe."""
    check(estimator)


def checks_of_training():
    """The checks whose data are rows to learn from, one row, or one feature."""
    names = (
        "check_classifiers_train",
        "check_regressors_train",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
    )
    for estimator in (NBAMClassifier(), NBAMRegressor()):
        for one, check in estimator_checks_generator(estimator):
            if check.func.__name__ in names and not check.keywords.get("readonly_memmap"):
                name = f"{type(estimator).__name__}-{check.func.__name__}"
                yield pytest.param(one, check, id=name)


@collapses
@pytest.mark.parametrize(("estimator", "check"), list(checks_of_training()))
def test_default_recipes_pass_the_checks_of_training(estimator, check):
    check(estimator)
