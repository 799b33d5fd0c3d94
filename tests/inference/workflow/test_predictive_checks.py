"""Replicated labels and labels flipped on purpose."""

import pytest
import torch
from torch import nn

from nbam_pyro import FlipPrior, LabelFlip, fit
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, StartFrom, confusion_check, guide_median, known_flips

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@untrained
def test_labels_drawn_anew_look_like_those_observed(flip_fit):
    fitted, x, y, _ = flip_fit
    table = confusion_check(fitted, x, y, num_draws=100)
    assert len(table) == 3 * 4
    whole = table[table["observed"] == -1].set_index("predicted")
    assert (whole["low"] <= whole["mean"]).all()
    assert (whole["p"] > 0.01).all()
    counted = table[table["observed"] >= 0]["count"].sum()
    assert counted == len(y)
    # A story that expects no contamination is found out.
    median = guide_median(fitted.guide)
    sure = LabelFlip(nn.Identity(), 3, prior=FlipPrior(rate=(1.0, 1e6)))
    start = StartFrom(median | {"rate": torch.full((3,), 1e-4)})
    wrong = fit(sure, (x, y), steps=[start, Joint(epochs=1)], held_out=0)
    table = confusion_check(wrong, x, y, num_draws=100)
    assert table[table["observed"] == -1]["p"].min() < 0.05


def test_flips_made_on_purpose_are_found(flip_fit):
    fitted, x, y, _ = flip_fit
    found = known_flips(fitted, x, y, share=0.1, seed=1)
    assert found.auroc > 0.97
    assert found.ece < 0.1
    assert found.recall > 0.6
    assert "less independent" in str(found)
    with pytest.raises(DataError, match="share"):
        known_flips(fitted, x, y, share=0.0)
    with pytest.raises(DataError, match="more rows"):
        known_flips(fitted, x[:2], y[:2], share=0.001)
