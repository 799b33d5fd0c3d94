"""Networks in half precision: the likelihoods compute in single precision."""

import copy

import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, fit
from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import Joint
from nbam_pyro.losses import nbam_loss
from tests.models.component_cases import LIKELIHOODS, SWITCH_PRIORS
from tests.rows import FEATURES, labels


class Half(nn.Module):
    """A network whose outputs are in half precision, or the same numbers in single precision."""

    def __init__(self, network, *, rounded=False):
        super().__init__()
        self.network, self.rounded = network, rounded

    def forward(self, x):
        outputs = self.network(x).bfloat16()
        return outputs.float() if self.rounded else outputs


def both(component):
    """A component with a head in half precision, and with the same head rounded."""
    pair = component, copy.deepcopy(component)
    for rounded, one in enumerate(pair):
        one.head = Half(one.head, rounded=bool(rounded))
    return pair


def latents_of(component):
    return {name: prior.mean for name, prior in component.priors().items()}


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if not name.startswith("shifted")])
def test_likelihoods_compute_in_single_precision(name):
    make, y = LIKELIHOODS[name]
    component = make()
    if not hasattr(component, "head"):
        return
    one, other = both(component)
    h = 3 * torch.randn(5, FEATURES)
    found, expected = (c(h, latents_of(c)).log_prob(y) for c in (one, other))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["head", "head_per_label"])
def test_switches_compute_in_single_precision(name):
    one, other = both(SWITCH_PRIORS[name]())
    h = 3 * torch.randn(5, FEATURES)
    assert torch.equal(one(h, {}).logits, other(h, {}).logits)
    assert one(h, {}).logits.dtype == torch.float32


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_labels_under_autocast_are_as_precise_as_their_logits(scale):
    x, y = labels(3, 50)
    network = nn.Linear(FEATURES, 3)
    with torch.no_grad():
        network.weight.mul_(scale)
    story, latents = LabelFlip(network, 3), LabelFlip(network, 3).prior_means()
    rounded = LabelFlip(Half(network, rounded=True), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pair = story.log_joint(x, y, latents)
        logits = network(x)
        rounded.network.network = nn.Identity()
        expected = rounded.log_joint(logits.float(), y, latents)
        loss = nbam_loss(logits, y, torch.zeros(3), torch.zeros(3, 2))
    assert all(one.dtype == torch.float32 for one in (*pair, loss))
    for one, other in zip(pair, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert nf.log_marginal(*pair).isfinite().all()
    assert loss.isfinite()


def test_a_fit_in_half_precision_throughout_is_refused():
    x, y = labels(3, 50)
    with pytest.raises(StoryError, match="bf16-mixed"):
        fit(LabelFlip(nn.Linear(FEATURES, 3), 3).bfloat16(), (x, y))
    for precision in ("bf16-true", "16-true"):
        with pytest.raises(StoryError, match="bf16-mixed"):
            fit(LabelFlip(nn.Linear(FEATURES, 3), 3), (x, y), trainer={"precision": precision})


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_a_fit_in_mixed_precision_is_like_one_in_single_precision():
    x, y = labels(3, 60)
    found = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(1)
        story = LabelFlip(nn.Linear(FEATURES, 3), 3)
        options = {"steps": [Joint(epochs=3)], "trainer": {"precision": precision}}
        found.append(fit(story, (x, y), **options).training_rows.responsibility)
    assert abs(found[0] - found[1]).max() < 0.02
