"""Starts of rates and flips: anchors and vertices."""

import dataclasses

import numpy as np
import pytest
import torch

from nbam_pyro.inference import Anchors, Vertices
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.verified import NOTHING, Verified


def predictions(matrix, n=900, seed=0, noise=0.05):
    """Predicted probabilities of observed labels near the vertices of a transition matrix."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(len(matrix), size=n)
    probs = rng.dirichlet(np.ones(len(matrix)), n) * noise + (1 - noise) * matrix[truth]
    labels = np.array([rng.choice(len(matrix), p=matrix[c]) for c in truth])
    return (
        Evidence(
            torch.tensor(probs, dtype=torch.float).log(),
            torch.tensor(labels),
            torch.ones(n),
            NOTHING,
        ),
        truth,
    )


def rows_of(counts):
    return (counts / counts.sum(1, keepdim=True)).numpy()


MODERATE = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])


CHAIN = np.array([[0.4, 0.6, 0.0], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("start", [Anchors(), Vertices(), Vertices(restarts=5)])
def test_every_start_finds_moderate_rates(start):
    evidence, _ = predictions(MODERATE)
    assert rows_of(start.counts(evidence, seed=0)) == pytest.approx(MODERATE, abs=0.08)


def test_vertices_find_a_chain_above_one_half_and_anchors_do_not():
    evidence, _ = predictions(CHAIN)
    assert rows_of(Vertices(restarts=5).counts(evidence, seed=0)) == pytest.approx(CHAIN, abs=0.08)
    assert abs(rows_of(Anchors().counts(evidence, seed=0)) - CHAIN).max() > 0.3


def test_verified_rows_name_the_vertices_of_a_mutual_pair():
    pair = np.array([[0.4, 0.6, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    evidence, truth = predictions(pair)
    unaided = rows_of(Vertices(restarts=5).counts(evidence, seed=0))
    assert unaided == pytest.approx(pair[[1, 0, 2]], abs=0.08)
    known = np.where(np.arange(900) < 20, truth, -1)
    verified = Verified.of(evidence.labels, true_label=known)
    told = dataclasses.replace(evidence, verified=verified)
    assert rows_of(Vertices(restarts=5).counts(told, seed=0)) == pytest.approx(pair, abs=0.08)


def test_fewer_rows_than_classes_start_from_anchors():
    evidence = Evidence(
        torch.eye(4)[:2].log_softmax(-1), torch.tensor([0, 1]), torch.ones(2), NOTHING
    )
    assert Vertices().counts(evidence, seed=0).shape == (4, 4)
