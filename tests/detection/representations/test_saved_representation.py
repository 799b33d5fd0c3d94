"""Representations on disk: they score as before, and files that were changed are refused."""

import json
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nbam_pyro.detection import Blind, Soft, load_detector, save_detector
from nbam_pyro.detection.file_names import ROWS
from nbam_pyro.detection.representations import Independence, Representation, perceptron
from nbam_pyro.errors import DataError, FolderError, NBAMError, StoryError
from nbam_pyro.storage import write_manifest

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NuisanceWarning")

LINEAR = partial(perceptron, widths=[3])
CASES = {
    "erased": {},
    "critic": {"removal": Independence(steps=1, warm_up=2), "assignment": Blind()},
    "nothing": {
        "removal": None,
        "weighted": False,
        "score": "max_logit",
        "contamination": 0.1,
        "assignment": Soft(),
    },
    "density": {"score": "density", "wrong_labels": True},
}


class Custom(nn.Module):
    """An encoder that is not ours."""

    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs
        self.layer = nn.Linear(inputs, 3)

    def forward(self, x):
        return self.layer(x)


def rows(*, kinds=("ant", "bee"), count=400):
    rng = np.random.default_rng(0)
    y = rng.integers(0, len(kinds), count)
    u = np.where(rng.random(count) < 0.8, y % 2, 1 - y % 2)
    x = np.c_[4 * y, 6 * u, 0 * u, 0 * u] + rng.normal(size=(count, 4))
    return pd.DataFrame(x, columns=list("abcd")), np.array(kinds)[y], u


def fitted(**settings):
    x, y, u = rows()
    given = {"epochs": 3, "lr": 0.01, "random_state": 0} | settings
    return Representation(given.pop("encoder", LINEAR), **given).fit(x, y, nuisance=u)


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_detector_is_the_one_that_was_saved(case, tmp_path):
    x, y, u = rows()
    detector = fitted(**CASES[case])
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    for method in ("decision_function", "predict", "predict_proba", "transform", "classify"):
        np.testing.assert_array_equal(getattr(again, method)(x), getattr(detector, method)(x))
    for one, other in zip(again.energies(x), detector.energies(x), strict=True):
        assert torch.equal(one, other)
    np.testing.assert_array_equal(again.decision_scores_, detector.decision_scores_)
    for name in ("probe_", "accuracy_", "verdict_", "threshold_", "removal"):
        assert getattr(again, name) == getattr(detector, name)
    for name in ("rate", "history"):
        assert getattr(again.learned_, name) == getattr(detector.learned_, name)
    assert str(again.learned_.erased) == str(detector.learned_.erased)
    if detector.wrong_labels:
        np.testing.assert_array_equal(again.learned_.transition, detector.learned_.transition)
    for name in ("weights_", "assignment"):
        assert str(getattr(again, name)) == str(getattr(detector, name))
    if detector.weights_ is not None:
        pd.testing.assert_frame_equal(again.weights_.balance, detector.weights_.balance)
        np.testing.assert_array_equal(again.weights_.values, detector.weights_.values)
    pd.testing.assert_frame_equal(again.report_.rows, detector.report_.rows)
    save_detector(again, tmp_path / "again")
    # It can be fitted again with the settings that it had.
    refitted = again.set_params(random_state=0).fit(x, y, nuisance=u)
    assert refitted.decision_function(x).shape == (len(x),)
    with pytest.raises(DataError, match="takes 4"):
        again.fit(x[["a", "b", "c"]], y, nuisance=u)


@pytest.mark.parametrize("kinds", [(3, 1, 2), (0.5, 1.5, 2.5), (False, True)])
def test_names_of_classes_keep_their_type(kinds, tmp_path):
    x, y, u = rows(kinds=kinds, count=600)
    detector = Representation(LINEAR, epochs=1, random_state=0, removal=None).fit(x, y, nuisance=u)
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    assert again.classes_.tolist() == sorted(kinds)
    assert again.classify(x).dtype == detector.classify(x).dtype
    np.testing.assert_array_equal(again.classify(x), detector.classify(x))


def test_encoders_that_are_not_ours_are_allowed_by_name(tmp_path):
    detector = fitted(encoder=Custom)
    save_detector(detector, tmp_path / "detector")
    with pytest.raises(StoryError, match="allow="):
        load_detector(tmp_path / "detector")
    again = load_detector(tmp_path / "detector", allow=[f"{__name__}.Custom"])
    x, *_ = rows()
    np.testing.assert_array_equal(again.decision_function(x), detector.decision_function(x))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "detector"
    save_detector(fitted(), folder)
    return folder


def signed(folder):
    (folder / "manifest.json").unlink()
    write_manifest(folder)


def changed(part, **entries):
    return lambda model: model | {part: model[part] | entries}


JSON = {
    "no encoder": changed("representation", encoder={"class": "os.system", "arguments": {}}),
    "another class": changed(
        "representation", encoder={"class": "nbam_pyro.detection.Blind", "arguments": {}}
    ),
    "another layer": changed(
        "representation",
        encoder={"class": "torch.nn.Linear", "arguments": {"in_features": 4, "out_features": 9}},
    ),
    "another removal": changed(
        "representation", removal={"class": "nbam_pyro.detection.Blind", "arguments": {}}
    ),
    "no removal": changed("representation", removal=None),
    "no erasure": changed("representation", erased=None),
    "no weights": changed("representation", weights=None),
    "one class": changed("representation", classes=["ant"]),
    "equal classes": changed("representation", classes=["ant", "ant"]),
    "a rate": changed("representation", rate=2.0),
    "a score": changed("settings", score="none"),
    "other settings": lambda model: model | {"settings": {"contamination": "auto"}},
    "no part": lambda model: model | {"representation": None},
    "features": changed("fitted", n_features_in_=3),
}


@pytest.mark.parametrize("case", JSON)
def test_changed_descriptions_are_refused(saved, case, tmp_path):
    folder = tmp_path / "detector"
    shutil.copytree(saved, folder)
    path = folder / ROWS[0]
    path.write_text(json.dumps(JSON[case](json.loads(path.read_text()))))
    with pytest.raises(FolderError, match="was changed"):
        load_detector(folder)
    signed(folder)
    with pytest.raises(NBAMError):
        load_detector(folder)


TENSORS = [
    "encoder.0.weight", "grain", "shares", "classifier.coef", "classifier.intercept",
    "within.origin", "within.unit", "within.means", "within.directions", "within.variance",
    "broad.means", "broad.variance", "erased.origin", "erased.matrix", "weights", "scores",
]  # fmt: skip
CHANGES = {
    "cut": lambda tensor: tensor[:-1],
    "more": lambda tensor: torch.cat([tensor, tensor]),
    "NaN": lambda tensor: torch.full_like(tensor, torch.nan),
}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("how", [*CHANGES, "missing"])
def test_changed_tensors_are_refused(saved, name, how, tmp_path):
    folder = tmp_path / "detector"
    shutil.copytree(saved, folder)
    tensors = load_file(folder / ROWS[1])
    if how == "missing":
        del tensors[name]
    else:
        tensors[name] = CHANGES[how](tensors[name])
    save_file({key: one.contiguous().clone() for key, one in tensors.items()}, folder / ROWS[1])
    signed(folder)
    with pytest.raises(NBAMError):
        load_detector(folder)
