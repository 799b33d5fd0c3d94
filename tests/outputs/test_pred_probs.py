"""`from_pred_probs`: its estimates, its averages over the sharpness, and verified labels."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import FlipPrior, decisions, from_pred_probs
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.sharpness_seen import sharpened
from nbam_pyro.outputs.transition import estimate_transition
from tests.outputs.cases import (
    figures,
    simulated,
)

PRIOR = FlipPrior(rate=(1.0, 9.0))
PAIR = 0.8 * np.eye(3) + 0.2 * np.eye(3)[[1, 2, 0]]


def log_f_of(p, sharpness):
    return sharpened(torch.tensor(p).clamp_min(1e-6).log(), sharpness)


def test_wrong_labels_are_found_and_counted():
    y, p, true = simulated()
    report = from_pred_probs(y, p)
    wrong = y != true
    r = figures(report)
    assert ((r - wrong) ** 2).mean() < 0.8 * ((1 - p[np.arange(len(y)), y] - wrong) ** 2).mean()
    assert r.mean() == pytest.approx(report.contamination)
    low, high = report.contamination_interval
    assert low <= wrong.mean() <= high
    suggested = report.rows["suggested_label"].to_numpy()
    assert (suggested == true).mean() > (y == true).mean()


@settings(deadline=None, max_examples=15)
@given(
    st.integers(1, 40), st.integers(2, 5), st.floats(0.3, 8.0), st.booleans(), st.integers(0, 99)
)
def test_rows_are_the_closed_form_given_a_sharpness(n, k, sharpness, some, seed):
    y, p, true = simulated(n, k, seed)
    verified = np.where(np.arange(n) % 4 == 0, true, -1) if some else None
    report = from_pred_probs(y, p, verified=verified, sharpness=sharpness)
    log_f = log_f_of(p, sharpness)
    rate = torch.tensor(report.labels.rates["rate"].to_numpy(copy=True))
    log_flip = torch.tensor(report.labels.flip_matrix.to_numpy(copy=True)).log()
    latents = torch.tensor(y), rate.logit(), log_flip
    r = nf.responsibility(*nf.label_flip_log_joint(log_f, *latents)).numpy()
    posterior = nf.label_flip_log_posterior(log_f, *latents).exp().numpy()
    if some:
        known = verified >= 0
        r[known] = verified[known] != y[known]
        posterior[known] = np.eye(k)[verified[known]]
    assert figures(report) == pytest.approx(r, abs=1e-4)
    suggested = report.rows["suggested_label"].to_numpy()
    assert posterior[np.arange(n), suggested] == pytest.approx(posterior.max(1), abs=1e-4)
    assert report.rows["suggested_probability"].to_numpy() == pytest.approx(
        posterior.max(1), abs=1e-4
    )
    assert (report.rows["predicted_label"] == p.argmax(1)).all()
    matrix = nf.transition_matrix(rate, log_flip.exp())
    assert report.labels.transition_matrix.to_numpy() == pytest.approx(matrix.numpy())


def test_rows_are_averages_over_the_explanations():
    y, p, _ = simulated(300)
    report = from_pred_probs(y, p)
    table = report.labels.sharpness
    assert table["weight"].sum() + report.labels.all_right == pytest.approx(1)
    assert (table["weight"] > 0).all()
    each = [figures(from_pred_probs(y, p, sharpness=a)) for a in table["sharpness"]]
    assert figures(report) == pytest.approx(table["weight"].to_numpy() @ each, abs=0.02)
    assert table["weight"] @ table["contamination"] == pytest.approx(report.contamination, abs=1e-3)
    assert table["flagged"].tolist() == pytest.approx([(r > 0.5).sum() for r in each], abs=2)


def test_the_labels_do_not_weigh_the_sharpness():
    """Two data sets that look alike have the same weights, whatever their likelihood."""
    y, p, _ = simulated(300)
    one, other = from_pred_probs(y, p), from_pred_probs(y, p, prior=FlipPrior(rate=(5.0, 5.0)))
    assert not np.allclose(one.labels.sharpness["log_marginal"], 0)
    assert one.labels.sharpness["weight"].equals(other.labels.sharpness["weight"])


def test_permuting_rows_permutes_results():
    y, p, true = simulated()
    verified = np.where(np.arange(len(y)) < 50, true, -1)
    order = np.random.default_rng(0).permutation(len(y))
    one = from_pred_probs(y, p, verified=verified)
    other = from_pred_probs(y[order], p[order], verified=verified[order])
    # Rounding of sums may end EM an iteration earlier.
    assert figures(one)[order] == pytest.approx(figures(other), abs=2e-3)
    assert one.labels.sharpness["weight"].to_numpy() == pytest.approx(
        other.labels.sharpness["weight"].to_numpy(), abs=2e-3
    )
    assert one.labels.transition_matrix.to_numpy() == pytest.approx(
        other.labels.transition_matrix.to_numpy(), abs=2e-3
    )


def test_permuting_classes_permutes_results():
    y, p, _ = simulated()
    one, other = from_pred_probs(y, p), from_pred_probs(2 - y, p[:, ::-1])
    assert figures(one) == pytest.approx(figures(other), abs=2e-3)
    assert one.labels.rates["rate"].to_numpy()[::-1] == pytest.approx(
        other.labels.rates["rate"].to_numpy(), abs=2e-3
    )


def test_verified_rows_are_certain_and_teach():
    y, p, true = simulated()
    verified = np.where(np.arange(len(y)) < 150, true, -1)
    report = from_pred_probs(y, p, verified=verified)
    rows = report.rows[:150]
    assert (rows["responsibility"] == (y != true)[:150]).all()
    assert (rows["suggested_label"] == true[:150]).all()
    assert (rows["suggested_probability"] == 1).all()
    without = from_pred_probs(y, p)
    error = abs(report.labels.transition_matrix.to_numpy() - PAIR).max()
    assert error < abs(without.labels.transition_matrix.to_numpy() - PAIR).max()
    assert "150 verified" in report.note
    assert "it is not known how they were chosen" in report.verdict.assumed
    assert "chosen" not in without.verdict.assumed
    assert report.labels.all_right == 0  # Some verified labels are wrong.
    widths = [np.diff(one.contamination_interval)[0] for one in (report, without)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize("softness", [1.5, 4.0])
def test_verified_labels_choose_the_sharpness(softness):
    """If p is f raised to 1 / a, verified labels determine a."""
    _, f, true = simulated(2000, rate=0.0, scale=3.0)
    y = np.where(np.random.default_rng(1).random(2000) < 0.2, (true + 1) % 3, true)
    p = f ** (1 / softness)
    p /= p.sum(1, keepdims=True)
    verified = np.where(np.random.default_rng(2).random(2000) < 0.3, true, -1)
    report = from_pred_probs(y, p, verified=verified)
    low, high = report.posterior["sharpness"].quantile([0.05, 0.95])
    assert low < 1.15 * softness
    assert high > softness / 1.15
    assert high / low < 2.5


def test_verified_labels_that_are_all_right_speak_for_right_labels():
    y, p, true = simulated(300, rate=0.05)
    clean = np.where((y == true) & (np.arange(300) < 150), true, -1)
    before, after = from_pred_probs(y, p), from_pred_probs(y, p, verified=clean)
    assert after.labels.all_right > before.labels.all_right


def test_verified_labels_that_are_all_unknown_say_nothing():
    y, p, _ = simulated(100)
    with_none = from_pred_probs(y, p, verified=[None] * 100)
    assert (figures(with_none) == figures(from_pred_probs(y, p))).all()


def test_a_given_sharpness_is_not_averaged():
    y, p, _ = simulated(300)
    report = from_pred_probs(y, p, sharpness=3.0)
    assert report.labels.sharpness["sharpness"].tolist() == [3.0]
    assert report.labels.all_right == 0
    assert (report.posterior["sharpness"] == 3.0).all()
    assert "Sharpness 3 was given" in report.note
    rates = report.labels.rates
    assert (rates["low"] < rates["rate"]).all()
    assert (rates["rate"] < rates["high"]).all()


def test_intervals_widen_with_their_probability():
    y, p, _ = simulated(300)
    wide = from_pred_probs(y, p, probability=0.99)
    narrow = from_pred_probs(y, p, probability=0.5)
    for name in ("contamination_interval", "population_rate_interval"):
        low, high = getattr(wide, name)
        inner = getattr(narrow, name)
        assert low < inner[0] < inner[1] < high
    assert (wide.labels.rates["low"] <= narrow.labels.rates["low"]).all()
    assert (wide.labels.rates["high"] > narrow.labels.rates["high"]).all()


def test_the_prior_counts():
    y, p, _ = simulated(60)
    sceptical = from_pred_probs(y, p, prior=FlipPrior(rate=(1.0, 1000.0)))
    assert sceptical.contamination < 0.5 * from_pred_probs(y, p).contamination
    assert (figures(from_pred_probs(y, p)) == figures(from_pred_probs(y, p, prior=PRIOR))).all()


def test_decisions_take_the_responsibilities_of_a_report():
    y, p, true = simulated()
    report = from_pred_probs(y, p, sharpness=2.5)
    found = decisions.flags(report.rows["responsibility"], fdr=0.2)
    assert ((y != true) & found.flagged).sum() > 0.6 * found.flagged.sum() > 0
    queue = decisions.review_queue(report.rows["responsibility"], budget=5)
    assert len(queue) == 5


SUPPOSED = (
    "Class frequencies were assumed to be even (Dirichlet, 50 for each class): that is an "
    "assumption, not evidence."
)


def test_a_class_prior_shifts_the_rows_and_is_disclosed():
    y, p, true = simulated(300, scale=1.0)
    p = p * [3.0, 1.0, 1.0]
    p /= p.sum(1, keepdims=True)
    verified = np.where(np.arange(300) < 30, true, -1)
    report = from_pred_probs(y, p, verified=verified, sharpness=2.0, class_prior=50)
    assert report.labels.class_prior == 50
    assert SUPPOSED in report.note
    log_f = log_f_of(p, 2.0).float()
    labels, known = torch.tensor(y), torch.tensor(verified)
    fitted = estimate_transition(
        log_f, labels, prior=PRIOR, true_labels=known, class_prior=50, tolerance=1e-6
    )
    latents = labels, fitted.rate.logit().float(), fitted.flip.log().float()
    shifted = (log_f + fitted.log_shift.float()).log_softmax(-1)
    r = nf.responsibility(*nf.label_flip_log_joint(shifted, *latents, true_label=known))
    posterior = nf.label_flip_log_posterior(shifted, *latents, true_label=known).exp()
    # EM of the report ends a little earlier; without the shift they differ by far more.
    assert figures(report) == pytest.approx(r.numpy(), abs=0.04)
    off = figures(from_pred_probs(y, p, verified=verified, sharpness=2.0))
    assert abs(off - figures(report)).max() > 0.1
    best = report.rows["suggested_probability"].to_numpy()
    assert best == pytest.approx(posterior.max(1).values.numpy(), abs=0.04)
    assert (report.rows["predicted_label"] == p.argmax(1)).all()
    assert (report.labels.rates["low"] < report.labels.rates["rate"]).all()
    assert (report.labels.rates["rate"] < report.labels.rates["high"]).all()


def test_without_a_class_prior_nothing_is_supposed_or_changed():
    y, p, _ = simulated(300)
    report, off = from_pred_probs(y, p), from_pred_probs(y, p, class_prior=None)
    assert report.labels.class_prior is None
    assert "assumed" not in report.note
    assert report.rows.equals(off.rows)
    assert report.labels.rates.equals(off.labels.rates)
    assert not from_pred_probs(y, p, class_prior=200).rows.equals(report.rows)


def test_impossible_labels_do_no_harm():
    """Forests give probabilities of exactly zero, to observed and to verified labels."""
    p = np.eye(3)[np.arange(60) % 3]
    y = np.where(np.arange(60) < 6, (np.arange(60) + 1) % 3, np.arange(60) % 3)
    report = from_pred_probs(y, p, verified=np.where(np.arange(60) < 2, y, -1))
    assert np.isfinite(report.labels.sharpness).all(axis=None)
    assert figures(report)[:2].tolist() == [0, 0]
    assert figures(report)[2:6].min() > 5 * figures(report)[6:].max()


def test_neither_pyro_nor_lightning_is_imported():
    code = (
        "import json, sys; from nbam_pyro import from_pred_probs; "
        "from_pred_probs([0, 1], [[0.5, 0.5], [0.5, 0.5]]); "
        "print(json.dumps([name for name in ('pyro', 'lightning', 'cleanlab') "
        "if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_clean_error_says_how_much_of_the_disagreement_is_wrong_labels():
    y, p, _ = simulated(600)
    disagreement = (p.argmax(1) != y).mean()
    shares = {
        error: from_pred_probs(y, p, clean_error=error).contamination
        for error in ((0.0, 0.05), (0.45, 0.55), (0.95, 1.0))
    }
    assert shares[0.0, 0.05] > 0.75 * disagreement
    assert shares[0.45, 0.55] == pytest.approx(0.5 * disagreement, rel=0.3)
    assert shares[0.95, 1.0] < 0.2 * disagreement


def test_an_open_clean_error_cannot_tell():
    y, p, _ = simulated(600)
    report = from_pred_probs(y, p, clean_error="open")
    assert report.verdict.level == "cannot tell"
    assert "ambiguous rows" in report.verdict.sure
    assert "clean_error=" in report.verdict.decides
    low, high = report.contamination_interval
    assert low < 0.1 * (p.argmax(1) != y).mean()
    assert high > 0.8 * (p.argmax(1) != y).mean()


def test_sharpness_and_clean_error_are_refused_together():
    y, p, _ = simulated(60)
    with pytest.raises(DataError, match="both given"):
        from_pred_probs(y, p, sharpness=2.0, clean_error=(0.2, 0.5))
