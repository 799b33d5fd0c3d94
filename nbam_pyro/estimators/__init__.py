"""scikit-learn estimators, which call `fit` on tables and image arrays."""

from nbam_pyro.estimators.choices import ModelChoice
from nbam_pyro.estimators.classifier import NBAMClassifier
from nbam_pyro.estimators.regressor import NBAMRegressor

__all__ = ["ModelChoice", "NBAMClassifier", "NBAMRegressor"]
