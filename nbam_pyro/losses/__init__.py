r"""Drop-in criteria: the log marginal of a latent-switch story as a loss, in plain torch.

Importing this module pulls in neither Pyro nor Lightning. Each criterion is a function beside a
thin `torch.nn.Module` that owns the story's global parameters:

* `nbam_loss`, `NBAMLoss`: the latent true label (classification), where
  `torch.nn.CrossEntropyLoss` was;
* `nbam_regression_loss`, `NBAMRegressionLoss`: the latent switch with Normal clean and broad
  Normal anomaly likelihoods (regression), where `torch.nn.HuberLoss` was.
"""

from nbam_pyro.losses.label_flip_loss import NBAMLoss, nbam_loss
from nbam_pyro.losses.regression_loss import NBAMRegressionLoss, nbam_regression_loss

__all__ = ["NBAMLoss", "NBAMRegressionLoss", "nbam_loss", "nbam_regression_loss"]
