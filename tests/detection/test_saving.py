"""Detectors on disk: they score as before, and what is not theirs is refused."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from torch import nn

import nbam_pyro.detection
from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    DeepSVDD,
    Exact,
    GaussianMixture,
    Hard,
    InternalContrast,
    NeuralTransformations,
    Rotations,
    Soft,
    load_detector,
    save_detector,
)
from nbam_pyro.detection.file_names import ROWS
from nbam_pyro.detection.saved_rows import read_rows_report
from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.storage import write_manifest

CASES = {
    "auto": {"backbone": NeuralTransformations},
    "settings": {
        "backbone": partial(InternalContrast, width=8),
        "contamination": 0.1,
        "assignment": Hard(label_weight=2.0),
    },
    "window": {"backbone": InternalContrast, "contamination": 0.1},
    "exact": {"backbone": GaussianMixture, "assignment": Exact()},
    "svdd": {"backbone": DeepSVDD, "contamination": 0.1, "scale": None},
    "ae": {"backbone": AutoEncoder, "contamination": 0.2},
}


class Custom(AutoEncoder):
    """A backbone that is not ours."""


class Half(Soft):
    """An assignment that is not ours."""


class Layered(AutoEncoder):
    """A backbone that takes a module."""

    def __init__(self, inputs, *, members=1, layer):
        super().__init__(inputs, members=members)
        self.layer = layer

    def energies(self, x):
        return super().energies(self.layer(x))


@pytest.fixture
def rows():
    x = np.random.default_rng(0).normal(size=(60, 4))
    return pd.DataFrame(x, columns=list("abcd"))


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_detector_is_the_one_that_was_saved(case, rows, tmp_path):
    detector = AnomalyDetector(epochs=2, random_state=0, **CASES[case]).fit(rows)
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    np.testing.assert_array_equal(again.decision_function(rows), detector.decision_function(rows))
    np.testing.assert_array_equal(again.predict_proba(rows), detector.predict_proba(rows))
    np.testing.assert_array_equal(again.labels_, detector.labels_)
    assert again.contamination_ == detector.contamination_
    assert repr(again.assignment) == repr(detector.assignment)
    assert again.history_ == detector.history_
    assert again.verdict_ == detector.verdict_
    assert again.contamination_interval_ == detector.contamination_interval_
    assert again.population_rate_interval_ == detector.population_rate_interval_
    pd.testing.assert_frame_equal(again.report_.rows, detector.report_.rows)
    alone = read_rows_report(tmp_path / "detector")
    pd.testing.assert_frame_equal(alone.rows, detector.report_.rows)
    assert alone.prior.identical(detector.report_.prior)
    assert alone.posterior.identical(detector.report_.posterior)
    with pytest.raises(FolderError, match="exists already"):
        save_detector(detector, tmp_path / "detector")
    save_detector(again, tmp_path / "detector", overwrite=True)
    # It can be trained again with the settings it had.
    retrained = again.set_params(random_state=0).fit(rows)
    np.testing.assert_array_equal(retrained.decision_scores_, detector.decision_scores_)


def test_images(tmp_path):
    images = np.random.default_rng(0).random((10, 1, 8, 8)).astype(np.float32)
    detector = AnomalyDetector(
        partial(Rotations, width=4), contamination=0.1, epochs=1, members=1, random_state=0
    ).fit(images)
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    np.testing.assert_array_equal(
        again.decision_function(images), detector.decision_function(images)
    )


def test_classes_that_are_not_ours_are_allowed_by_name(rows, tmp_path):
    detector = AnomalyDetector(Custom, contamination=0.1, epochs=1).fit(rows)
    save_detector(detector, tmp_path / "detector")
    with pytest.raises(StoryError, match="allow="):
        load_detector(tmp_path / "detector")
    again = load_detector(tmp_path / "detector", allow=[f"{__name__}.Custom"])
    assert isinstance(again.backbone_, Custom)


def test_assignments_and_modules_of_backbones_that_are_not_ours(rows, tmp_path):
    detector = AnomalyDetector(
        partial(Layered, layer=nn.Linear(4, 4)),
        assignment=Half(label_weight=2.0),
        contamination=0.1,
        epochs=2,
        members=np.int64(2),
    ).fit(rows)
    save_detector(detector, tmp_path / "detector")
    with pytest.raises(StoryError, match="allow="):
        load_detector(tmp_path / "detector", allow=[f"{__name__}.Layered"])
    again = load_detector(tmp_path / "detector", allow=[__name__])
    assert repr(again.assignment) == "Half(label_weight=2.0)"
    np.testing.assert_array_equal(again.decision_function(rows), detector.decision_function(rows))
    assert again.fit(rows).backbone_.layer.weight.shape == (4, 4)


def test_settings_that_follow_from_the_data_follow_from_new_data(rows, tmp_path):
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=1).fit(rows)
    save_detector(detector, tmp_path / "detector")
    wide = np.random.default_rng(0).normal(size=(30, 40))
    again = load_detector(tmp_path / "detector").fit(wide)
    assert again.backbone_.encoder[-1].weight.shape[-1] == 10


def test_a_detector_that_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save_detector(AnomalyDetector(AutoEncoder), tmp_path / "detector")


def test_what_was_changed_is_refused(rows, tmp_path):
    folder = tmp_path / "detector"
    save_detector(AnomalyDetector(AutoEncoder, contamination=0.1, epochs=1).fit(rows), folder)
    path = folder / ROWS[0]
    model = json.loads(path.read_text())
    for change, error, words in (
        ({"format_version": 0}, FolderError, "another format"),
        ({"settings": None}, FolderError, "is damaged or was changed"),
        ({"backbone": {"class": "os.system", "arguments": {}}}, StoryError, "neither a class"),
        ({"backbone": model["backbone"] | {"class": "torch.nn.Linear"}},
         StoryError, "cannot be built"),
    ):  # fmt: skip
        path.write_text(json.dumps(model | change))
        with pytest.raises(FolderError, match="changed"):
            load_detector(folder)
        (folder / "manifest.json").unlink()
        write_manifest(folder)
        with pytest.raises(error, match=words):
            load_detector(folder)


@pytest.mark.parametrize("case", CASES)
def test_classes_that_a_saved_detector_names_are_public(case, rows, tmp_path):
    detector = AnomalyDetector(epochs=1, random_state=0, **CASES[case]).fit(rows)
    save_detector(detector, tmp_path / "detector")
    saved = json.loads((tmp_path / "detector" / ROWS[0]).read_text())
    for part in (saved["backbone"], saved["assignment"]):
        if part is not None:
            assert hasattr(nbam_pyro.detection, part["class"].rpartition(".")[2])
