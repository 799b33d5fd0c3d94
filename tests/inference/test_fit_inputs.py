"""Data, weights and held-out rows that `fit` takes, and errors for wrong ones."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from nbam_pyro import LabelFlip, fit, responsibilities, transition_matrix
from nbam_pyro.errors import DataError, StoryError, SupportError, SupportWarning
from nbam_pyro.inference import ClosedObjective, CrossFit, Joint, RobustStart, WarmUp, make_guide
from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    LatentSwitch,
    NormalLikelihood,
    ShiftedNormal,
    UniformLabels,
    UniformRange,
    small_cnn,
    three_heads,
)
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.sources import as_rows
from tests.cases import ThreeStates, robust_line
from tests.inference.cases import SHORT, blobs, network, untrained
from tests.rows import FEATURES


@untrained
def test_a_data_set_of_images_is_fitted():
    x, y = torch.randn(33, 1, 8, 8), torch.arange(33) % 2
    data = [(x[i], int(y[i])) for i in range(33)]
    for source in (TensorDataset(x, y), data):
        fitted = fit(LabelFlip(small_cnn(1, 2), 2), source, steps=[Joint(epochs=1)], batch_size=16)
        assert responsibilities(fitted, x, y).shape == (33,)


class Module(LightningDataModule):
    """Rows of its own for training and for noisy validation."""

    def setup(self, stage):
        x, y, _ = blobs(90)
        rows = TensorDataset(torch.as_tensor(x), torch.as_tensor(y))
        self.parts = torch.utils.data.random_split(rows, [70, 20])

    def train_dataloader(self):
        return DataLoader(self.parts[0], batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts[1], batch_size=20)


@untrained
def test_a_loader_lends_its_batches_and_its_collation():
    x, y, _ = blobs(60)
    sizes = []

    def collate(pairs):
        sizes.append(len(pairs))
        return default_collate([(row * 1.0, label) for row, label in pairs])

    loader = DataLoader(
        TensorDataset(torch.as_tensor(x), torch.as_tensor(y)), batch_size=10, collate_fn=collate
    )
    fitted = fit(LabelFlip(network(), 3), loader, steps=[Joint(epochs=1)])
    assert 10 in sizes
    assert fitted.held_out.sum() == 10


@untrained
def test_a_data_module_brings_its_own_held_out_rows():
    fitted = fit(LabelFlip(network(), 3), Module(), steps=[Joint(epochs=1)])
    assert fitted.held_out.tolist() == [False] * 70 + [True] * 20
    without = fit(LabelFlip(network(), 3), Module(), steps=[Joint(epochs=1)], held_out=0.5)
    assert without.held_out.sum() == 45


def test_weights_count_rows():
    """A row of weight two is worth the row twice, in value and gradient of the objective."""
    x, y, _ = blobs(12)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    story = LabelFlip(network(), 3)
    guide = make_guide(story, x, y)
    objective = ClosedObjective(story, guide)
    weights = torch.tensor([2.0, 0.0] * 6)
    gradients = []
    for batch in (Batch(x, y, weights), Batch(x[::2], y[::2], torch.ones(6))):
        torch.manual_seed(0)
        value = objective(batch, 12)
        gradients.append(torch.autograd.grad(value, list(story.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@untrained
def test_weights_reach_the_fit():
    x, y, truth = blobs(240)
    without = np.where(y == truth, 1.0, 0.0)
    fitted = fit(LabelFlip(network(), 3), (x, y), weights=without, steps=SHORT, batch_size=16)
    assert transition_matrix(fitted).mean[0, 1] < 0.1


@untrained
def test_held_out_rows_can_be_chosen():
    x, y, _ = blobs(60)
    chosen = np.arange(60) < 6
    fitted = fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=1)], held_out=chosen)
    assert (fitted.held_out == chosen).all()
    none = fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=1)], held_out=0)
    assert not none.held_out.any()
    assert "held_out_loss" not in none.history


def test_an_impossible_target_is_refused_at_fit_and_flagged_when_scored():
    x = torch.linspace(0, 5, 20)[:, None]
    y = x[:, 0].clone()

    def story():
        return LatentSwitch(
            switch=BetaSwitch(),
            clean=NormalLikelihood(nn.Linear(1, 1)),
            anomaly=UniformRange(-1.0, 6.0),
        )

    fitted = fit(story(), (x, y), steps=[Joint(epochs=2, lr=0.05)], held_out=0)
    with pytest.warns(SupportWarning, match="1 targets lie outside"):
        r = responsibilities(fitted, x[:2], torch.tensor([0.0, 99.0]))
    assert r[1] == 1.0
    assert r[0] < 1.0
    y[3] = 99.0
    with pytest.raises(SupportError, match="row 3"):
        fit(story(), (x, y))


GOOD = torch.randn(12, 4), torch.arange(12) % 3


class Endless(IterableDataset):
    def __iter__(self):
        yield from zip(*GOOD, strict=True)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: fit(s, (GOOD[0], GOOD[1][:5])), DataError, "Give one target for each row"),
        (lambda s: fit(s, (GOOD[0], GOOD[1] + 1)), DataError, "0 to 2"),
        (lambda s: fit(s, (GOOD[0], GOOD[1].float())), DataError, "integers"),
        (lambda s: fit(s, (GOOD[0] * torch.nan, GOOD[1])), DataError, "missing .* or infinite"),
        (lambda s: fit(s, (GOOD[0][:1], GOOD[1][:1])), DataError, "at least two"),
        (lambda s: fit(s, GOOD, held_out=1.0), DataError, "share"),
        (lambda s: fit(s, Endless()), DataError, "no length"),
        (lambda s: fit(s, 3), DataError, "this is a int"),
        (lambda s: fit(s, []), DataError, "empty"),
        (lambda s: fit(s, GOOD, weights=np.ones(3)), DataError, "weights have shape"),
        (lambda s: fit(s, GOOD, weights=-np.ones(12)), DataError, "negative"),
        (lambda s: fit(ThreeStates(), GOOD, weights=np.ones(12)), StoryError, "every row once"),
        (lambda s: fit(s, GOOD, steps=[RobustStart()]), StoryError, "location and a scale"),
        (lambda s: RobustStart(share=1.0), DataError, "share"),
        (lambda s: fit(s, GOOD, held_out=np.ones(12, bool)), DataError, "leaves some"),
        (
            lambda s: fit(three_heads(nn.Identity(), 4, 3), GOOD, steps=[CrossFit()]),
            StoryError,
            "LabelFlip",
        ),
        (
            lambda s: fit(robust_line(), (GOOD[0], GOOD[0][:, 0]), steps=[WarmUp()]),
            StoryError,
            "networks to train",
        ),
    ],
)
def test_mistakes_are_named(call, error, says):
    with pytest.raises(error, match=says):
        call(LabelFlip(nn.Linear(4, 3), 3))


def test_a_story_whose_parts_do_not_fit_the_targets_is_refused():
    x, tags = torch.randn(8, FEATURES), torch.randint(2, (8, 8)).float()
    story = LatentSwitch(
        switch=BetaSwitch(),
        clean=BernoulliLikelihood(nn.Linear(FEATURES, 8), multi_label=True),
        anomaly=UniformLabels(2, shape=(8,)),
        dims=("label",),
    )
    with pytest.raises(StoryError, match="The switch conditional has shape"):
        fit(story, (x, tags))
    clean, other = (NormalLikelihood(nn.Linear(FEATURES, 1)) for _ in range(2))
    with pytest.raises(StoryError, match="the same module"):
        LatentSwitch(switch=BetaSwitch(), clean=clean, anomaly=ShiftedNormal(other, shift=3.0))


def test_rows_stay_where_they_are_without_a_gpu_or_room_on_it(monkeypatch):
    rows = as_rows((torch.zeros(4, 2), torch.zeros(4)))
    assert rows.near(torch.device("cpu")) is rows
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    assert rows.near(torch.device("cuda")) is rows
    assert not rows.copies
