"""What is saved is what is loaded, and nothing else is."""

import dataclasses
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from pyro.infer.autoguide import AutoLowRankMultivariateNormal
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, fit, load, responsibilities, save
from nbam_pyro.detection import load_detector
from nbam_pyro.errors import CannotTellWarning, FolderError, NBAMError, StoryError
from nbam_pyro.inference import Joint, default_steps, predict
from nbam_pyro.models import mlp, resnet18, small_cnn
from nbam_pyro.storage import write_manifest
from nbam_pyro.storage.description import build, describe
from nbam_pyro.storage.tensors import read_tensors, write_tensors
from tests.cases import ALL_STORIES, ThreeStates
from tests.rows import FEATURES

untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@untrained
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_a_loaded_fit_scores_bit_for_bit_the_same(name, double, tmp_path):
    make, data = ALL_STORIES[name]
    x, y = data(20)
    fitted = fit(make(), (x, y), steps=[Joint(epochs=1)])
    if double:
        fitted.story.double()
        fitted.guide.double()
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit", allow=["tests.cases"])
    assert np.array_equal(responsibilities(again, x, y), responsibilities(fitted, x, y))
    assert np.array_equal(again.held_out, fitted.held_out)
    assert again.kind == fitted.kind
    assert again.collapse == fitted.collapse
    assert again.verdict == fitted.verdict
    assert again.training_rows.share == fitted.training_rows.share
    assert again.training_rows.population_rate == fitted.training_rows.population_rate
    assert again.history.equals(fitted.history)


@untrained
@pytest.mark.parametrize("class_prior", [None, 50])
def test_what_was_supposed_of_classes_is_saved(class_prior, tmp_path):
    x, y = torch.randn(60, FEATURES), torch.arange(60) % 3
    story = LabelFlip(mlp(FEATURES, 3), 3)
    fitted = fit(story, (x, y), steps=default_steps(story, epochs=4, class_prior=class_prior))
    assert fitted.label_evidence.class_prior == class_prior
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert again.label_evidence == fitted.label_evidence
    assert again.verdict == fitted.verdict
    assert ("(Dirichlet, 50 for" in str(again.verdict)) == (class_prior is not None)


@pytest.mark.parametrize("make", [lambda: mlp(4, 3), lambda: small_cnn(1, 3)])
def test_networks_are_described(make):
    network = make()
    again = build(json.loads(json.dumps(describe(network))))
    assert repr(again) == repr(network)


def test_a_resnet_is_described():
    assert repr(build(describe(resnet18(3, 2)))) == repr(resnet18(3, 2))


def test_a_module_used_twice_is_one_module_again():
    make, _ = ALL_STORIES["shifted"]
    again = build(describe(make()))
    assert again.anomaly.clean is again.clean


SCORE = """
import sys, numpy as np
from nbam_pyro import load, responsibilities
x, y = np.load(sys.argv[2]), np.load(sys.argv[3])
np.save(sys.argv[4], responsibilities(load(sys.argv[1]), x, y))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved")
    x, y = np.random.default_rng(0).normal(size=(40, FEATURES)), np.arange(40) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)
        fitted = fit(LabelFlip(mlp(FEATURES, 3), 3), (x, y), steps=[Joint(epochs=2)])
    save(fitted, folder / "fit")
    return folder / "fit", fitted, x, y


def test_a_new_process_scores_the_same(saved, tmp_path):
    folder, fitted, x, y = saved
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    paths = [str(path) for path in (folder, *(tmp_path / f"{n}.npy" for n in "xyr"))]
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCORE, *paths], check=True)
    assert np.array_equal(np.load(tmp_path / "r.npy"), responsibilities(fitted, x, y))


def test_the_folder_holds_no_pickle_and_serves_arviz(saved):
    folder, *_ = saved
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.json", "model.safetensors", "posterior.nc", "manifest.json"}
    with xr.open_datatree(folder / "posterior.nc", engine="h5netcdf") as tree:
        assert tree.posterior["transition_matrix"].shape == (1, 500, 3, 3)


def test_an_existing_folder_is_kept_unless_told(saved, tmp_path):
    folder, fitted, *_ = saved
    with pytest.raises(FolderError, match="exists already"):
        save(fitted, folder)
    save(fitted, folder, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(FolderError, match="not a run folder"):
        save(fitted, tmp_path / "mine", overwrite=True)


@untrained
def test_a_story_of_ones_own_needs_permission_or_the_story(tmp_path):
    x, y = torch.randn(20, FEATURES), torch.arange(20) % 3
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=1)])
    save(fitted, tmp_path / "fit")
    with pytest.raises(StoryError, match=r"allow=\['tests.cases.ThreeStates'\]"):
        load(tmp_path / "fit")
    with pytest.raises(StoryError, match="allow"):
        load(tmp_path / "fit", allow=["tests.case", "test"])
    expected = responsibilities(fitted, x, y)
    for again in (
        load(tmp_path / "fit", allow=["tests.cases.ThreeStates"]),
        load(tmp_path / "fit", story=ThreeStates()),
    ):
        assert np.array_equal(responsibilities(again, x, y), expected)


class Opaque(nn.Module):
    """Keeps nothing of what it was made with."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, x):
        return self.layers(x)


@untrained
def test_a_network_that_cannot_be_described_is_saved_all_the_same(tmp_path):
    x, y = torch.randn(20, FEATURES), torch.arange(20) % 3
    fitted = fit(LabelFlip(Opaque(7), 3), (x, y), steps=[Joint(epochs=1)])
    save(fitted, tmp_path / "fit")
    with pytest.raises(StoryError, match=r"keeps no attribute 'width'.*pass story="):
        load(tmp_path / "fit", allow=["tests"])
    again = load(tmp_path / "fit", story=LabelFlip(Opaque(7), 3))
    assert np.array_equal(predict(again, x), predict(fitted, x))
    with pytest.raises(StoryError, match="does not match the saved tensors"):
        load(tmp_path / "fit", story=LabelFlip(Opaque(8), 3))


@untrained
def test_a_guide_with_arguments_is_given_again(tmp_path):
    def family(model, **kwargs):
        return AutoLowRankMultivariateNormal(model, rank=5, **kwargs)

    x, y = torch.randn(20, FEATURES), torch.arange(20) % 3
    fitted = fit(LabelFlip(nn.Linear(4, 3), 3), (x, y), steps=[Joint(epochs=1)], guide=family)
    save(fitted, tmp_path / "fit")
    with pytest.raises(StoryError, match="guide does not match"):
        load(tmp_path / "fit")
    again = load(tmp_path / "fit", guide=family)
    assert np.array_equal(responsibilities(again, x, y), responsibilities(fitted, x, y))


def rewrite(folder, name, change):
    """Change a JSON file and its checksum: a run of another making, not a damaged one."""
    values = json.loads((folder / name).read_text())
    change(values)
    (folder / name).write_text(json.dumps(values))
    (folder / "manifest.json").unlink()
    write_manifest(folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "lacks|is missing"),
        (lambda f: (f / "posterior.nc").unlink(), "lacks|is missing"),
        (lambda f: (f / "manifest.json").unlink(), "not a run folder"),
        (lambda f: (f / "manifest.json").write_text("{"), "JSON"),
        (lambda f: (f / "manifest.json").write_text("{}"), "sha256: Field required"),
        (lambda f: (f / "model.json").write_text("{}"), "was changed"),
        (lambda f: (f / "model.safetensors").write_bytes(b"0"), "was changed"),
        (
            lambda f: rewrite(f, "model.json", lambda m: m.update(format_version=99)),
            r"another format \(99\)",
        ),
        (
            lambda f: rewrite(f, "model.json", lambda m: m["copies"][0].update(guide="os.system")),
            "not a guide of Pyro",
        ),
        (
            lambda f: rewrite(
                f,
                "model.json",
                lambda m: m["copies"][0]["story"]["description"].update({"class": "os.system"}),
            ),
            "neither a class of this library nor a layer of torch",
        ),
        (
            lambda f: rewrite(
                f,
                "model.json",
                lambda m: m["copies"][0]["story"]["description"].update(
                    {"class": "nbam_pyro.models.load"}
                ),
            ),
            "cannot be imported",
        ),
    ],
)
def test_a_damaged_folder_is_named(saved, tmp_path, damage, says):
    _, fitted, *_ = saved
    folder = tmp_path / "fit"
    save(fitted, folder)
    damage(folder)
    with pytest.raises(NBAMError, match=says) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def cross_fitted():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, FEATURES))
    y = (x[:, 0] > 0).astype(int) ^ (rng.random(300) < 0.1)
    return fit(LabelFlip(mlp(FEATURES, 2), 2), (x, y), epochs=3, seed=0), x, y


@untrained
def test_how_far_a_network_can_be_trusted_is_saved(cross_fitted, tmp_path):
    fitted, x, y = cross_fitted
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert np.array_equal(responsibilities(again, x, y), responsibilities(fitted, x, y))
    assert again.trust.all_right == fitted.trust.all_right
    assert again.trust.hesitant == fitted.trust.hesitant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", lambda w: w * 2),
        ("weight", lambda w: -w),
        ("all_right", lambda w: torch.tensor(7.0)),
        ("sharpness", lambda a: a[:-1]),
        ("sharpness", lambda a: a * 0),
        ("mean", lambda m: torch.cat([m, m])),
        ("flip_shift", lambda f: f[:, :1]),
        ("rate_shift", None),
    ],
)
@untrained
def test_damaged_explanations_are_named(cross_fitted, tmp_path, name, value):
    save(cross_fitted[0], tmp_path / "fit")
    path = tmp_path / "fit" / "model.safetensors"
    tensors = read_tensors(path)
    changed = tensors.pop(f"trust.{name}")
    if value is not None:
        tensors[f"trust.{name}"] = value(changed)
    write_tensors(path, tensors)
    write_manifest(tmp_path / "fit")
    with pytest.raises(FolderError, match=r"explanations of the labels|has no tensor"):
        load(tmp_path / "fit")


def test_a_failed_save_leaves_nothing(saved, tmp_path):
    _, fitted, *_ = saved
    broken = dataclasses.replace(fitted, history=None)
    with pytest.raises(AttributeError):
        save(broken, tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


@untrained
def test_an_estimators_fit_is_saved_with_its_scaling(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
    model = NBAMClassifier(steps=[Joint(epochs=1)], random_state=0).fit(x, y)
    save(model.fit_, tmp_path / "fit")
    assert np.array_equal(predict(load(tmp_path / "fit"), x), model.predict_proba(x))


# Written before the package's files were moved, when saved files began to name public names.
KEPT = Path(__file__).parent / "saved"


def test_runs_of_before_the_moves_are_read():
    with np.load(KEPT / "expected.npz") as kept:
        expected = dict(kept)
    x = expected["x"]
    for name, y in (("labels", expected["y"]), ("measurements", expected["measured"])):
        found = responsibilities(load(KEPT / name), x, y)
        assert np.allclose(found, expected[name], atol=1e-4)
    found = load_detector(KEPT / "detector").decision_function(expected["rows"])
    assert np.allclose(found, expected["detector"], atol=1e-4)


def test_an_earlier_format_is_refused_in_one_line():
    with pytest.raises(FolderError, match=r"read it with nbam-pyro 0\.1\.0") as caught:
        load(KEPT / "format_5")
    assert "\n" not in str(caught.value)
