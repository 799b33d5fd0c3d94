"""The contract of every switch prior and likelihood."""

import pytest
import torch

from nbam_pyro import FlipPrior
from nbam_pyro.errors import DataError
from nbam_pyro.models import (
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    FixedSwitch,
    LabelFlip,
    LaplaceLikelihood,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    ShiftedNormal,
    ShiftedStudentT,
    StudentTLikelihood,
    UniformLabels,
    UniformRange,
)
from tests.cases import FEATURES
from tests.models.component_cases import LIKELIHOODS, SWITCH_PRIORS


def latents_of(component, dtype=torch.float32):
    return {name: prior.sample().to(dtype) for name, prior in component.priors().items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("name", SWITCH_PRIORS)
def test_switch_prior_gives_one_finite_logit_per_row(name, n, dtype):
    component = SWITCH_PRIORS[name]().to(dtype)
    switch = component(torch.randn(n, FEATURES, dtype=dtype), latents_of(component, dtype))
    assert switch.batch_shape == ((n, 3) if name.endswith("per_label") else (n,))
    assert switch.event_shape == ()
    assert switch.logits.dtype == dtype
    assert switch.logits.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_has_finite_log_prob_and_samples(name, n, dtype):
    make, target = LIKELIHOODS[name]
    component = make().to(dtype)
    likelihood = component(torch.randn(n, FEATURES, dtype=dtype), latents_of(component, dtype))
    targets = target.expand(n, *target.shape)
    assert likelihood.batch_shape == targets.shape
    assert likelihood.event_shape == ()
    log_prob = likelihood.log_prob(targets)
    assert log_prob.shape == targets.shape
    assert log_prob.isfinite().all()
    assert likelihood.sample().shape == targets.shape
    assert likelihood.support.check(targets).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_parameter_of_a_likelihood_learns(name):
    make, target = LIKELIHOODS[name]
    component = make()
    h = torch.randn(5, FEATURES)
    targets = target.expand(5, *target.shape)
    log_prob = component(h, latents_of(component)).log_prob(targets).sum()
    for parameter in component.parameters():
        (gradient,) = torch.autograd.grad(log_prob, parameter, retain_graph=True)
        assert gradient.isfinite().all()
        assert gradient.any()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FixedSwitch(0.0),
        lambda: FixedSwitch(1.0),
        lambda: BetaSwitch(0.0, 1.0),
        lambda: NormalLikelihood(torch.nn.Linear(1, 1), scale=0.0),
        lambda: UniformLabels(1),
        lambda: BroadNormal(0.0, -1.0),
        lambda: UniformRange(1.0, 1.0),
        lambda: StudentTLikelihood(torch.nn.Linear(1, 1), df=1.0),
        lambda: LaplaceLikelihood(torch.nn.Linear(1, 1), scale=-1.0),
        lambda: NegativeBinomialLikelihood(torch.nn.Linear(1, 1), concentration=0.0),
        lambda: ShiftedNormal(NormalLikelihood(torch.nn.Linear(1, 1)), scale=0.0),
        lambda: ShiftedStudentT(NormalLikelihood(torch.nn.Linear(1, 1)), df=0.0),
        lambda: BroadStudentT(0.0, 1.0, df=0.0),
        lambda: BroadCounts(0.0),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(DataError):
        wrong()


def test_uniform_range_includes_both_ends_and_nothing_beyond():
    likelihood = UniformRange(0.0, 1.0)(torch.zeros(1, 1), {})
    inside = likelihood.log_prob(torch.tensor([0.0, 1.0]))
    assert inside.isfinite().all()
    assert likelihood.log_prob(torch.tensor([1.1])) == -torch.inf


def test_whole_numbers_serve_as_settings():
    assert BetaSwitch(1, 9).priors()["contamination"].mean.item() == pytest.approx(0.1)
    story = LabelFlip(torch.nn.Linear(2, 3), 3, prior=FlipPrior(rate=(1, 9), flip=1))
    assert story.sample_latents()["flip"].shape == (3, 2)
