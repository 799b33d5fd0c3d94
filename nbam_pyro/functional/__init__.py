r"""The mathematics of the latent switch, in torch alone.

Everything here is a pure function in log space. The *pair* of a datum is

.. math:: a = \log p(z=0, y \mid x), \qquad b = \log p(z=1, y \mid x),

where z = 1 means contaminated; the log marginal is logaddexp(a, b) and the responsibility
sigmoid(b - a) (NBAM, arXiv 2606.16524). What is verified of a datum leaves one of the two.

Numbers are not checked here, so that everything compiles and maps (`torch.compile`, `vmap`): NaN in
gives NaN out. The losses, `nbam_pyro.outputs` check what they are given.
"""

from nbam_pyro.functional.label_flip import (
    label_flip_log_joint,
    label_flip_log_posterior,
    label_flip_switch_logits,
)
from nbam_pyro.functional.matrices import (
    observed_log_probs,
    off_diagonal,
    transition_matrix,
    zero_diagonal,
)
from nbam_pyro.functional.switch import (
    log_marginal,
    observe_switch,
    occam_penalty,
    responsibility,
    switch_log_joint,
)

__all__ = [
    "label_flip_log_joint",
    "label_flip_log_posterior",
    "label_flip_switch_logits",
    "log_marginal",
    "observe_switch",
    "observed_log_probs",
    "occam_penalty",
    "off_diagonal",
    "responsibility",
    "switch_log_joint",
    "transition_matrix",
    "zero_diagonal",
]
