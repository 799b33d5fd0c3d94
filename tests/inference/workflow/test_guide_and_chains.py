"""Guides beside Markov chains of the same story."""

from nbam_pyro import to_datatree
from nbam_pyro.inference import guide_and_chains, nuts


def test_chains_and_a_full_guide_agree_on_a_line(line_trees):
    table = guide_and_chains(*line_trees)
    assert set(table.index) == {"contamination", "weight[0]", "bias", "noise"}
    assert (table["r_hat"] < 1.05).all()
    assert (table["shift"].abs() < 0.4).all()
    assert table["width"].between(0.6, 1.6).all()


def test_chains_and_guide_agree_on_rates_given_f(flip_fit):
    fitted, x, y, _ = flip_fit
    chains = nuts(fitted, x, y, num_samples=200, num_warmup=100, chains=2, class_names=list("abc"))
    guide = to_datatree(fitted, x, y, num_draws=2000, class_names=list("abc"))
    table = guide_and_chains(guide, chains, var_names=["rate"])
    assert list(table.index) == ["rate[a]", "rate[b]", "rate[c]"]
    assert (table["shift"].abs() < 0.4).all()
    assert table["width"].between(0.6, 1.5).all()
    assert chains.sample_stats["diverging"].shape == (2, 200)
    assert chains.posterior["transition_matrix"].shape == (2, 200, 3, 3)
