"""`LabelFlip`: true labels given verified rows, deviations of the rate, settings."""

import pytest
import torch
from torch import nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models import LabelFlip
from nbam_pyro.testing import verified_rows
from tests.cases import CLOSED_STORIES, draw_latents, prepare


@pytest.mark.parametrize("name", [name for name in CLOSED_STORIES if name.startswith("label_flip")])
def test_true_labels_given_what_is_verified(name):
    """Clean: the observed label. Contaminated: any other. Verified true label: that one."""
    story, x, y = prepare(name, 64)
    latents = draw_latents(story, x, y)
    verified = verified_rows(story, y)
    posterior = story.true_label_log_posterior(x, y, latents, verified=verified).exp()
    assert torch.allclose(posterior.sum(-1), torch.ones(y.shape))
    known = verified.label(y)
    sure = nn.functional.one_hot(known.clamp_min(0), story.num_classes).float()
    assert torch.equal(posterior[known >= 0], sure[known >= 0])
    r = nf.responsibility(*story.log_joint(x, y, latents, verified=verified))
    own = posterior.gather(-1, y.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(1 - own, r, atol=1e-5)
    if story.num_classes > 2:
        soft = posterior[(known < 0) & (verified.contaminated == 1)]
        assert ((soft < 1).all(-1)).all()


def test_the_deviation_shifts_responsibilities_and_features_get_no_gradient():
    story, x, y = prepare("label_flip_local")
    latents = draw_latents(story, x, y)
    _, g = story.log_predictor(x, latents)
    assert g.shape == (6,)
    assert not g.requires_grad  # neither from these latents nor from the features
    plain = latents | {"deviation": torch.zeros(5)}
    more = nf.responsibility(*story.log_joint(x, y, latents))
    none = nf.responsibility(*story.log_joint(x, y, plain))
    assert (torch.sign(more - none) == torch.sign(g)).all()


@pytest.mark.parametrize(
    ("mistake", "error", "says"),
    [
        (lambda: LabelFlip(nn.Linear(2, 1), 1), DataError, "must be at least 2"),
        (lambda: LabelFlip(nn.Linear(2, 3), 3, locality=-1.0), DataError, "locality"),
        (lambda: LabelFlip(nn.Linear(2, 3), 3, locality=1.0), StoryError, "Sequential"),
    ],
)
def test_mistakes_are_named(mistake, error, says):
    with pytest.raises(error, match=says):
        mistake()
