"""One small instance of every component, for the contract suite."""

import torch
from torch import nn

from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    CategoricalLikelihood,
    FixedSwitch,
    GaussianProcessSwitch,
    HeadSwitch,
    InducingFeatures,
    LaplaceLikelihood,
    LeverageSwitch,
    LinearNormal,
    LinearSkewed,
    LinearStudentT,
    LinearSwitch,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ShiftedNormal,
    ShiftedStudentT,
    SkewedLikelihood,
    StudentTLikelihood,
    UniformLabels,
    UniformRange,
)
from tests.rows import FEATURES


def _head(width):
    return nn.Linear(FEATURES, width)


# Name of the switch prior: function that returns it.
SWITCH_PRIORS = {
    "fixed": lambda: FixedSwitch(0.2),
    "beta": BetaSwitch,
    "head": lambda: HeadSwitch(_head(1)),
    "linear": lambda: LinearSwitch(FEATURES),
    "gaussian_process": lambda: GaussianProcessSwitch(InducingFeatures(FEATURES, 5)),
    "leverage": lambda: LeverageSwitch(FEATURES),
    "fixed_per_label": lambda: FixedSwitch(0.2, shape=(3,)),
    "beta_per_label": lambda: BetaSwitch(shape=(3,)),
    "head_per_label": lambda: HeadSwitch(_head(3), multi_label=True),
}
# Name of the likelihood: function that returns it, a target in its support.
LIKELIHOODS = {
    "categorical": (lambda: CategoricalLikelihood(_head(3)), torch.tensor(2)),
    "categorical_two": (lambda: CategoricalLikelihood(_head(2)), torch.tensor(1)),
    "normal": (lambda: NormalLikelihood(_head(1)), torch.tensor(0.5)),
    "normal_of_input": (lambda: NormalLikelihood(_head(2)), torch.tensor(0.5)),
    "linear_normal": (lambda: LinearNormal(FEATURES), torch.tensor(0.5)),
    "linear_student_t": (lambda: LinearStudentT(FEATURES), torch.tensor(0.5)),
    "linear_skewed": (lambda: LinearSkewed(FEATURES, uneven=1), torch.tensor(0.5)),
    "skewed": (lambda: SkewedLikelihood(_head(1)), torch.tensor(0.5)),
    "skewed_of_input": (lambda: SkewedLikelihood(_head(2)), torch.tensor(0.5)),
    "laplace": (lambda: LaplaceLikelihood(_head(1)), torch.tensor(0.5)),
    "laplace_of_input": (lambda: LaplaceLikelihood(_head(2)), torch.tensor(0.5)),
    "student_t": (lambda: StudentTLikelihood(_head(1)), torch.tensor(0.5)),
    "student_t_of_input": (lambda: StudentTLikelihood(_head(2), df=3), torch.tensor(0.5)),
    "bernoulli": (lambda: BernoulliLikelihood(_head(1)), torch.tensor(1.0)),
    "bernoulli_multi": (
        lambda: BernoulliLikelihood(_head(3), multi_label=True),
        torch.tensor([1.0, 0.0, 1.0]),
    ),
    "poisson": (lambda: PoissonLikelihood(_head(1)), torch.tensor(3.0)),
    "negative_binomial": (lambda: NegativeBinomialLikelihood(_head(1)), torch.tensor(3.0)),
    "broad_student_t": (lambda: BroadStudentT(0.0, 9.0), torch.tensor(3e5)),
    "shifted_normal": (
        lambda: ShiftedNormal(NormalLikelihood(_head(1)), shift=-2.0),
        torch.tensor(-3.0),
    ),
    "shifted_student_t": (
        lambda: ShiftedStudentT(NormalLikelihood(_head(2)), shift=2.0),
        torch.tensor(-30.0),
    ),
    "broad_counts": (lambda: BroadCounts(30.0), torch.tensor(200.0)),
    "uniform_labels": (lambda: UniformLabels(3), torch.tensor(2)),
    "uniform_labels_multi": (
        lambda: UniformLabels(2, shape=(3,)),
        torch.tensor([1, 0, 1]),
    ),
    "uniform_labels_two": (lambda: UniformLabels(2), torch.tensor(0)),
    "broad_normal": (lambda: BroadNormal(0.0, 9.0), torch.tensor(30.0)),
    "uniform_range": (lambda: UniformRange(-1.0, 1.0), torch.tensor(1.0)),
}
