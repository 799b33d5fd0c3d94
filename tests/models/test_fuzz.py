"""Stories at random: finite, right, or refused with an error of the library."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import LabelFlip, LatentSwitch, fit, robust_regression
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, NBAMError, StoryError
from nbam_pyro.inference import Joint, enumerate_states
from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    CategoricalLikelihood,
    FixedSwitch,
    HeadSwitch,
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

SETTINGS = settings(deadline=None, max_examples=60, derandomize=True)


class Scaled(nn.Module):
    """A linear network whose outputs are multiplied by a factor, and given in some type."""

    def __init__(self, width, scale, dtype):
        super().__init__()
        self.linear, self.scale, self.dtype = nn.Linear(FEATURES, width), scale, dtype

    def forward(self, x):
        outputs = self.scale * self.linear(x)
        return outputs if self.dtype is None else outputs.to(self.dtype)


def _normal(head):
    return NormalLikelihood(head(1))


SWITCHES = {
    "fixed": lambda head: FixedSwitch(0.2),
    "beta": lambda head: BetaSwitch(),
    "head": lambda head: HeadSwitch(head(1)),
    "linear": lambda head: LinearSwitch(FEATURES),
    "leverage": lambda head: LeverageSwitch(FEATURES),
}
# Clean likelihoods by the kind of target, and anomaly likelihoods for the same targets.
CLEAN = {
    "labels": [lambda head: CategoricalLikelihood(head(3))],
    "binary": [lambda head: BernoulliLikelihood(head(1))],
    "counts": [
        lambda head: PoissonLikelihood(head(1)),
        lambda head: NegativeBinomialLikelihood(head(1)),
    ],
    "measurements": [
        _normal,
        lambda head: NormalLikelihood(head(2)),
        lambda head: SkewedLikelihood(head(2)),
        lambda head: LaplaceLikelihood(head(1)),
        lambda head: StudentTLikelihood(head(2), df=3),
        lambda head: LinearNormal(FEATURES),
        lambda head: LinearStudentT(FEATURES),
        lambda head: LinearSkewed(FEATURES, uneven=1),
    ],
}
ANOMALIES = {
    "labels": [lambda clean: UniformLabels(3)],
    "binary": [lambda clean: UniformLabels(2)],
    "counts": [lambda clean: BroadCounts(30.0)],
    "measurements": [
        lambda clean: BroadNormal(0.0, 9.0),
        lambda clean: BroadStudentT(0.0, 9.0),
        lambda clean: UniformRange(-1e6, 1e6),
        lambda clean: ShiftedNormal(clean, shift=6.0),
        lambda clean: ShiftedStudentT(clean, shift=-2.0),
    ],
}
SCALES = st.sampled_from([0.0, 1e-3, 1.0, 1.0, 30.0, 1e4])
TYPES = st.sampled_from([None, None, torch.float16, torch.bfloat16])
ROWS = st.sampled_from([1, 2, 5])


def targets(data, kind, n):
    match kind:
        case "labels":
            return torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
        case "binary":
            values = st.integers(0, 1)
        case "counts":
            values = st.sampled_from([0, 1, 7, 10**6])
        case "measurements":
            values = st.floats(-1e4, 1e4, width=32)
    return torch.tensor(data.draw(st.lists(values, min_size=n, max_size=n))).float()


def latents_of(story):
    return {name: prior.sample() for name, prior in story.priors().items()}


def check(story, x, y):
    """Finite log marginals with finite gradients, and responsibilities that agree with Pyro's."""
    latents = latents_of(story)
    try:
        story.check_targets(x, y)
        pair = story.log_joint(x, y, latents)
    except NBAMError:
        return
    marginal, r = nf.log_marginal(*pair), nf.responsibility(*pair).detach()
    assert marginal.isfinite().all(), pair
    assert ((r >= 0) & (r <= 1)).all()
    if marginal.requires_grad:
        marginal.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in story.parameters())
    with torch.no_grad():
        states = enumerate_states(story, x, y, latents)
    expected = nf.log_marginal(states.clean, states.contaminated)
    torch.testing.assert_close(marginal.detach(), expected, rtol=1e-3, atol=1e-3)
    known = nf.responsibility(states.clean, states.contaminated)
    torch.testing.assert_close(r, known, rtol=0, atol=2e-2)


@SETTINGS
@given(st.data(), st.sampled_from([*CLEAN, "measurements"]), ROWS, SCALES, TYPES, st.booleans())
def test_a_switch_is_summed_out_or_refused(data, kind, n, scale, dtype, double):
    torch.manual_seed(data.draw(st.integers(0, 2**20)))

    def head(width):
        return Scaled(width, scale, dtype)

    clean = data.draw(st.sampled_from(CLEAN[kind]))(head)
    switch = SWITCHES[data.draw(st.sampled_from([*SWITCHES]))](head)
    anomaly = data.draw(st.sampled_from(ANOMALIES[kind]))
    try:
        story = LatentSwitch(switch=switch, clean=clean, anomaly=anomaly(clean))
    except StoryError:  # a shift from a likelihood without a location
        return
    x, y = torch.randn(n, FEATURES), targets(data, kind, n)
    if double:
        story, x, y = story.double(), x.double(), y.double() if y.is_floating_point() else y
    check(story, x, y)


@SETTINGS
@given(st.data(), st.integers(2, 6), ROWS, SCALES, TYPES, st.sampled_from([0.0, 1.0]))
def test_flipped_labels_are_summed_out(data, k, n, scale, dtype, locality):
    torch.manual_seed(data.draw(st.integers(0, 2**20)))
    head = Scaled(k, scale, dtype)
    network = nn.Sequential(nn.Linear(FEATURES, 3), nn.Linear(3, k)) if locality else head
    story = LabelFlip(network, k, locality=locality)
    x = (scale if locality else 1) * torch.randn(n, FEATURES)
    y = torch.tensor(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    check(story, x, y)


@pytest.mark.parametrize("k", [2, 1000, 10_000])
def test_many_classes(k):
    log_f, labels = (10 * torch.randn(2, k)).log_softmax(-1), torch.tensor([0, k - 1])
    log_flip = torch.full((k, k), -math.log(k - 1)).fill_diagonal_(-math.inf)
    pair = nf.label_flip_log_joint(log_f, labels, torch.zeros(k), log_flip)
    others = log_f.scatter(1, labels[:, None], -math.inf).logsumexp(1)
    torch.testing.assert_close(pair[0], log_f[[0, 1], labels] - math.log(2))
    torch.testing.assert_close(pair[1], others - math.log(2 * (k - 1)))


def test_a_shift_needs_a_location_and_a_scale():
    with pytest.raises(StoryError, match="LinearNormal, which has no location"):
        ShiftedNormal(LinearNormal(FEATURES))


@pytest.mark.parametrize("log_mean", [-1e4, -85.0, 0.0, 85.0, 1e4])
def test_counts_far_from_their_mean_are_finite(log_mean):
    head = nn.Linear(FEATURES, 1)
    nn.init.constant_(head.bias, log_mean)
    clean = PoissonLikelihood(head)(torch.zeros(3, FEATURES), {})
    values = clean.log_prob(torch.tensor([0.0, 1.0, 1e6]))
    values.sum().backward()
    assert values.isfinite().all()
    assert head.bias.grad.isfinite().all()


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
@pytest.mark.parametrize("kind", ["labels", "measurements", "counts"])
def test_a_last_batch_of_one_row_is_trained_on(kind):
    x, n = torch.randn(13, FEATURES), 13
    y = torch.arange(n) % 3 if kind != "measurements" else torch.randn(n)
    stories = {
        "labels": lambda: LabelFlip(nn.Linear(FEATURES, 3), 3),
        "measurements": lambda: robust_regression(nn.Linear(FEATURES, 1), y),
        "counts": lambda: LatentSwitch(
            switch=BetaSwitch(),
            clean=PoissonLikelihood(nn.Linear(FEATURES, 1)),
            anomaly=BroadCounts(30.0),
        ),
    }
    target = y.float() if kind == "counts" else y
    steps = [Joint(epochs=2)]
    found = fit(stories[kind](), (x, target), steps=steps, batch_size=4, held_out=0)
    r = found.training_rows.responsibility
    assert ((r >= 0) & (r <= 1)).all()


@pytest.mark.parametrize("label", [-1, 3, 127])
def test_labels_that_are_no_class_are_refused(label):
    x, y = torch.randn(9, FEATURES), torch.arange(9) % 3
    y[4] = label
    with pytest.raises(DataError, match=str(label)):
        fit(LabelFlip(nn.Linear(FEATURES, 3), 3), (x, y), steps=[Joint(epochs=1)])
