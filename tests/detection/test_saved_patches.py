"""Detectors of places in images on disk: they score as before, and what is wrong is refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.neighbors import LocalOutlierFactor

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    MixedDetector,
    PatchDetector,
    load_detector,
    save_detector,
)
from nbam_pyro.detection.file_names import PATCHES
from nbam_pyro.detection.saved_patches import read_patches_report
from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.storage import write_manifest
from tests.detection.test_patches import grids

CELLS = {
    "neighbours": None,
    "mixed": MixedDetector(random_state=0),
    "neural": AnomalyDetector(AutoEncoder, contamination=0.05, epochs=2, random_state=0),
}


class Custom(AutoEncoder):
    """A backbone that is not ours."""


@pytest.mark.parametrize("kind", CELLS)
def test_a_loaded_detector_is_the_one_that_was_saved(kind, tmp_path):
    grid, _ = grids()
    detector = PatchDetector(
        CELLS[kind], components=np.int64(6), contamination=0.1, random_state=0
    ).fit(grid)
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    new, _ = grids(n=20, odd=3, seed=1)
    np.testing.assert_array_equal(again.maps(new), detector.maps(new))
    np.testing.assert_array_equal(again.predict_proba(new), detector.predict_proba(new))
    np.testing.assert_array_equal(again.predict(new), detector.predict(new))
    for name in ("maps_", "decision_scores_", "labels_", "place_", "spread_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(detector, name))
    assert again.grid_shape_ == detector.grid_shape_
    assert again.threshold_ == detector.threshold_
    assert again.verdict_ == detector.verdict_
    assert again.contamination_interval_ == detector.contamination_interval_
    assert again.population_rate_interval_ == detector.population_rate_interval_
    pd.testing.assert_frame_equal(again.report_.rows, detector.report_.rows)
    alone = read_patches_report(tmp_path / "detector")
    pd.testing.assert_frame_equal(alone.rows, detector.report_.rows)
    assert alone.prior.identical(detector.report_.prior)
    assert alone.posterior.identical(detector.report_.posterior)
    save_detector(again, tmp_path / "again")
    third = load_detector(tmp_path / "again")
    np.testing.assert_array_equal(third.maps(new), detector.maps(new))
    # It can be fitted again with the settings it had; seeds are not stored.
    seeds = {"random_state": 0} | ({} if kind == "neighbours" else {"detector__random_state": 0})
    refitted = again.set_params(**seeds).fit(grid)
    np.testing.assert_array_equal(refitted.maps_, detector.maps_)


def test_files(tmp_path):
    grid, _ = grids(n=20)
    save_detector(PatchDetector().fit(grid), tmp_path / "near")
    names = sorted(one.name for one in (tmp_path / "near").iterdir())
    assert names == ["manifest.json", "patches.json", "patches.safetensors"]
    save_detector(PatchDetector(MixedDetector()).fit(grid), tmp_path / "mixed")
    assert sorted(one.name for one in (tmp_path / "mixed" / "cells").iterdir()) == [
        "detector.json",
        "detector.safetensors",
    ]
    with pytest.raises(FolderError, match="exists already"):
        save_detector(PatchDetector().fit(grid), tmp_path / "near")


def test_other_detectors_of_cells_are_refused(tmp_path):
    grid, _ = grids(n=20)
    detector = PatchDetector(LocalOutlierFactor(novelty=True)).fit(grid)
    with pytest.raises(StoryError, match="LocalOutlierFactor, which cannot be saved"):
        save_detector(detector, tmp_path / "detector")
    assert not (tmp_path / "detector").exists()


def test_backbones_that_are_not_ours_are_allowed_by_name(tmp_path):
    grid, _ = grids(n=20)
    inner = AnomalyDetector(Custom, contamination=0.1, epochs=1)
    detector = PatchDetector(inner).fit(grid)
    save_detector(detector, tmp_path / "detector")
    with pytest.raises(StoryError, match="allow="):
        load_detector(tmp_path / "detector")
    again = load_detector(tmp_path / "detector", allow=[f"{__name__}.Custom"])
    np.testing.assert_array_equal(again.maps(grid), detector.maps(grid))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "detector"
    save_detector(PatchDetector().fit(grids(n=12, odd=1)[0]), folder)
    return folder


def signed(folder):
    (folder / "manifest.json").unlink()
    write_manifest(folder)


JSON = {
    "another format": ({"format_version": 0}, "another format"),
    "an even width": ({"settings": {"neighbourhood": 2, "components": 64, "cells": 9,
                                    "contamination": "auto"}}, "neighbourhood"),
    "too many neighbours": ({"nearest": 10_000}, "cannot be run"),
    "no neighbours": ({"nearest": 0}, "damaged or was changed"),
    "another detector": ({"nearest": None}, "detector.json' is missing"),
    "no threshold": ({"threshold_": None}, "damaged or was changed"),
}  # fmt: skip


@pytest.mark.parametrize("case", JSON)
def test_changed_descriptions_are_refused(small, case, tmp_path):
    change, words = JSON[case]
    folder = tmp_path / "detector"
    shutil.copytree(small, folder)
    path = folder / PATCHES[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FolderError, match="was changed after"):
        load_detector(folder)
    signed(folder)
    with pytest.raises(FolderError, match=words):
        load_detector(folder)


TENSORS = (
    "whitening.centre",
    "whitening.matrix",
    "place",
    "spread",
    "maps",
    "cells",
    "responsibility",
    "curve.starts",
)
CHANGES = {
    "cut": lambda tensor: tensor[:-1],
    "flat": lambda tensor: tensor.reshape(1, -1),
    "NaN": lambda tensor: torch.full_like(tensor, torch.nan),
}
# A detector with one cell less is a detector, too.
CASES = [(name, how) for name in TENSORS for how in CHANGES if (name, how) != ("cells", "cut")]


def with_tensors(small, folder, change):
    shutil.copytree(small, folder)
    tensors = load_file(folder / PATCHES[1])
    change(tensors)
    save_file(
        {name: one.contiguous().clone() for name, one in tensors.items()}, folder / PATCHES[1]
    )
    signed(folder)
    return folder


@pytest.mark.parametrize(("name", "how"), CASES)
def test_changed_tensors_are_refused(small, name, how, tmp_path):
    change = CHANGES[how]
    folder = with_tensors(
        small, tmp_path / "a", lambda all_: all_.update({name: change(all_[name])})
    )
    with pytest.raises(FolderError):
        load_detector(folder)


@pytest.mark.parametrize("name", TENSORS)
def test_missing_tensors_are_refused(small, name, tmp_path):
    folder = with_tensors(small, tmp_path / "a", lambda tensors: tensors.pop(name))
    with pytest.raises(FolderError, match=f"no tensor '{name}'"):
        load_detector(folder)
