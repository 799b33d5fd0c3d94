"""Posteriors of rows and of transition matrices from a fit of labels."""

from dataclasses import replace

import arviz_stats
import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import (
    LabelFlip,
    Verified,
    fit,
    flip_matrix,
    responsibilities,
    to_datatree,
    transition_matrix,
)
from nbam_pyro.errors import DataError, NBAMWarning, StoryError
from nbam_pyro.inference import (
    Joint,
    contaminated_share,
    log_marginals,
    occam_penalties,
    predict,
    prior_contamination,
    switch_draws,
    switch_map,
    true_label_posterior,
)
from nbam_pyro.models import mlp, robust_regression, three_heads
from tests.inference.cases import SHORT, blobs, network, untrained
from tests.rows import FEATURES


@pytest.fixture(scope="module")
def blob_fit():
    torch.manual_seed(0)
    x, y, truth = blobs(600)
    return fit(LabelFlip(network(), 3), (x, y), steps=SHORT, batch_size=16), x, y, truth


def test_flags_are_right_on_separated_classes(blob_fit):
    fitted, x, y, truth = blob_fit
    r = responsibilities(fitted, x, y)
    assert ((r > 0.5) == (y != truth)).mean() > 0.96
    assert (predict(fitted, x).argmax(1) == truth).mean() > 0.95
    corrected = true_label_posterior(fitted, x, y)
    assert (corrected.argmax(1) == truth).mean() > 0.95
    assert 1 - corrected[np.arange(len(y)), y] == pytest.approx(r, abs=1e-5)
    assert transition_matrix(fitted).directions(above=0.1) == [(0, 1)]
    assert not fitted.collapse.collapsed


@pytest.fixture(scope="module")
def vague_fit():
    """A fit of labels that nothing predicts, and rows that it has not seen."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 3)), rng.integers(3, size=600)
    with pytest.warns(NBAMWarning):
        fitted = fit(LabelFlip(mlp(3, 3), 3), (x[:400], y[:400]), epochs=8, seed=0)
    return fitted, x[400:], y[400:]


def test_new_rows_are_averaged_over_how_far_the_network_can_be_trusted(vague_fit):
    fitted, x, y = vague_fit
    assert fitted.verdict.level == "cannot tell"
    assert fitted.trust.weight.sum() + fitted.trust.all_right == pytest.approx(1)
    r, trusting = (responsibilities(f, x, y) for f in (fitted, replace(fitted, trust=None)))
    assert r.max() < 0.9
    assert r.mean() < trusting.mean()
    assert r.mean() == pytest.approx(fitted.training_rows.responsibility.mean(), abs=0.05)
    corrected = true_label_posterior(fitted, x, y)
    assert corrected.sum(1) == pytest.approx(np.ones(len(y)), abs=1e-5)
    assert 1 - corrected[np.arange(len(y)), y] == pytest.approx(r, abs=1e-5)
    share = contaminated_share(fitted, x, y, num_draws=100)
    assert share.mean == pytest.approx(r.mean(), abs=0.01)
    assert share.low == 0  # perhaps no label is wrong
    assert prior_contamination(fitted, x).mean() == pytest.approx(
        fitted.training_rows.population_rate.mean, abs=0.05
    )


def test_verified_new_rows_are_certain_whatever_the_explanation(vague_fit):
    fitted, x, y = vague_fit
    codes = np.full(len(y), -1)
    codes[:2] = 1, 0
    true = np.full(len(y), -1)
    true[2] = (y[2] + 1) % 3
    verified = Verified.of(y, contaminated=codes, true_label=true)
    r = responsibilities(fitted, x, y, verified=verified)
    assert r[:3].tolist() == [1, 0, 1]
    assert r[3:] == pytest.approx(responsibilities(fitted, x, y)[3:])
    assert true_label_posterior(fitted, x, y, verified=verified)[2, true[2]] == 1


def test_matrices_have_ordered_intervals(blob_fit):
    fitted, x, *_ = blob_fit
    for estimate in (transition_matrix(fitted), flip_matrix(fitted)):
        assert (estimate.low <= estimate.mean + 1e-6).all()
        assert (estimate.mean <= estimate.high + 1e-6).all()
        assert estimate.mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
        assert estimate.frame().shape == (9, 5)
    assert (np.diag(flip_matrix(fitted).mean) == 0).all()
    wide, narrow = transition_matrix(fitted, probability=0.99), transition_matrix(fitted)
    assert ((wide.high - wide.low) >= (narrow.high - narrow.low)).all()
    assert transition_matrix(fitted, x).mean == pytest.approx(narrow.mean)  # g = 0


def test_one_row_is_scored_as_it_is_among_many(blob_fit):
    fitted, x, y, _ = blob_fit
    many = responsibilities(fitted, x[:5], y[:5])
    for i in range(5):
        assert responsibilities(fitted, x[i : i + 1], y[i : i + 1]) == pytest.approx(
            many[i], rel=1e-3, abs=1e-6
        )
        assert predict(fitted, x[i : i + 1]).shape == (1, 3)
        assert switch_map(fitted, x[i : i + 1], y[i : i + 1]).shape == (1,)
        assert switch_draws(fitted, x[i : i + 1], y[i : i + 1], num_draws=2).shape == (2, 1)


def test_switch_draws_have_the_responsibilities_as_frequencies(blob_fit):
    fitted, x, y, _ = blob_fit
    x, y = x[:40], y[:40]
    r = responsibilities(fitted, x, y, num_draws=300)
    frequency = switch_draws(fitted, x, y, num_draws=300).mean(0)
    assert np.abs(frequency - r).max() < 4 * np.sqrt(0.25 / 300)
    sure = np.abs(r - 0.5) > 0.2
    assert (switch_map(fitted, x, y)[sure] == (r > 0.5)[sure]).all()
    likely = switch_draws(fitted, x, y, num_draws=20, most_probable=True)
    assert (likely.mean(0)[sure] > 0.5).tolist() == (r > 0.5)[sure].tolist()


@pytest.mark.parametrize("label", [-1, 3])
def test_an_unknown_label_is_named_when_scored(blob_fit, label):
    fitted, x, *_ = blob_fit
    for score in (responsibilities, log_marginals, occam_penalties, true_label_posterior):
        with pytest.raises(DataError, match="0 to 2"):
            score(fitted, x[:2], np.array([0, label]))
    with pytest.raises(DataError, match="Give one target for each row"):
        responsibilities(fitted, x[:2], np.array([0]))
    with pytest.raises(DataError, match=r"missing .* or infinite"):
        responsibilities(fitted, np.full((1, FEATURES), np.nan), np.array([0]))


def test_the_occam_penalty_charges_flagged_rows(blob_fit):
    fitted, x, y, truth = blob_fit
    occam = occam_penalties(fitted, x, y)
    assert (occam >= -1e-6).all()
    assert occam[y != truth].mean() > 5 * occam[y == truth].mean()


def test_datatree_serves_arviz(blob_fit, tmp_path):
    fitted, x, y, _ = blob_fit
    tree = to_datatree(fitted, x, y, num_draws=50, class_names=["a", "b", "c"])
    assert tree.posterior["transition_matrix"].dims[-2:] == ("true_label", "observed_label")
    matrix = tree.posterior["transition_matrix"].sel(true_label="a", observed_label="b")
    assert float(matrix.mean()) == pytest.approx(0.3, abs=0.12)
    assert tree.constant_data["held_out"].sum() == fitted.held_out.sum()
    expected = log_marginals(fitted, x, y, num_draws=50)
    assert np.allclose(tree["log_likelihood_in_sample"]["y"][0], expected[:, ~fitted.held_out])
    assert np.allclose(tree["held_out_log_density"]["y"][0], expected[:, fitted.held_out])
    summary = arviz_stats.summary(tree, var_names=["rate"], kind="stats")
    assert len(summary) == 3
    tree.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")


@untrained
def test_locality_is_fitted_and_averaged():
    x, y, _ = blobs(90)
    fitted = fit(LabelFlip(network(), 3, locality=1.0), (x, y), steps=[Joint(epochs=2)])
    assert transition_matrix(fitted, x).mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    with pytest.raises(StoryError, match="pass rows x, over which"):
        transition_matrix(fitted)


@untrained
def test_scoring_changes_nothing():
    """Networks are evaluated, not trained, wherever targets are checked."""
    torch.manual_seed(0)
    x, y = torch.randn(40, FEATURES), torch.arange(40) % 3
    trunk = nn.Sequential(nn.Linear(FEATURES, 5), nn.BatchNorm1d(5))
    fitted = fit(three_heads(trunk, 5, 3), (x, y), steps=[Joint(epochs=1)])
    before = responsibilities(fitted, x, y)
    assert responsibilities(fitted, x[:1], y[:1]) == pytest.approx(before[:1], abs=1e-5)
    assert np.array_equal(responsibilities(fitted, x, y), before)


def test_targets_of_another_shape_are_refused_when_scored():
    x = torch.linspace(-1, 1, 30)[:, None]
    y = 2 * x[:, 0] + 0.1 * torch.randn(30)
    fitted = fit(robust_regression(nn.Linear(1, 1), y), (x, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="Targets have shape"):
        responsibilities(fitted, x, y[:, None])
    with pytest.raises(DataError, match="units"):
        robust_regression(nn.Linear(1, 1), 1e25 * y)
    assert predict(fitted, x.numpy()[::-1]).shape == (30,)
