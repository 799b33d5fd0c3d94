r"""Loss functions in plain torch that take contaminated targets into account.

Each of them is the negative log marginal of a generative story, that is -log p(y | x) after the
latent switch z (z = 1 where a target is contaminated) or the latent true label is summed out. A
loss comes as a function and as a `torch.nn.Module`; the module owns the global parameters of the
story, such as the contamination rate:

* `nbam_loss` and `NBAMLoss` replace `torch.nn.CrossEntropyLoss` (classification, with a latent true
  label);
* `nbam_regression_loss` and `NBAMRegressionLoss` replace `torch.nn.HuberLoss` (regression, with a
  Normal likelihood for clean targets and a broad Normal likelihood for anomalies).

Importing this module imports neither Pyro nor Lightning.
"""

from nbam_pyro.losses.label_flip import nbam_loss
from nbam_pyro.losses.label_flip_loss import NBAMLoss
from nbam_pyro.losses.regression_loss import NBAMRegressionLoss, nbam_regression_loss

__all__ = ["NBAMLoss", "NBAMRegressionLoss", "nbam_loss", "nbam_regression_loss"]
