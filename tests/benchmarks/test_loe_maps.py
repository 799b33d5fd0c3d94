"""Textures with pasted defects, and figures of maps."""

import numpy as np
from torch import nn

from benchmarks.benchmark import Case
from benchmarks.detection import loe_maps
from benchmarks.detection.textures import textures


def test_textures_and_their_figures():
    small = np.random.default_rng(0).random((5, 1, 28, 28))
    made = textures(small, share=0.25, seed=1, train=8, new=4)
    assert made.images.shape == (12, 3, 128, 128)
    np.testing.assert_array_equal(
        made.defects.any((1, 2)), [True] * 2 + [False] * 6 + [False] * 2 + [True] * 2
    )
    np.testing.assert_array_equal(
        textures(small, share=0.25, seed=1, train=8).images[:8], made.images[:8]
    )
    case = Case(data="x", method="neighbours", seed=1)
    (row,) = loe_maps._rows([case], made, nn.Conv2d(3, 4, 16, stride=8))
    assert 0 <= row.figures["pixel_auc"] <= 1
    assert row.figures["new_image_auc"] is not None


def test_scores_of_a_perfect_map():
    defects = np.zeros((2, 32, 32), dtype=bool)
    defects[0, 8:16, 8:16] = True
    found = loe_maps.scores_of(defects[:, ::8, ::8].astype(float), defects)
    assert found["image_auc"] == 1
    assert found["pixel_auc"] > 0.98
    none = loe_maps.scores_of(np.ones((2, 4, 4)), np.zeros((2, 32, 32), dtype=bool))
    assert none == {"pixel_auc": None, "image_auc": None}
