"""The losses of the label-noise baselines by their formulas."""

import pytest
import torch
from torch import nn

from benchmarks.label_noise import losses


def logits_and_labels(n=7, k=4):
    return torch.randn(n, k, dtype=torch.float64), torch.randint(k, (n,))


def test_gce_lies_between_cross_entropy_and_mae():
    logits, labels = logits_and_labels()
    nearly_zero = losses.gce(logits, labels, q=1e-9)
    torch.testing.assert_close(nearly_zero, losses.cross_entropy(logits, labels))
    torch.testing.assert_close(losses.gce(logits, labels, q=1.0), losses.mae(logits, labels))


def test_formulas():
    logits, labels = logits_and_labels()
    p = logits.softmax(-1)
    one_hot = nn.functional.one_hot(labels, 4).double()
    p_y = (p * one_hot).sum(-1)
    reverse = -(p * one_hot.clamp_min(1e-4).log()).sum(-1)
    normalised = p_y.log() / p.log().sum(-1)
    expected = {
        "mae": 0.5 * (one_hot - p).abs().sum(-1),
        "gce": (1 - p_y**0.7) / 0.7,
        "sce": -0.1 * p_y.log() + reverse,
        "nce_rce": normalised + reverse,
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(losses, name)(logits, labels), value)


def test_forward_correction_is_the_likelihood_of_the_observed_label():
    logits, labels = logits_and_labels()
    matrix = torch.rand(4, 4, dtype=torch.float64).softmax(-1)
    observed = logits.softmax(-1) @ matrix
    value = losses.forward_correction(logits, labels, matrix)
    torch.testing.assert_close(value, -observed[range(7), labels].log())
    certain = losses.forward_correction(logits, labels, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(certain, losses.cross_entropy(logits, labels), rtol=1e-5, atol=0)


def test_anchor_matrix_skips_the_most_certain_rows():
    p = torch.rand(101, 3)
    p = p / p.sum(-1, keepdim=True)
    matrix = losses.anchor_matrix(p)
    assert (p > matrix.diagonal()).sum(0).tolist() == [3, 3, 3]
    torch.testing.assert_close(matrix.sum(-1), torch.ones(3))
    top = losses.anchor_matrix(p, percentile=1.0)
    torch.testing.assert_close(top.diagonal(), p.max(0).values)


def test_noise_layer_starts_near_cross_entropy_and_learns_the_flips():
    torch.manual_seed(0)
    truth = torch.arange(2000) % 2
    labels = torch.where((torch.rand(2000) < 0.3) & (truth == 0), 1, truth)
    logits = 20.0 * nn.functional.one_hot(truth, 2)
    layer = losses.NoiseLayer(2)
    torch.testing.assert_close(layer.rate_logits.sigmoid(), torch.full((2,), 0.1))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        layer(logits, labels, torch.arange(2000)).backward()
        optimiser.step()
    share = (labels != truth)[truth == 0].float().mean().item()
    assert layer.rate_logits.sigmoid().tolist() == pytest.approx([share, 0.0], abs=0.02)


def test_early_learning_keeps_targets_by_row():
    logits, labels = logits_and_labels()
    loss = losses.EarlyLearning(10, 4).double()
    rows = torch.tensor([9, 1, 2, 3, 4, 5, 6])
    p = logits.softmax(-1).clamp(1e-4, 1 - 1e-4)
    target = torch.zeros_like(p)
    for _ in range(2):
        target = 0.7 * target + 0.3 * p / p.sum(-1, keepdim=True)
        regulariser = (1 - (target * p).sum(-1)).log().mean()
        expected = losses.cross_entropy(logits, labels).mean() + 3 * regulariser
        torch.testing.assert_close(loss(logits, labels, rows), expected)
    torch.testing.assert_close(loss.targets[rows], target)
    assert not loss.targets[[0, 7, 8]].any()


def test_early_learning_does_not_differentiate_its_targets():
    logits, labels = logits_and_labels()
    logits.requires_grad_()
    loss = losses.EarlyLearning(7, 4).double()
    loss(logits, labels, torch.arange(7)).backward()
    assert not loss.targets.requires_grad
    assert logits.grad.isfinite().all()


def test_weights_count_rows():
    logits, labels = logits_and_labels()
    weights = torch.tensor([2.0, *[0.0] * 6], dtype=torch.float64)
    value = losses.Weighted(weights)(logits, labels, torch.arange(7))
    torch.testing.assert_close(value, 2 * losses.cross_entropy(logits, labels)[0] / 7)
