"""The Bayesian workflow: draws, chains, comparisons, checks."""

from concurrent.futures import ThreadPoolExecutor

import arviz_plots
import arviz_stats
import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from matplotlib import pyplot as plt
from pyro.infer.autoguide import AutoMultivariateNormal
from torch import nn

from benchmarks.calibration.sbc import ranks, uniformity
from nbam_pyro import FlipPrior, LabelFlip, LatentSwitch, fit, to_datatree
from nbam_pyro.data import with_groups
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import (
    Comparison,
    Fit,
    Joint,
    StartFrom,
    WarmUp,
    compare_priors,
    confusion_check,
    guide_and_chains,
    guide_draws,
    guide_median,
    known_flips,
    log_marginals,
    loo,
    make_guide,
    nuts,
    prior_sensitivity,
    responsibilities,
)
from nbam_pyro.inference.posterior.datatree import tree_of_draws
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.predictive import log_priors, predictive_draws, prior_draws
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    FixedSwitch,
    GroupSwitch,
    LinearNormal,
    LinearSwitch,
    NormalLikelihood,
    WithoutGroups,
)
from tests.cases import ALL_STORIES, ThreeStates

# A fit of an epoch or two has no reason to be sound.
VALIDATED = pyro.settings.get("validate_poutine")
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")

FULL = Joint(epochs=400, guide_lr=0.05, spread_lr=0.05, one_cycle=True, num_draws=10, patience=400)


def line(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, n)[:, None]
    y = 1 + 2 * x[:, 0] + 0.3 * rng.normal(size=n)
    wrong = rng.permutation(n) < n // 5
    y[wrong] = rng.uniform(-20, 20, n // 5)
    return torch.as_tensor(x).float(), torch.as_tensor(y).float(), wrong


def line_story(switch=None):
    switch = switch or BetaSwitch(1, 9)
    return LatentSwitch(switch=switch, clean=LinearNormal(1), anomaly=BroadNormal(0.0, 12.0))


def labels_given_f(n=200, seed=0):
    """Logits of three classes and labels that follow them, of which a quarter are flipped."""
    rng = np.random.default_rng(seed)
    x = 6 * np.eye(3)[rng.integers(3, size=n)] + rng.normal(size=(n, 3))
    f = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    true = (rng.random(n)[:, None] > f.cumsum(1)).sum(1)
    flip = rng.random(n) < 0.25
    y = np.where(flip, (true + 1) % 3, true)
    return torch.as_tensor(x).float(), torch.as_tensor(y), flip


@pytest.fixture(scope="module")
def line_fit():
    torch.manual_seed(0)
    x, y, wrong = line()
    start = StartFrom({"weight": torch.tensor([2.0]), "noise": torch.tensor(0.5)})
    fitted = fit(
        line_story(),
        (x, y),
        steps=[start, FULL],
        guide=AutoMultivariateNormal,
        held_out=0,
        batch_size=60,
    )
    return fitted, x, y, wrong


@pytest.fixture(scope="module")
def line_trees(line_fit):
    fitted, x, y, _ = line_fit
    chains = nuts(fitted, x, y, num_samples=300, num_warmup=200, chains=2, seed=1)
    return to_datatree(fitted, x, y, num_draws=2000), chains


@pytest.fixture(scope="module")
def flip_fit():
    torch.manual_seed(0)
    x, y, flip = labels_given_f()
    story = LabelFlip(nn.Identity(), 3, prior=FlipPrior(rate=(1, 4), flip=1.0))
    return fit(story, (x, y), steps=[FULL], held_out=0, batch_size=200), x, y, flip


@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_has_draws_from_its_prior_and_of_its_targets(name):
    make, data = ALL_STORIES[name]
    x, y = data()
    story, rows = make(), Scored(x, y)
    state = torch.get_rng_state()
    draws = prior_draws(story, rows, 4, seed=1)
    assert all(len(value) == 4 for value in draws.values())
    again = predictive_draws(story, rows, draws, 4, seed=1)
    assert again.shape == (1, 4, *y.shape)
    assert np.array_equal(again, predictive_draws(story, rows, draws, 4, seed=1))
    if draws:
        terms = log_priors(story, rows, {name: value[None] for name, value in draws.items()})
        assert terms.keys() == draws.keys()
        assert all(term.shape == (1, 4) and np.isfinite(term).all() for term in terms.values())
    assert torch.equal(state, torch.get_rng_state())


def test_chains_and_a_full_guide_agree_on_a_line(line_trees):
    table = guide_and_chains(*line_trees)
    assert set(table.index) == {"contamination", "weight[0]", "bias", "noise"}
    assert (table["r_hat"] < 1.05).all()
    assert (table["shift"].abs() < 0.4).all()
    assert table["width"].between(0.6, 1.6).all()


def test_chains_and_guide_agree_on_rates_given_f(flip_fit):
    fitted, x, y, _ = flip_fit
    chains = nuts(fitted, x, y, num_samples=300, num_warmup=200, chains=2, class_names=list("abc"))
    guide = to_datatree(fitted, x, y, num_draws=2000, class_names=list("abc"))
    table = guide_and_chains(guide, chains, var_names=["rate"])
    assert list(table.index) == ["rate[a]", "rate[b]", "rate[c]"]
    assert (table["shift"].abs() < 0.4).all()
    assert table["width"].between(0.6, 1.5).all()
    assert chains.sample_stats["diverging"].shape == (2, 300)
    assert chains.posterior["transition_matrix"].shape == (2, 300, 3, 3)


@untrained
def test_a_story_without_closed_form_is_sampled_by_enumeration():
    torch.manual_seed(0)
    x, y = ALL_STORIES["three_states"][1](12)
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=1)], held_out=0)
    tree = nuts(fitted, x, y, num_samples=5, num_warmup=5, chains=1)
    assert tree.posterior["shares"].shape == (1, 5, 3)
    assert all(p.requires_grad for p in fitted.story.parameters())


def test_chains_in_processes_are_those_of_one_process(flip_fit):
    fitted, x, y, _ = flip_fit
    trees = [
        nuts(fitted, x, y, num_samples=4, num_warmup=4, chains=2, workers=workers)
        for workers in (1, 2)
    ]
    assert trees[0].posterior.equals(trees[1].posterior)


def test_what_has_no_global_latent_is_not_sampled():
    make, data = ALL_STORIES["uniform_labels"]
    fitted = fit(make(), data(20), steps=[Joint(epochs=1)], held_out=0)
    with pytest.raises(StoryError, match="nothing is to sample"):
        nuts(fitted, *data(20))
    with pytest.raises(DataError, match="four samples"):
        nuts(fitted, *data(20), num_samples=2)
    tree = to_datatree(fitted, *data(20), num_predictive=3)
    assert tree.posterior_predictive["y"].shape == (1, 3, 20)
    assert tree.log_likelihood["y"].shape == (1, 3, 20)
    assert dict(tree.posterior.sizes) == {"chain": 1, "draw": 3}
    assert "log_prior" not in tree.children
    fitted.story.requires_grad_(False)
    with pytest.raises(StoryError, match="no global latents"):
        loo(fitted, *data(20))


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
    tree = to_datatree(fit(make(), (x, y), steps=[Joint(epochs=1)], held_out=0), x, y, num_draws=50)
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
    with pytest.raises(DataError, match="no latent classes"):
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


def test_a_comparison_is_rounded_for_people():
    table = pd.DataFrame(
        {
            "rank": [0, 1],
            "elpd": [-243.4907, -243.4941],
            "se": [11.7, 11.7],
            "elpd_diff": [0.0, 0.00334],
            "dse": [0.0, 0.00138],
            "weight": [1.0, 3e-16],
        },
        index=["open", "a very long name of a candidate " * 5],
    )
    text = str(Comparison({}, table, np.zeros(0, dtype=int)))
    assert len(text.splitlines()) == 3
    for number in ("-243.49", "0.003", "0.001", "3e-16", "1.00"):
        assert number in text


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


@untrained
def test_loo_is_refused_where_weights_have_seen_the_rows(line_fit, flip_fit):
    fitted, x, y, _ = line_fit
    assert float(loo(fitted, x, y).pareto_k.max()) < 0.7
    x, y, _ = labels_given_f(60)
    trained = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[Joint(epochs=2)])
    with pytest.raises(StoryError, match="compare_priors"):
        loo(trained, x, y)


def test_the_prior_that_made_the_data_predicts_best():
    rng = np.random.default_rng(3)
    group = rng.integers(4, size=240)
    x = rng.normal(size=(240, 1))
    y = 2 * x[:, 0] + 0.5 * rng.normal(size=240)
    wrong = rng.random(240) < np.array([0.01, 0.02, 0.5, 0.6])[group]
    y[wrong] = 12 * rng.normal(size=wrong.sum())
    rows, names = with_groups(x, group)
    assert list(names) == [0, 1, 2, 3]

    def story(switch):
        trunk = None if isinstance(switch, GroupSwitch) else WithoutGroups()
        anomaly = BroadNormal(0.0, 12.0)
        return LatentSwitch(switch=switch, clean=LinearNormal(1), anomaly=anomaly, trunk=trunk)

    stories = {
        "fixed": story(FixedSwitch(0.05)),
        "one rate": story(BetaSwitch(3, 7)),
        "groups": story(GroupSwitch(4)),
        "input": story(LinearSwitch(1)),
    }
    joint = Joint(epochs=150, guide_lr=0.05, spread_lr=0.05, one_cycle=True)
    steps = [StartFrom({"weight": torch.tensor([2.0]), "noise": torch.tensor(0.5)}), joint]
    comparison = compare_priors(
        stories, rows, y, folds=3, steps=steps, held_out=0, batch_size=240, num_draws=50
    )
    assert comparison.within() == ["groups"]
    assert comparison.table.index[0] == "groups"
    assert "groups" in str(comparison)
    assert sorted(np.unique(comparison.fold)) == [0, 1, 2]
    assert comparison.elpd["fixed"].elpd_i.shape == (240,)
    arviz_plots.plot_compare(comparison.table)
    plt.close("all")


@untrained
def test_candidates_start_from_the_same_weights_and_stay_as_they_are():
    x, y, _ = labels_given_f(60)
    torch.manual_seed(0)
    stories = {name: LabelFlip(nn.Linear(3, 3), 3) for name in "ab"}
    before = [p.clone() for story in stories.values() for p in story.parameters()]
    result = compare_priors(stories, x, y, folds=2, steps=[Joint(epochs=2)], num_draws=5)
    assert result.elpd["a"].elpd == result.elpd["b"].elpd
    after = [p for story in stories.values() for p in story.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_cannot_be_compared_is_refused():
    x, y, _ = labels_given_f(20)
    one = {"one": LabelFlip(nn.Linear(3, 3), 3)}
    with pytest.raises(StoryError, match="at least two"):
        compare_priors(one, x, y)
    with pytest.raises(DataError, match="folds"):
        compare_priors(one | {"two": one["one"]}, x, y, folds=1)


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


def test_rates_of_groups_are_found_for_a_latent_true_label():
    torch.manual_seed(0)
    x, y, _ = labels_given_f(300, seed=2)
    true = x.argmax(1)
    rng = np.random.default_rng(0)
    group = rng.choice(["good", "bad"], 300)
    flip = rng.random(300) < np.where(group == "bad", 0.5, 0.02)
    y = torch.where(torch.as_tensor(flip), (true + 1) % 3, true)
    rows, names = with_groups(x, group)
    assert list(names) == ["bad", "good"]
    story = LabelFlip(nn.Identity(), 3, groups=2)
    fitted = fit(story, (rows, y), steps=[FULL], held_out=0, batch_size=300)
    draws = guide_draws(fitted.guide, 200)
    u = draws["group_spread"][:, None] * draws["group"]
    assert (u[:, 0] > u[:, 1]).float().mean() > 0.95
    r = responsibilities(fitted, rows, y)
    assert ((r > 0.5) == flip).mean() > 0.9
    # An unknown group is between the two.
    unknown, _ = with_groups(x, ["?"] * 300, names=names)
    density = log_marginals(fitted, unknown, y)
    assert np.isfinite(density).all()


@untrained
def test_the_default_recipe_fits_groups_and_saves_them(tmp_path):
    torch.manual_seed(0)
    x, y, _ = labels_given_f(120)
    rows, _ = with_groups(x, np.arange(120) % 2)
    story = LabelFlip(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 3)), 3, groups=2)
    fitted = fit(story, (rows, y), epochs=6)
    assert isinstance(fitted, Fit)
    save(fitted, tmp_path / "run")
    from nbam_pyro import load

    again = load(tmp_path / "run")
    assert np.array_equal(responsibilities(again, rows, y), responsibilities(fitted, rows, y))


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


@pytest.mark.parametrize(
    ("x", "group", "match"),
    [(torch.zeros(3), [1, 2, 3], "column"), (torch.zeros(3, 1), [1, 2], "every row")],
)
def test_groups_that_do_not_fit_are_refused(x, group, match):
    with pytest.raises(DataError, match=match):
        with_groups(x, group)
    with pytest.raises(DataError, match="with_groups"):
        LabelFlip(nn.Linear(1, 2), 2, groups=2).log_predictor(torch.zeros(3, 1), {})


def test_missing_groups_are_unknown_and_images_carry_a_channel():
    rows, names = with_groups(torch.zeros(3, 2, 4, 4), ["a", None, "b"])
    assert rows.shape == (3, 3, 4, 4)
    assert rows[:, -1, 0, 0].tolist() == [0.0, -1.0, 1.0]
    assert list(names) == ["a", "b"]


def test_a_guide_starts_at_prior_means():
    story = LatentSwitch(
        switch=BetaSwitch(1, 9), clean=LinearNormal(3, centre=5.0), anomaly=BroadNormal(0.0, 9.0)
    )
    median = guide_median(make_guide(story, torch.zeros(2, 3), torch.zeros(2)))
    assert float(median["contamination"]) == pytest.approx(0.1)
    assert float(median["bias"]) == 5.0
    assert median["weight"].tolist() == [0.0, 0.0, 0.0]


@untrained  # where the prior draws a rate above one half
def test_ranks_of_chains_are_uniform():
    """Simulation-based calibration on few simulations; the benchmark has two hundred."""
    rows = [ranks(seed) for seed in range(1000, 1020)]
    p = uniformity(np.array([row["nuts"] for row in rows]), bins=4)
    assert len(p) == 6
    assert min(p) > 0.01 / 6


def test_groups_go_with_every_clean_likelihood():
    torch.manual_seed(0)
    x, y, _ = line(20)
    rows, _ = with_groups(x, ["a", "b"] * 10)
    clean = NormalLikelihood(nn.Linear(1, 1))
    story = LatentSwitch(switch=GroupSwitch(2), clean=clean, anomaly=BroadNormal(0.0, 12.0))
    fitted = fit(story, (rows, y), steps=[Joint(epochs=1)], held_out=0)
    assert responsibilities(fitted, rows, y).shape == (20,)
    bad, _ = with_groups(x, ["a", "b", "c", "d"] * 5)
    with pytest.raises(DataError, match="with_groups"):
        responsibilities(fitted, bad, y)
    with pytest.raises(DataError, match="with_groups"):
        fit(story, (bad, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="with_groups"):  # a feature is no code
        fit(LabelFlip(nn.Linear(1, 2), 2, groups=2), (torch.rand(9, 2), torch.arange(9) % 2))


def test_missing_groups_among_texts_are_unknown():
    rows, names = with_groups(torch.zeros(3, 1), ["b", float("nan"), "a"])
    assert rows[:, -1].tolist() == [1.0, -1.0, 0.0]
    assert list(names) == ["a", "b"]
    with pytest.raises(DataError, match="twice"):
        with_groups(torch.zeros(3, 1), ["a", "b", "a"], names=["a", "b", "a"])


def test_two_components_do_not_share_a_site():
    with pytest.raises(StoryError, match="global latent"):
        LatentSwitch(switch=BetaSwitch(), clean=LinearNormal(1), anomaly=LinearNormal(1, scale=50))


def test_the_network_of_a_last_layer_is_left_alone():
    network = nn.Sequential(nn.Linear(3, 3))
    story = LabelFlip(network, 3, last_layer=1.0)
    assert all(p.requires_grad for p in network.parameters())
    x, y, _ = labels_given_f(30)
    with pytest.raises(StoryError, match="StartFrom"):
        fit(story, (x, y), steps=[WarmUp(epochs=1)])
    with pytest.raises(StoryError, match="no site 'wieght'"):
        fit(story, (x, y), steps=[StartFrom({"wieght": torch.eye(3)}), Joint(epochs=1)])


@untrained
def test_loo_wants_rows_that_were_trained_on():
    x, y, _ = line(30)
    fitted = fit(line_story(), (x, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="held out"):
        loo(fitted, x, y)


def test_options_by_row_are_refused():
    x, y, _ = line(30)
    stories = {"a": line_story(), "b": line_story(FixedSwitch(0.1))}
    with pytest.raises(DataError, match="weights by row"):
        compare_priors(stories, x, y, weights=np.ones(30))
    with pytest.raises(DataError, match="rows"):
        compare_priors(stories, x, y[:20])


@untrained
def test_a_row_of_several_labels_is_one_datum():
    make, data = ALL_STORIES["multi_label"]
    torch.manual_seed(0)
    x, y = data(24)
    result = compare_priors(
        {"a": make(), "b": make()}, x, y, folds=2, steps=[Joint(epochs=1)], num_draws=5
    )
    assert result.elpd["a"].elpd_i.shape == (24,)
