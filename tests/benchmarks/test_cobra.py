"""The benchmark of Cobra, on a few small images."""

import json

import numpy as np
import pytest
import typer

from benchmarks.detection import cobra
from benchmarks.detection.cobra import Sizes

from .running import exit_code


@pytest.fixture(autouse=True)
def _images(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (200, 1, 10, 10)).astype(np.uint8)
    classes = np.arange(200) % 10
    images[classes == 9, :, 2:5] += 150
    monkeypatch.setattr(cobra, "_images", lambda _: (images, classes, images, classes))


def run(tmp_path, *further):
    file = tmp_path / "rows.json"
    small = ("--rows", 16, "--epochs", 1, "--steps", 2, "--starts", 1, "--test", 8, "--seeds", 1)
    given = ("--data-root", tmp_path, "--classes", 9, "--trained-steps", 1, "--json", file)
    assert exit_code("run", "cobra", *given, *small, *further) == 0
    return json.loads(file.read_text())


def test_every_method_has_a_row_for_each_eps(tmp_path):
    rows = run(tmp_path, "--eps", "16,0", "--methods", "none,cobra-cls")
    assert [(row["method"], row["eps"]) for row in rows] == [
        (method, eps) for method in ("none", "cobra-cls") for eps in (0, 16)
    ]
    for row in rows:
        assert 0 <= row["auroc"] <= 1
        assert row["class"] == 9
        assert row["seed"] == 0
    for clean, attacked in zip(rows[::2], rows[1::2], strict=True):
        assert (clean["eps"], attacked["eps"]) == (0, 16)
        assert attacked["auroc"] <= clean["auroc"]


def test_assignments_are_compared_on_contaminated_images(tmp_path):
    rows = run(tmp_path, "--eps", "8", "--contamination", 0.25, "--methods", "blind,soft")
    assert [row["method"] for row in rows] == ["blind", "soft"]
    assert {row["contamination"] for row in rows} == {0.25}


def test_sizes_are_numbers_of_pixels():
    assert Sizes.of("0,16") == (0.0, 16.0)
    for wrong in ("a", "-1", "300"):
        with pytest.raises(typer.BadParameter):
            Sizes.of(wrong)
