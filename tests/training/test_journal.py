"""Fits that are interrupted and called again end as those that were not interrupted."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from nbam_pyro import NBAMRegressor
from nbam_pyro.detection import AnomalyDetector, AutoEncoder
from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.inference import Joint, fit
from nbam_pyro.models import LabelFlip
from nbam_pyro.training.checkpoints import EachEpoch
from nbam_pyro.training.journal import Journal
from tests.inference.cases import blobs
from tests.rows import FEATURES

MOMENTS = ["train_batch_end", "train_epoch_start", "train_epoch_end", "validation_end"]


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch):
    monkeypatch.setattr(EachEpoch.__init__, "__kwdefaults__", {"pause": 0.0})


class StopError(Exception):
    pass


class Interrupt(Callback):
    """Raise an error at the n-th moment of a kind."""

    def __init__(self, moment, n):
        self.left = n
        setattr(self, f"on_{moment}", self.tick)

    def tick(self, *_, **__):
        self.left -= 1
        if self.left == 0:
            raise StopError


def network():
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def labels(folder, *callbacks):
    x, y, _ = blobs(90)
    torch.manual_seed(1)
    fitted = fit(
        LabelFlip(network(), 3),
        (x, y),
        epochs=8,
        progress_folder=folder,
        trainer={"callbacks": list(callbacks)},
    )
    return fitted.training_rows.responsibility, fitted.history.to_numpy()[:, 1:].astype(float)


def measurements(folder, *callbacks):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1))
    y = x[:, 0] + 0.1 * rng.normal(size=60)
    y[:6] += 5
    model = NBAMRegressor(
        epochs=3,
        mean="network",
        random_state=0,
        progress_folder=folder,
        trainer={"callbacks": list(callbacks)},
    )
    fitted = model.fit(x, y).fit_
    return fitted.training_rows.responsibility, fitted.history.to_numpy()[:, 1:].astype(float)


def anomalies(folder, *callbacks):
    x = np.random.default_rng(0).normal(size=(80, 3))
    detector = AnomalyDetector(
        AutoEncoder,
        epochs=40,
        random_state=0,
        progress_folder=folder,
        trainer={"callbacks": list(callbacks)},
    ).fit(x)
    return detector.decision_scores_, np.array([one["loss"] for one in detector.history_])


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
@pytest.mark.parametrize("job", [labels, measurements, anomalies])
def test_an_interrupted_job_ends_as_one_that_was_not(job, tmp_path):
    whole = job(None)
    rng = np.random.default_rng(0)
    interrupted = within = 0
    for number in range(5):
        moment, n = MOMENTS[number % 4], int(rng.integers(2, 14))
        try:
            job(tmp_path, Interrupt(moment, n))
        except StopError:
            interrupted += 1
            within += any(tmp_path.rglob("last.ckpt"))  # after an epoch of an unfinished run
    assert interrupted >= 2
    assert within
    for one, other in zip(whole, job(tmp_path), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_a_finished_fit_is_not_trained_again(tmp_path):
    once = labels(tmp_path)
    again = labels(tmp_path, Interrupt("train_batch_end", 1))
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_jobs_with_other_contents_have_other_folders(tmp_path):
    torch.manual_seed(0)
    story = LabelFlip(network(), 3)
    jobs = [[story, 1], [story, 2], [LabelFlip(network(), 3), 1], [story, torch.ones(2)]]
    jobs += [[story, torch.ones(2, dtype=torch.float64)], [story, torch.ones(2, 1)]]
    folders = {Journal.of(tmp_path, job, {}).folder for job in jobs}
    assert len(folders) == len(jobs)
    assert Journal.of(tmp_path, jobs[0], {"precision": "bf16"}).folder not in folders
    assert Journal.of(tmp_path, jobs[0], {"callbacks": [Callback()]}).folder in folders


def test_a_job_that_cannot_be_recognised_is_refused(tmp_path):
    x, y, _ = blobs(60)
    with pytest.raises(StoryError, match="can be pickled"):
        fit(LabelFlip(network(), 3), (x, y), steps=[lambda run: None], progress_folder=tmp_path)


def test_another_training_run_in_the_same_place_is_refused(tmp_path):
    Journal(tmp_path).entry("warm-up", epochs=3, rows=10)
    with pytest.raises(FolderError, match="has another training run"):
        Journal(tmp_path).entry("joint", epochs=3, rows=10)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_early_stopping_does_not_begin_another_epoch(tmp_path):
    x, y, _ = blobs(120)

    def job(folder, *callbacks):
        torch.manual_seed(1)
        steps = [Joint(epochs=40, patience=2, lr=0.1)]
        trainer = {"callbacks": list(callbacks)}
        story = LabelFlip(network(), 3)
        return fit(story, (x, y), steps=steps, progress_folder=folder, trainer=trainer).history

    whole = job(None)
    assert len(whole) < 40
    with pytest.raises(StopError):
        job(tmp_path, Interrupt("fit_end", 1))  # after the last checkpoint
    assert job(tmp_path).equals(whole)
