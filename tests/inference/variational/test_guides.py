"""Guides of global latents."""

import pytest
import torch

from nbam_pyro import LatentSwitch
from nbam_pyro.inference import guide_median, make_guide
from nbam_pyro.models import BetaSwitch, BroadNormal, LinearNormal


def test_a_guide_starts_at_prior_means():
    story = LatentSwitch(
        switch=BetaSwitch(1, 9), clean=LinearNormal(3, centre=5.0), anomaly=BroadNormal(0.0, 9.0)
    )
    median = guide_median(make_guide(story, torch.zeros(2, 3), torch.zeros(2)))
    assert float(median["contamination"]) == pytest.approx(0.1)
    assert float(median["bias"]) == 0.0  # distance of the intercept from the centre
    assert float(story.clean(torch.zeros(1, 3), median).mean) == 5.0
    assert median["weight"].tolist() == [0.0, 0.0, 0.0]
