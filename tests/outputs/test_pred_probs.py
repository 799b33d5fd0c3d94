"""`from_pred_probs`: its estimates, its band, and verified labels."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import FlipPrior, from_pred_probs
from nbam_pyro import functional as nf
from nbam_pyro.outputs.pred_probs import SHARPNESS, SHARPNESS_BAND
from nbam_pyro.outputs.transition import estimate_transition
from tests.outputs.cases import (
    figures,
    simulated,
)

PRIOR = FlipPrior(rate=(1.0, 9.0))


def test_wrong_labels_are_found_and_counted():
    y, p, true = simulated()
    report = from_pred_probs(y, p)
    wrong = y != true
    r = figures(report)
    assert ((r - wrong) ** 2).mean() < 0.7 * ((1 - p[np.arange(len(y)), y] - wrong) ** 2).mean()
    assert r.mean() == pytest.approx(report.contamination["rate"], abs=1e-5)
    low, high = report.contamination[["band_low", "band_high"]]
    assert low <= wrong.mean() <= high
    suggested = report.rows["suggested_label"].to_numpy()
    assert (suggested == true).mean() > (y == true).mean()


@settings(deadline=None, max_examples=15)
@given(
    st.integers(1, 40), st.integers(2, 5), st.floats(0.3, 8.0), st.booleans(), st.integers(0, 99)
)
def test_rows_are_the_closed_form_given_the_estimates(n, k, sharpness, some, seed):
    y, p, true = simulated(n, k, seed)
    verified = np.where(np.arange(n) % 4 == 0, true, -1) if some else None
    report = from_pred_probs(y, p, verified=verified, sharpness=sharpness)
    log_f = (sharpness * torch.tensor(p).clamp_min(1e-6).log()).log_softmax(-1)
    rate = torch.tensor(report.rates["rate"].to_numpy(copy=True))
    log_flip = torch.tensor(report.flip_matrix.to_numpy(copy=True)).log()
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
    assert report.transition_matrix.to_numpy() == pytest.approx(matrix.numpy())


def test_permuting_rows_permutes_results():
    y, p, true = simulated()
    verified = np.where(np.arange(len(y)) < 50, true, -1)
    order = np.random.default_rng(0).permutation(len(y))
    one = from_pred_probs(y, p, verified=verified)
    other = from_pred_probs(y[order], p[order], verified=verified[order])
    # Rounding of float32 sums may end EM an iteration earlier.
    assert figures(one)[order] == pytest.approx(figures(other), abs=2e-3)
    assert one.sharpness == other.sharpness
    assert one.transition_matrix.to_numpy() == pytest.approx(
        other.transition_matrix.to_numpy(), abs=2e-3
    )


def test_permuting_classes_permutes_results():
    y, p, _ = simulated()
    one, other = from_pred_probs(y, p), from_pred_probs(2 - y, p[:, ::-1])
    assert figures(one) == pytest.approx(figures(other), abs=2e-3)
    assert one.rates["rate"].to_numpy()[::-1] == pytest.approx(
        other.rates["rate"].to_numpy(), abs=2e-3
    )


def test_verified_rows_are_certain_and_teach():
    y, p, true = simulated()
    verified = np.where(np.arange(len(y)) < 150, true, -1)
    report = from_pred_probs(y, p, verified=verified, sharpness=SHARPNESS)
    rows = report.rows[:150]
    assert (rows["responsibility"] == (y != true)[:150]).all()
    assert (rows["suggested_label"] == true[:150]).all()
    assert (rows["suggested_probability"] == 1).all()
    error = abs(
        report.transition_matrix.to_numpy() - (0.8 * np.eye(3) + 0.2 * np.eye(3)[[1, 2, 0]])
    )
    without = from_pred_probs(y, p).transition_matrix.to_numpy()
    assert error.max() < abs(without - (0.8 * np.eye(3) + 0.2 * np.eye(3)[[1, 2, 0]])).max()
    assert report.band["verified_log_prob"].notna().all()
    assert "150 verified" in report.note


@pytest.mark.parametrize("softness", [1.5, 4.0])
def test_verified_labels_choose_the_sharpness(softness):
    """Where p is f raised to 1 / a, verified labels say a, and the labels' own likelihood too."""
    _, f, true = simulated(2000, rate=0.0, scale=3.0)
    y = np.where(np.random.default_rng(1).random(2000) < 0.2, (true + 1) % 3, true)
    p = f ** (1 / softness)
    p /= p.sum(1, keepdims=True)
    verified = np.where(np.random.default_rng(2).random(2000) < 0.3, true, -1)
    report = from_pred_probs(y, p, verified=verified)
    assert report.sharpness == softness
    best = report.band["verified_log_prob"].idxmax()
    assert report.band.loc[best, "sharpness"] == softness


def test_verified_labels_that_are_all_unknown_say_nothing():
    y, p, _ = simulated(100)
    with_none = from_pred_probs(y, p, verified=[None] * 100)
    assert with_none.sharpness == SHARPNESS
    assert (figures(with_none) == figures(from_pred_probs(y, p))).all()
    assert with_none.band["verified_log_prob"].isna().all()


def test_the_band_holds_every_sharpness_and_the_chosen_one():
    y, p, _ = simulated(300)
    report = from_pred_probs(y, p, sharpness=3.0)
    assert report.band["sharpness"].tolist() == sorted([*SHARPNESS_BAND, 3.0])
    assert report.sharpness == 3.0
    chosen = report.band.set_index("sharpness").loc[3.0]
    assert chosen["rate"] == report.contamination["rate"]
    assert chosen["flagged"] == (figures(report) > 0.5).sum()
    for table in (report.rates, report.contamination.to_frame().T):
        assert (table["band_low"] <= table["rate"]).all()
        assert (table["rate"] <= table["band_high"]).all()
        assert (table["low"] < table["rate"]).all()
        assert (table["rate"] < table["high"]).all()
    assert len(SHARPNESS_BAND) >= 5
    assert SHARPNESS in SHARPNESS_BAND
    assert "sharpness 3 as given" in report.note


def test_intervals_widen_with_their_probability():
    y, p, _ = simulated(300)
    wide = from_pred_probs(y, p, probability=0.99).rates
    narrow = from_pred_probs(y, p, probability=0.5).rates
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()


def test_the_prior_counts():
    y, p, _ = simulated(60)
    sceptical = from_pred_probs(y, p, prior=FlipPrior(rate=(1.0, 1000.0)))
    assert sceptical.contamination["rate"] < 0.5 * from_pred_probs(y, p).contamination["rate"]
    assert (figures(from_pred_probs(y, p)) == figures(from_pred_probs(y, p, prior=PRIOR))).all()


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
    assert report.class_prior == 50
    assert SUPPOSED in report.note
    log_f = (2.0 * torch.tensor(p).float().clamp_min(1e-6).log()).log_softmax(-1)
    labels, known = torch.tensor(y), torch.tensor(verified)
    fitted = estimate_transition(
        log_f, labels, prior=PRIOR, true_labels=known, class_prior=50, tolerance=1e-6
    )
    latents = labels, fitted.rate.logit().float(), fitted.flip.log().float()
    shifted = (log_f + fitted.log_shift.float()).log_softmax(-1)
    r = nf.responsibility(*nf.label_flip_log_joint(shifted, *latents, true_label=known))
    posterior = nf.label_flip_log_posterior(shifted, *latents, true_label=known).exp()
    # EM of the report ends a little earlier; without the shift they differ by far more.
    assert figures(report) == pytest.approx(r.numpy(), abs=0.02)
    off = figures(from_pred_probs(y, p, verified=verified, sharpness=2.0))
    assert abs(off - figures(report)).max() > 0.1
    best = report.rows["suggested_probability"].to_numpy()
    assert best == pytest.approx(posterior.max(1).values.numpy(), abs=0.02)
    assert figures(report).mean() == pytest.approx(report.contamination["rate"], abs=1e-4)
    assert (report.rows["predicted_label"] == p.argmax(1)).all()
    assert (report.rates["low"] < report.rates["rate"]).all()
    assert (report.rates["rate"] < report.rates["high"]).all()


def test_without_a_class_prior_nothing_is_supposed_or_changed():
    y, p, _ = simulated(300)
    report, off = from_pred_probs(y, p), from_pred_probs(y, p, class_prior=None)
    assert report.class_prior is None
    assert "supposed" not in report.note
    assert report.rows.equals(off.rows)
    assert report.rates.equals(off.rates)
    assert report.band.equals(off.band)
    assert not from_pred_probs(y, p, class_prior=200).rows.equals(report.rows)


def test_impossible_labels_do_no_harm():
    """Forests give probabilities of exactly zero, to observed and to verified labels."""
    p = np.eye(3)[np.arange(60) % 3]
    y = np.where(np.arange(60) < 6, (np.arange(60) + 1) % 3, np.arange(60) % 3)
    report = from_pred_probs(y, p, verified=np.where(np.arange(60) < 2, y, -1))
    assert np.isfinite(report.band).all(axis=None)
    assert figures(report)[:2].tolist() == [0, 0]
    assert (figures(report)[2:6] > 0.9).all()
    assert (figures(report)[6:] < 0.1).all()


def test_neither_pyro_nor_lightning_is_imported():
    code = (
        "import json, sys; from nbam_pyro import from_pred_probs; "
        "from_pred_probs([0, 1], [[0.5, 0.5], [0.5, 0.5]]); "
        "print(json.dumps([name for name in ('pyro', 'lightning', 'cleanlab') "
        "if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
