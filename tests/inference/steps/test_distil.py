"""Distillation for few rows: networks memorise no label that they predict."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset

from nbam_pyro import LabelFlip, NBAMClassifier, fit, responsibilities
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import (
    ByRows,
    CrossFit,
    Distil,
    Step,
    UseAll,
    WarmUp,
    default_steps,
    true_label_posterior,
)
from nbam_pyro.training.sources import as_rows
from nbam_pyro.verified import Verified

QUICK = WarmUp(epochs=15, lr=0.05)


BEFORE = CrossFit(folds=2, warm_up=QUICK, lr=0.05)


DISTIL = Distil(folds=2, fold_epochs=10, epochs=10, lr=0.05)


def blobs(n=120):
    rng = np.random.default_rng(0)
    true = np.arange(n) % 3
    x = (6 * np.eye(3)[true] + rng.normal(size=(n, 3))).astype(np.float32)
    y = np.where(np.arange(n) % 7 == 0, (true + 1) % 3, true)
    return x, y, true


def test_nothing_is_learned_by_heart():
    x, true = load_digits(return_X_y=True)
    x, true = x[:400], true[:400]
    rng = np.random.default_rng(102)
    wrong = rng.random(400) < 0.2
    y = np.where(wrong, (true + rng.integers(1, 10, 400)) % 10, true)
    model = NBAMClassifier(random_state=0).fit(x, y)
    assert model.contamination_ == pytest.approx(wrong.mean(), abs=0.03)
    assert (model.predict(x) == true).mean() > 0.96  # cross-entropy learns a third of them
    assert ((model.responsibility_ > 0.5) == wrong).mean() > 0.96


def test_what_is_few():
    seen = []

    class Note(Step):
        def __init__(self, name):
            self.name = name

        def __call__(self, run):
            seen.append((self.name, len(run.training_index)))

    x, y, _ = blobs()
    for limit in (101, 100):
        steps = [QUICK, ByRows(few=[Note("few")], many=[Note("many")], limit=limit)]
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=steps)
    assert seen == [("few", 100), ("many", 100)]
    assert [
        fit(
            LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[UseAll(), QUICK], held_out=rows
        ).held_out.sum()
        for rows in (0.2, np.arange(120) < 12)
    ] == [0, 12]
    recipe = next(s for s in default_steps(LabelFlip(nn.Linear(3, 3), 3)) if isinstance(s, ByRows))
    assert recipe.limit == 1000
    last = recipe.many[-1]
    assert last.limit == 4000
    assert [(one.rounds, one.averaged) for (one,) in (last.few, last.many)] == [(2, 1), (4, 2)]


def distilled(data, **options):
    torch.manual_seed(0)
    # With larger batches so few steps are made that the result depends on the seed.
    return fit(
        LabelFlip(nn.Linear(3, 3), 3), data, steps=[BEFORE, DISTIL], batch_size=16, **options
    )


class Pairs(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def test_a_data_set_gives_what_its_arrays_give():
    x, y, true = blobs()
    one, other = distilled((x, y)), distilled(Pairs(x, y))
    assert one.training_rows.responsibility == pytest.approx(
        other.training_rows.responsibility, abs=1e-5
    )
    assert one.training_rows.evidence == "cross-fitted"
    assert ((one.training_rows.responsibility > 0.5) == (y != true)).mean() > 0.95
    counts = one.history["step"].value_counts()
    assert (counts["distil out of fold"], counts["distil"]) == (20, 10)


def test_rounds_end_early_and_learn_what_is_wrong():
    x, y, true = blobs(600)
    torch.manual_seed(0)
    rounds = replace(DISTIL, rounds=2, calibrate=False, fold_epochs=40, patience=2, compare=True)
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[BEFORE, rounds], held_out=0.2)
    epochs = fitted.history.query("step == 'distil out of fold'").groupby("held_out_loss").size()
    assert 4 * 3 <= epochs.sum() < 4 * 40  # two rounds of two copies stop before the last epoch
    assert ((fitted.training_rows.responsibility > 0.5) == (y != true)).mean() > 0.97


def test_predictions_of_the_last_rounds_are_averaged():
    """The last round's predictions are those of a fit without an average."""
    x, y, true = blobs()
    seen = {}

    @dataclass(frozen=True, kw_only=True)
    class Look(Step):
        averaged: int

        def __call__(self, run):
            seen[self.averaged] = run.cross_fitted.log_probs.exp()

    for averaged in (1, 2):
        torch.manual_seed(0)
        rounds = replace(DISTIL, rounds=2, averaged=averaged, calibrate=False)
        steps = [BEFORE, rounds, Look(averaged=averaged)]
        fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=steps, batch_size=16)
        assert ((fitted.training_rows.responsibility > 0.5) == (y != true)).mean() > 0.9
    torch.manual_seed(0)
    steps = [BEFORE, replace(DISTIL, calibrate=False), Look(averaged=0)]
    fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=steps, batch_size=16)
    assert torch.allclose(seen[2], (seen[0] + seen[1]) / 2, atol=1e-6)


def test_copies_that_predict_worse_than_those_before_are_discarded():
    x, y, _ = blobs()
    torch.manual_seed(0)
    hopeless = replace(DISTIL, lr=1e-9, compare=True)
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[BEFORE, hopeless])
    torch.manual_seed(0)
    before = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[BEFORE])
    assert "distil" not in set(fitted.history["step"])
    assert fitted.training_rows.responsibility == pytest.approx(
        before.training_rows.responsibility, abs=1e-6
    )


def test_what_is_verified_stays_so():
    x, y, true = blobs()
    label = np.where(np.arange(120) < 12, true, -1)
    fitted = distilled((x, y), verified=Verified.of(torch.as_tensor(y), true_label=label))
    assert fitted.training_rows.responsibility[:12] == pytest.approx(1.0 * (y != true)[:12])


def test_pixels_and_what_deviates():
    x, y, _ = blobs()
    network = nn.Sequential(nn.Conv1d(3, 4, 1), nn.Conv1d(4, 3, 1))
    pixels = LabelFlip(network, 3, dims=("place",))
    rows = np.stack([x, np.roll(x, 1, 0)], -1), np.stack([y, np.roll(y, 1)], -1)
    fitted = fit(pixels, rows, steps=[BEFORE, DISTIL])
    assert fitted.training_rows.true_label.shape == (120, 2, 3)
    r, label = (of(fitted, *rows) for of in (responsibilities, true_label_posterior))
    assert (r.shape, label.shape) == ((120, 2), (120, 2, 3))
    assert np.abs(r - fitted.training_rows.responsibility).mean() < 0.1
    torch.manual_seed(0)
    local = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 3))
    fitted = fit(LabelFlip(local, 3, locality=1.0), (x, y), steps=[BEFORE, DISTIL])
    assert np.isfinite(fitted.training_rows.responsibility).all()
    assert np.isfinite(responsibilities(fitted, x, y)).all()


def test_it_needs_evidence():
    x, y, _ = blobs()
    with pytest.raises(StoryError, match="evidence of CrossFit"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[QUICK, DISTIL])


def test_other_targets_keep_x_and_weights():
    x, y, _ = blobs()
    rows = as_rows((x, y), np.arange(120) + 1.0, Verified.of(torch.as_tensor(y), true_label=y))
    soft = torch.rand(120, 3)
    for given_rows in (rows, as_rows(Pairs(x, y), np.arange(120) + 1.0)):
        batch = next(iter(given_rows.with_targets(soft).loader(np.array([5, 7]), 2)))
        assert torch.equal(batch.x, torch.as_tensor(x[[5, 7]]))
        assert torch.equal(batch.y, soft[[5, 7]])
        assert batch.weights.tolist() == [6.0, 8.0]
        assert not len(batch.verified)
