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
from nbam_pyro.testing import check_component, check_switch_prior
from tests.models.component_cases import LIKELIHOODS, SWITCH_PRIORS
from tests.rows import FEATURES


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SWITCH_PRIORS)
def test_every_switch_prior_keeps_the_contract(name, dtype):
    h = torch.randn(5, FEATURES, dtype=dtype)
    dims = (3,) if name.endswith("per_label") else ()
    check_switch_prior(SWITCH_PRIORS[name]().to(dtype), h, dims=dims)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_keeps_the_contract(name, dtype):
    make, target = LIKELIHOODS[name]
    h = torch.randn(5, FEATURES, dtype=dtype)
    check_component(make().to(dtype), h, target.expand(5, *target.shape))


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
