from .choices import ModelChoice as ModelChoice
from .classifier import NBAMClassifier as NBAMClassifier
from .regressor import NBAMRegressor as NBAMRegressor
