"""Global latents of last layers and of components."""

import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, LatentSwitch, fit, to_datatree
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import Joint, StartFrom, WarmUp, loo
from nbam_pyro.models import BetaSwitch, LinearNormal
from tests.inference.small_fits import FULL, labels_given_f


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_a_last_layer_has_a_posterior():
    torch.manual_seed(0)
    x, y, _ = labels_given_f(150)
    story = LabelFlip(nn.Sequential(nn.Linear(3, 3)), 3, last_layer=2.0)
    steps = [StartFrom({"weight": torch.eye(3), "rate": torch.full((3,), 0.1)}), FULL]
    fitted = fit(story, (x, y), steps=steps, held_out=0, batch_size=150)
    tree = to_datatree(fitted, x, y, num_draws=50)
    assert tree.posterior["weight"].shape == (1, 50, 3, 3)
    assert float(loo(fitted, x, y, num_draws=200).elpd) < 0


def test_the_network_of_a_last_layer_is_left_alone():
    network = nn.Sequential(nn.Linear(3, 3))
    story = LabelFlip(network, 3, last_layer=1.0)
    assert all(p.requires_grad for p in network.parameters())
    x, y, _ = labels_given_f(30)
    with pytest.raises(StoryError, match="StartFrom"):
        fit(story, (x, y), steps=[WarmUp(epochs=1)])
    with pytest.raises(StoryError, match="no global latent 'wieght'"):
        fit(story, (x, y), steps=[StartFrom({"wieght": torch.eye(3)}), Joint(epochs=1)])


def test_two_components_do_not_share_a_site():
    with pytest.raises(StoryError, match="global latent"):
        LatentSwitch(switch=BetaSwitch(), clean=LinearNormal(1), anomaly=LinearNormal(1, scale=50))
