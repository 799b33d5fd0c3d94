"""Posteriors of labels by products of matrices, and row by row."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, Verified
from nbam_pyro.inference.posterior import label_posteriors as module
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.label_posteriors import label_posteriors
from nbam_pyro.inference.posterior.trust import NetworkTrust
from nbam_pyro.verified import NOTHING

K, S = 4, 30


def explained(*, all_right=0.2, difficulty=0.0, mean=None):
    generator = torch.Generator().manual_seed(0)
    latents = {
        "rate": torch.rand(S, K, generator=generator) / 2,
        "flip": torch.rand(S, K, K - 1, generator=generator).softmax(-1),
    }
    trust = NetworkTrust(
        mean=torch.full((K,), 1 / K) if mean is None else mean,
        sharpness=np.array([0.5, 1.0, 2.0]),
        difficulty=np.array([0.0, 0.0, difficulty]),
        weight=(1 - all_right) * np.array([0.3, 0.3, 0.4]),
        all_right=all_right,
        rate_shift=torch.randn(3, K, generator=generator),
        flip_shift=torch.randn(3, K, K - 1, generator=generator),
    )
    return latents, trust.draws(latents)


def row_by_row(monkeypatch, *args, **options):
    with monkeypatch.context() as patched:
        impossible = lambda story, log_f, *a, **o: module.Sums(  # noqa: E731
            torch.full_like(log_f, torch.nan),
            torch.zeros(len(log_f)),
            module.Drawn(torch.zeros(S, len(log_f)), torch.zeros(S, len(log_f))),
        )
        patched.setattr(module, "sums_by_label", impossible)
        patched.setattr(module, "_ENTRIES", 3 * S * K)
        return label_posteriors(*args, **options)


@pytest.mark.parametrize("some_verified", [False, True])
@pytest.mark.parametrize("all_right", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("drawn", [False, True])
def test_both_ways_agree(monkeypatch, some_verified, all_right, drawn):
    x, y = 3 * torch.randn(50, K), torch.arange(50) % (K - 1)  # one class has no row
    verified = NOTHING
    if some_verified:
        true_label = torch.full((50,), -1)
        true_label[[3, 9]] = torch.tensor([int(y[3]), 1])
        verified = Verified.of(y, true_label=true_label)
    latents, read = explained(all_right=all_right)
    args = LabelFlip(nn.Identity(), K), Scored(x, y, verified), latents, read
    fast, slow = label_posteriors(*args, drawn=drawn), row_by_row(monkeypatch, *args, drawn=drawn)
    for one, other in zip(fast[:3], slow[:3], strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-4)
    assert (fast.drawn is not None) == drawn
    if drawn:
        for one, other in zip(fast.drawn, slow.drawn, strict=True):
            torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-4)
        torch.testing.assert_close(fast.drawn.responsibility.mean(0), fast.responsibility)
    torch.testing.assert_close(fast.true_label.sum(-1), torch.ones(50))


def test_a_label_that_is_nearly_impossible_is_computed_row_by_row(monkeypatch):
    x = torch.tensor([[0.0, -300.0, -300.0, -300.0]])
    latents, read = explained(all_right=0.0, mean=torch.tensor([1.0, 0.0, 0.0, 0.0]))
    read.latents["flip"] = torch.full((S, K, K - 1), 1e-38)
    read.latents["rate"].fill_(1e-20)
    args = LabelFlip(nn.Identity(), K), Scored(x, torch.tensor([2])), latents, read
    fast, slow = label_posteriors(*args), row_by_row(monkeypatch, *args)
    torch.testing.assert_close(fast.true_label, slow.true_label)
    assert fast.true_label.isfinite().all()


def test_difficulty_is_computed_row_by_row(monkeypatch):
    x, y = torch.randn(20, K), torch.arange(20) % K
    latents, read = explained(difficulty=1.0)
    args = LabelFlip(nn.Identity(), K), Scored(x, y), latents, read
    fast, slow = label_posteriors(*args, drawn=True), row_by_row(monkeypatch, *args, drawn=True)
    torch.testing.assert_close(fast.true_label, slow.true_label)
    torch.testing.assert_close(fast.drawn.prior, slow.drawn.prior)
