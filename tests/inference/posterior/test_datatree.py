"""Fits and chains as DataTrees of ArviZ."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import arviz_plots
import arviz_stats
import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from matplotlib import pyplot as plt

from nbam_pyro import fit, to_datatree
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, log_marginals, prior_sensitivity
from nbam_pyro.inference.posterior.datatree import tree_of_draws
from nbam_pyro.inference.posterior.draws import Scored
from tests.cases import ALL_STORIES

VALIDATED = pyro.settings.get("validate_poutine")
# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def test_every_group_serves_arviz(line_trees, tmp_path):
    plt.switch_backend("agg")
    for tree in line_trees:
        assert {
            "posterior",
            "posterior_predictive",
            "log_likelihood",
            "log_prior",
            "prior",
            "prior_predictive",
            "observed_data",
        } <= set(tree.children)
        arviz_stats.loo(tree)
        for plot in (
            arviz_plots.plot_trace,
            arviz_plots.plot_forest,
            arviz_plots.plot_loo_pit,
            arviz_plots.plot_ppc_dist,
            arviz_plots.plot_ppc_interval,
            arviz_plots.plot_ppc_pit,
            arviz_plots.plot_ppc_tstat,
        ):
            plot(tree)
            plt.close("all")
        arviz_plots.plot_prior_posterior(tree, var_names=["contamination"])
        plt.close("all")
        tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    assert len(arviz_stats.summary(line_trees[1])) == 4


def test_draws_have_one_label_in_every_group(line_fit, line_trees):
    fitted, x, y, _ = line_fit
    for tree in line_trees:
        drawn = {group: tree[group].coords for group in tree.children if "draw" in tree[group].dims}
        assert len(drawn) >= 5
        for group, coords in drawn.items():
            assert coords["draw"].equals(tree.posterior.draw), group
            if not group.startswith("prior"):
                assert coords["chain"].equals(tree.posterior.chain), group
    few = to_datatree(fitted, x, y, num_draws=100, num_predictive=20)
    at = few.posterior_predictive.draw.values
    assert (len(at), at[0], at[-1]) == (20, 0, 99)
    assert set(at) <= set(few.posterior.draw.values)


def test_a_predictive_draw_is_that_of_the_posterior_draw_of_its_label(line_fit):
    fitted, _, _, _ = line_fit
    x = torch.ones(400, 1)  # the mean of so many targets is nearly that of the line
    tree = to_datatree(fitted, x, torch.ones(400), num_draws=200, num_predictive=40)
    line = tree.posterior["weight"].squeeze() + tree.posterior["bias"]
    middle = tree.posterior_predictive["y"].median("row")
    assert middle.sizes["draw"] == 40
    aligned = line.sel(draw=middle.draw)
    assert np.corrcoef(aligned.values.ravel(), middle.values.ravel())[0, 1] > 0.7


def test_every_chain_has_predictive_draws(line_fit, line_trees):
    fitted, x, y, _ = line_fit
    chains = line_trees[1]
    draws = {
        name: torch.as_tensor(value.values) for name, value in chains.posterior.data_vars.items()
    }
    tree = tree_of_draws(fitted.story, draws, Scored(x, y), num_predictive=11)
    assert tree.posterior_predictive["y"].shape == (2, 5, 60)
    assert tree.posterior_predictive.draw.values.tolist() == [0, 74, 149, 224, 299]


@untrained
@pytest.mark.filterwarnings("ignore:The (predictive|observed) data looks binary")
@pytest.mark.filterwarnings("ignore:(Detected at least one discrete|Found chain dimension)")
@pytest.mark.parametrize("name", ["label_flip", "counts", "binary", "overdispersed_counts"])
def test_whole_numbers_serve_the_pictures_of_discrete_data(name):
    make, data = ALL_STORIES[name]
    x, y = data(20)
    fitted = fit(make(), (x, y), steps=[Joint(epochs=1)], held_out=0)
    fitted.story.requires_grad_(False)  # as weights that were trained on other rows
    tree = to_datatree(fitted, x, y, num_draws=50)
    for group in ("observed_data", "posterior_predictive", "prior_predictive"):
        assert tree[group]["y"].dtype == np.int64
    for plot in (
        arviz_plots.plot_loo_pit,
        arviz_plots.plot_ppc_dist,
        arviz_plots.plot_ppc_pit,
        arviz_plots.plot_ppc_rootogram,
    ):
        plot(tree)
        plt.close("all")


@untrained
def test_arviz_cannot_take_the_density_of_rows_that_weights_were_trained_on(tmp_path):
    make, data = ALL_STORIES["label_flip"]
    x, y = data(40)
    held_out = np.arange(40) % 4 == 0
    fitted = fit(make(), (x, y), steps=[Joint(epochs=1)], held_out=held_out)
    tree = to_datatree(fitted, x, y, num_draws=30)
    assert "log_likelihood" not in tree.children
    of_likelihood = partial(arviz_stats.psense, group="likelihood")
    for use in (arviz_stats.loo, of_likelihood, arviz_plots.plot_loo_pit):
        with pytest.raises((TypeError, ValueError), match=r"log.likelihood"):
            use(tree)
    rows = np.arange(40)
    seen, unseen = tree["log_likelihood_in_sample"]["y"], tree["held_out_log_density"]["y"]
    assert np.array_equal(seen.row, rows[~held_out])
    assert np.array_equal(unseen.row, rows[held_out])
    every = log_marginals(fitted, x, y, num_draws=30)
    assert np.allclose(seen[0], every[:, ~held_out], atol=1e-5)
    assert np.allclose(unseen[0], every[:, held_out], atol=1e-5)
    assert "likelihood" not in prior_sensitivity(tree)
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    others = to_datatree(fitted, x[:9], y[:9], num_draws=5)
    assert "held_out_log_density" not in others.children


def test_names_are_coordinates(flip_fit, tmp_path):
    fitted, x, y, _ = flip_fit
    x, y, ids = x[:4], y[:4], [f"row {n}" for n in range(4)]
    settings = {"num_draws": 5, "row_ids": pd.Series(ids)}
    for names in (np.array(["a", "b", "c"]), pd.Index(["a", "b", "c"]), ("a", "b", "c")):
        tree = to_datatree(fitted, x, y, class_names=names, **settings)
        assert tree.posterior.true_label.values.tolist() == ["a", "b", "c"]
        assert tree.posterior["transition_matrix"].sel(true_label="a", observed_label="b").size == 5
        assert tree.log_likelihood.row.values.tolist() == ids
        tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    numbers = to_datatree(fitted, x, y, num_draws=5, class_names=np.array([7, 8, 9]))
    assert numbers.posterior.true_label.values.tolist() == [7, 8, 9]
    for wrong, says in (
        ({"class_names": ["a", "b"]}, "2 names for 3"),
        ({"class_names": ["a", "b", "a"]}, "twice"),
        ({"row_ids": [1]}, "1 names for 4"),
        ({"num_draws": 0}, "num_draws is 0"),
        ({"num_predictive": 0}, "num_predictive is 0"),
    ):
        with pytest.raises(DataError, match=says):
            to_datatree(fitted, x, y, **wrong)


def test_dimensions_of_a_site_have_the_names_given(line_fit):
    fitted, x, y, _ = line_fit
    tree = to_datatree(
        fitted, x, y, num_draws=5, dims={"weight": ["feature"]}, coords={"feature": ["dose"]}
    )
    assert tree.posterior["weight"].sel(feature="dose").shape == (1, 5)
    with pytest.raises(DataError, match="no latent true label and therefore no classes"):
        to_datatree(fitted, x, y, class_names=["a", "b"])


def test_trees_are_made_in_threads_as_one_after_the_other(line_fit, flip_fit):
    def made(one):
        fitted, x, y, _ = one
        return to_datatree(fitted, x, y, num_draws=20)

    alone = [made(one) for one in (line_fit, flip_fit)]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for tree, same in zip(pool.map(made, [line_fit, flip_fit] * 2), alone * 2, strict=True):
                assert tree.equals(same)
    assert torch.equal(state, torch.get_rng_state())
    assert pyro.settings.get("validate_poutine") == VALIDATED
