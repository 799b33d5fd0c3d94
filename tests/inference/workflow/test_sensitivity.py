"""Sensitivity of posteriors to priors."""

from torch import nn

from nbam_pyro import FlipPrior, LabelFlip, fit, to_datatree
from nbam_pyro.inference import prior_sensitivity
from tests.inference.small_fits import FULL


def test_sensitivity_names_priors_and_numbers(line_trees):
    table = prior_sensitivity(line_trees[1], var_names=["contamination", "noise"])
    assert list(table.index) == ["contamination", "noise"]
    assert set(table.columns) == {"likelihood", "contamination", "weight", "bias", "noise"}
    assert table.loc["contamination", "contamination"] > table.loc["contamination", "weight"]


def test_a_uniform_prior_is_not_sensitive(flip_fit):
    fitted, x, y, _ = flip_fit
    fitted = fit(
        LabelFlip(nn.Identity(), 3, prior=FlipPrior(rate=(1, 1))),
        (x, y),
        steps=[FULL],
        held_out=0,
        batch_size=200,
    )
    table = prior_sensitivity(to_datatree(fitted, x, y, num_predictive=1))
    assert (table["rate"] == 0).all()
    assert "flip_matrix[0, 0]" not in table.index  # 0 by definition
    assert "flip_matrix[0, 1]" in table.index
