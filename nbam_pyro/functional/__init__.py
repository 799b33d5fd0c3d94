r"""The mathematics of the latent switch, in torch only.

All functions here are pure functions of logarithms of probabilities. The *switch* z of a row is 1
where its target y is contaminated, and 0 where it is clean. The *pair* of the row is

.. math:: a = \log p(z=0, y \mid x), \qquad b = \log p(z=1, y \mid x).

The *log marginal* log p(y | x) is logaddexp(a, b). The *responsibility* P(z=1 | x, y), the
probability that the target is contaminated, is sigmoid(b - a) (NBAM, arXiv 2606.16524). Where the
switch of a row is verified, only one of the two numbers remains finite.

The functions do not check values and therefore work with `torch.compile` and `vmap`. NaN in the
arguments gives NaN in the result. `nbam_pyro.losses` and `nbam_pyro.outputs` check their arguments.
"""

from nbam_pyro.functional.annotations import annotation_log_joint, annotation_pairs
from nbam_pyro.functional.chains import (
    chain_log_partition,
    chain_pairs,
    chain_responsibility,
    chain_start,
    chain_transitions,
)
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
from nbam_pyro.functional.paths import (
    chain_draws,
    chain_filter,
    chain_path,
    chain_predictive,
)
from nbam_pyro.functional.switch import (
    log_marginal,
    observe_switch,
    occam_penalty,
    responsibility,
    switch_log_joint,
)

__all__ = [
    "annotation_log_joint",
    "annotation_pairs",
    "chain_draws",
    "chain_filter",
    "chain_log_partition",
    "chain_pairs",
    "chain_path",
    "chain_predictive",
    "chain_responsibility",
    "chain_start",
    "chain_transitions",
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
