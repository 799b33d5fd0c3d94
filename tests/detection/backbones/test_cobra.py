"""Cobra: its losses, its hook, its bank, and detectors that use it."""

from functools import partial

import numpy as np
import pytest
import torch

from nbam_pyro.detection import (
    AnomalyDetector,
    Blind,
    Cobra,
    Exact,
    Hard,
    Refine,
    Soft,
    load_detector,
    save_detector,
)
from nbam_pyro.detection.attacks import attacked_auc
from nbam_pyro.detection.contrast.bank import Bank
from nbam_pyro.detection.contrast.opposite_pairs import contrast_energies
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.testing import check_backbone
from nbam_pyro.training.contexts import seeded
from nbam_pyro.training.rows import Batch

FORMS = [
    {},
    {"eps": 0.0},
    {"contrast": "plain", "classification": False},
    {"contrast": "supervised", "nearest": 2},
    {"contrast": None, "log_odds": 0.5},
]
SMALL = {"width": 4, "steps": 2, "bank": 30}


def pictures(count=40, odd=8, channels=1, seed=0):
    """Images of a bright bar near the top; the last ones have it at the right."""
    images = 0.2 * np.random.default_rng(seed).random((count, channels, 12, 12))
    images[: count - odd, :, 2:5, 1:11] += 0.6
    images[count - odd :, :, 1:11, 8:11] += 0.6
    return images.astype(np.float32), np.arange(count) >= count - odd


def fitted(x, *, assignment=None, contamination=0.0, members=1, epochs=2, **settings):
    return AnomalyDetector(
        partial(Cobra, **(SMALL | settings)),
        assignment=assignment or Blind(),
        contamination=contamination,
        members=members,
        epochs=epochs,
        lr=3e-3,
        batch_size=20,
        random_state=0,
    ).fit(x)


@pytest.mark.parametrize("settings", FORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_contract_is_kept(settings, channels):
    check_backbone(partial(Cobra, **(SMALL | settings)), torch.rand(8, channels, 9, 10))


def views_of(backbone, images):
    with seeded(0):
        backbone.start(backbone.rows(images))
        hook = backbone.hook()
        rows = images.transpose(0, 1)
        return hook(Batch(rows, torch.arange(len(rows)), torch.ones(len(rows))), None)


def test_the_hook_makes_views_inside_of_the_ball():
    images = torch.as_tensor(pictures()[0])[None]
    batch = views_of(Cobra(1, members=2, eps=0.1, **SMALL), images)
    views = batch.x
    assert views.shape[1:] == (2, 4, 2, 1, 12, 12)
    assert len(views) == len(batch.y) == len(batch.weights) > 1
    assert views.min() >= 0
    assert views.max() <= 1
    # Copies of the first view for the contrast, and of the second for the classifier.
    for copy, view in ((2, 0), (3, 1)):
        moved = (views[:, :, copy] - views[:, :, view]).abs()
        assert 0.02 < moved.max() <= 0.1 + 1e-6
    # Each member has its own copies.
    assert torch.equal(views[:, 0, :2], views[:, 1, :2])
    assert not torch.equal(views[:, 0, 2:], views[:, 1, 2:])
    assert views_of(Cobra(1, eps=0.0, **SMALL), images).x.shape[1:] == (1, 2, 2, 1, 12, 12)


def test_the_attacker_raises_the_loss_and_leaves_no_gradients():
    images = torch.as_tensor(pictures()[0])[None]
    torch.manual_seed(0)
    backbone = Cobra(1, eps=0.1, **(SMALL | {"steps": 10}))
    views = views_of(backbone, images).x.transpose(0, 1)
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert backbone.training
    backbone.eval()
    with torch.no_grad():
        first, second, contrast, classifier = views.unbind(2)
        still = backbone.losses(first, second, second)
        assert backbone.losses(contrast, second, second) > still
        assert backbone.losses(first, classifier, second) > still


def test_rows_without_a_pseudo_anomaly_are_left_out():
    images = torch.as_tensor(pictures()[0])[None]
    backbone = Cobra(1, eps=0.0, **SMALL)
    backbone.start(images)
    backbone._filter[0].test.limit.fill_(torch.inf)
    hook = backbone.hook()
    rows = images.transpose(0, 1)
    batch = Batch(rows, torch.arange(len(rows)), torch.ones(len(rows)))
    assert len(hook(batch, None).x) == len(rows)  # nothing would be left
    backbone._filter[0].test.forward = lambda features: features[:, 0] > features[:, 0].median()
    assert len(hook(batch, None).x) > 1


def test_the_mean_energy_of_views_is_the_published_loss():
    torch.manual_seed(0)
    backbone = Cobra(1, eps=0.0, significance=1.0, **SMALL).double().eval()
    views = torch.rand(1, 6, 2, 2, 1, 9, 9, dtype=torch.double)
    found = backbone.energies(views).clean.mean()
    member = backbone.parts[0]
    z = torch.stack([member.embed(views[0, :, k].transpose(0, 1)) for k in range(2)])
    expected = contrast_energies(z, form="opposite", temperature=0.5)[0].mean()
    logits = member.logits(member.encoder(views[0].movedim(0, 2).flatten(0, 2)))
    classes = torch.tensor([0, 1, 0, 1]).repeat_interleave(6)
    expected = expected + torch.nn.functional.cross_entropy(logits, classes)
    assert torch.allclose(found, expected, atol=1e-9)


def test_a_row_is_not_its_own_nearest_row():
    bank = Bank(1, 5, 2)
    bank.fill(0, torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
    z = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert bank(z, nearest=1)[0].tolist() == pytest.approx([0.6, 0.8])
    assert bank(z, nearest=None)[0].tolist() == pytest.approx([0.8, 0.4])
    assert bank.filled.tolist() == [2]


@pytest.mark.parametrize("assignment", [Blind(), Refine(), Hard(), Soft()])
def test_detectors_are_saved_with_their_bank(assignment, tmp_path):
    x, _ = pictures(channels=3)
    detector = fitted(x, assignment=assignment, contamination=0.2, members=2)
    assert np.ptp(detector.decision_scores_) > 0
    assert np.allclose(detector.decision_function(x), detector.decision_scores_)
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    assert np.array_equal(again.decision_function(x), detector.decision_function(x))
    assert torch.equal(again.backbone_.embeddings.rows, detector.backbone_.embeddings.rows)
    same = fitted(x, assignment=assignment, contamination=0.2, members=2)
    assert np.array_equal(same.decision_scores_, detector.decision_scores_)


@pytest.mark.parametrize("assignment", [Refine(), Hard(), Soft()])
def test_suspected_rows_are_not_in_the_bank(assignment):
    x, _ = pictures()
    detector = fitted(x, assignment=assignment, contamination=0.2, bank=100)
    assert detector.backbone_.embeddings.filled.tolist() == [32]
    blind = fitted(x, contamination=0.2, bank=100)
    assert blind.backbone_.embeddings.filled.tolist() == [40]


def test_verified_anomalies_are_not_in_the_bank():
    x, odd = pictures()
    detector = AnomalyDetector(
        partial(Cobra, **(SMALL | {"bank": 100})),
        assignment=Blind(label_weight=2.0),
        contamination=0.2,
        members=1,
        epochs=1,
        random_state=0,
    ).fit(x, verified=np.where(odd, 1, np.where(np.arange(40) < 5, 0, -1)))
    assert detector.backbone_.embeddings.filled.tolist() == [32]


def test_a_detector_can_be_attacked():
    x, _ = pictures(odd=0)
    test, odd = pictures(seed=1)
    detector = fitted(x, epochs=4, nearest=1)
    report = attacked_auc(
        detector, test, odd, eps=[4 / 255, 64 / 255], bounds=(0, 1), steps=4, queries=10, checked=20
    )
    assert report.by_gradients
    assert report.clean_auroc >= report.auroc[0] >= report.auroc[1]
    with pytest.raises(DataError, match=r"give bounds=\(0, 1\)"):
        attacked_auc(detector, test, odd, eps=[0.5], steps=4)


def test_exact_needs_densities():
    with pytest.raises(StoryError, match="Exact needs energies"):
        fitted(pictures()[0], assignment=Exact(), contamination=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrast": "other"}, "contrast is 'other'"),
        ({"contrast": None, "classification": False}, "There is no loss"),
        ({"eps": 1.0}, "eps is 1.0"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"steps": 0}, "steps is 0"),
        ({"nearest": 0}, "nearest is 0"),
        ({"bank": 1}, "bank is 1"),
        ({"temperature": 0.0}, "temperature"),
        ({"significance": 0.0}, "significance is 0.0"),
        ({"crop": 2.0}, "crop is 2.0"),
        ({"log_odds": -1.0}, "log_odds is -1.0"),
        ({"log_odds": 1.0, "classification": False}, "log_odds needs the classifier"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Cobra(1, **settings)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((10, 1, 9, 9), 200.0), "Divide bytes by 255"),
        (np.random.default_rng(0).random((10, 1, 6, 9)), "sides of 8 pixels"),
        (np.random.default_rng(0).random((10, 9)), "takes rows of 3 dimensions"),
    ],
)
def test_bad_images_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        fitted(x)
