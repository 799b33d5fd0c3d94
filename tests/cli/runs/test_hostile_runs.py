"""Damaged and hostile run folders: refused in one line, in bounded time and memory."""

import json
import re
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from benchmarks.robustness.mutated_runs import KINDS, outcomes_of, prepare
from benchmarks.robustness.run_changes import damage, sign
from nbam_pyro.cli import app
from nbam_pyro.errors import StoryError
from nbam_pyro.storage.budget import building
from nbam_pyro.storage.description import build


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for kind in KINDS:
        prepare(folder, kind)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_runs_are_refused_or_scored(saved, kind):
    outcomes = list(outcomes_of(saved, kind, 67, only_replaced=True))
    assert [one for one in outcomes if one.ended not in ("refused", "scored")] == []
    assert len(outcomes) == 67
    assert sum(one.ended == "refused" for one in outcomes) > 30


def copied(saved, tmp_path, kind="labels"):
    shutil.copytree(saved / kind, tmp_path / "run")
    return tmp_path / "run"


def refusal(run, saved, kind="labels"):
    """What `nbam score` says of a run that it refuses."""
    out = run.with_name("out.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(
            app, ["score", str(run), str(saved / f"{kind}.csv"), "--out", str(out)]
        )
    assert done.exit_code == 2, (done.output, done.exception)
    assert done.stderr.count("\n") == 1
    assert not out.exists()
    return done.stderr


DAMAGE = {
    "copies.0.guide.locs.rate_unconstrained NaN": "NaN or infinite",
    "copies.0.story.network.0.mean infinite": "NaN or infinite",
    "copies.0.story.network.0.mean of another shape": "does not match the saved tensors",
    "held_out longer": "different shapes",
    "training_rows.responsibility missing": "no tensor 'training_rows.responsibility'",
    "model.safetensors junk": "not a safetensors file or is cut off",
    "model.safetensors cut to 9": "not a safetensors file or is cut off",
    "model.json deep": "recursion limit",
    "model.json long": "too many for a run",
    "model.json too long": "the limit for a file of a run",
    "model.json a link": "model.json is missing",
    "model.json a pipe": "model.json is missing",
    "manifest names '/proc/kmsg'": "not the name of a file inside the folder",
    "manifest names '/dev/zero'": "not the name of a file inside the folder",
    "manifest names '..'": "not the name of a file inside the folder",
    "manifest names '../train.csv'": "not the name of a file inside the folder",
    "manifest names 'a/../../x'": "not the name of a file inside the folder",
    "manifest names 'plots'": "plots is missing",
    "laughs": "more than 50000 parts",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_said_in_one_line(saved, name, tmp_path):
    case = next(case for case in damage(saved / "labels") if case.name == name)
    run = copied(saved, tmp_path)
    case.change(run)
    assert DAMAGE[name] in refusal(run, saved)


def changed(run, file, change):
    values = json.loads((run / file).read_text())
    change(values)
    (run / file).write_text(json.dumps(values))
    sign(run)


LINEAR = {
    "class": "torch.nn.Linear",
    "arguments": {"in_features": 200_000_000, "out_features": 3, "bias": True},
}


def network(value):
    return lambda m: m["copies"][0]["story"]["description"]["arguments"].update(network=value)


VALUES = {
    "a network of 2.4 GB": ("model.json", network(LINEAR), "far more numbers than"),
    "a class that is a number": (
        "model.json",
        lambda m: m["copies"][0]["story"]["description"].update({"class": 5}),
        ".story.description.class: Input should be a valid string",
    ),
    "a module before it is described": ("model.json", network({"same": 7}), "before it is descr"),
    "a function": (
        "model.json",
        lambda m: m["copies"][0].update(guide="pyro.infer.autoguide.deepcopy"),
        "not a guide of Pyro",
    ),
    "rows that are images": (
        "model.json",
        lambda m: m["rows"].update(x_shape=[3, 9_000_000, 9_000_000]),
        "needs far more numbers",
    ),
    "rows that are wide": ("model.json", lambda m: m["rows"].update(x_shape=[10**12]), "x_shape"),
    "a share above 1": (
        "model.json",
        lambda m: m["training_rows"]["share"].update(mean=7.0),
        "training_rows.share.mean",
    ),
    "classes of two kinds": (
        "run.json",
        lambda m: m.update(classes=[["a"], ["b", "c"]]),
        "classes.0: Input should be a valid string",
    ),
    "classes out of order": (
        "run.json",
        lambda m: m["classes"].reverse(),
        "sorted and all different",
    ),
    "a class too few": ("run.json", lambda m: m["classes"].pop(), "other data than the model"),
    "a column too few": (
        "run.json",
        lambda m: m["encoding"]["columns"].pop(),
        "other data than the model",
    ),
    "a key of our own making": ("run.json", lambda m: m.update(more=1), "more: Extra inputs"),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_checked_where_they_are(saved, name, tmp_path):
    file, change, says = VALUES[name]
    run = copied(saved, tmp_path)
    changed(run, file, change)
    said = refusal(run, saved)
    assert says in said
    assert str(run) in said or file == "model.json"


def test_a_summary_of_nothing_is_refused(saved, tmp_path):
    run = copied(saved, tmp_path)
    changed(run, "summary.json", lambda m: m.clear())
    done = CliRunner().invoke(app, ["show", str(run)])
    assert done.exit_code == 2
    assert "summary.json' is damaged or was changed" in done.stderr


def test_a_detector_for_other_data_is_refused(saved, tmp_path):
    run = copied(saved, tmp_path, "detector")
    changed(run, "run.json", lambda m: m["encoding"]["columns"].pop())
    assert "other data than the detector" in refusal(run, saved, "detector")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(200_000_000, 3),
        lambda: nn.LSTM(4, 4, num_layers=10**8),
        lambda: torch.zeros(10).repeat(10**9),
        lambda: torch.eye(10**6),
        lambda: [torch.zeros(10**6) for _ in range(10**6)],
    ],
)
def test_more_than_the_tensors_have_is_not_made(make):
    with building({"weight": torch.zeros(3)}), pytest.raises(StoryError, match="far more numbers"):
        make()


def test_what_fits_is_made():
    layer = nn.Linear(3000, 3000)
    with building(layer.state_dict()):
        nn.Linear(3000, 3000)


def test_building_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    build({"class": LINEAR["class"], "arguments": {"in_features": 3, "out_features": 2}})
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("argument", [-1, (1,), "wide", 1.5, None])
def test_arguments_that_no_layer_takes_are_named(argument):
    arguments = {"in_features": argument, "out_features": 2}
    with pytest.raises(StoryError, match="Linear cannot be built again"):
        build({"class": LINEAR["class"], "arguments": arguments})


SAID = {
    "flags cut in a number": (
        "labels",
        "flags.csv",
        lambda text: text[: text.rindex(",0.")],
        "a column of numbers or booleans has cells of another type",
    ),
    "more flags than rows": (
        "measurements",
        "summary.json",
        lambda text: re.sub('"flagged": [0-9]+', '"flagged": 2147483648', text),
        "a count is larger than the number of rows",
    ),
    "flags and no error of theirs": (
        "measurements",
        "summary.json",
        lambda text: re.sub(
            '"flagged_error": [^,]+',
            '"flagged_error": null',
            re.sub('"flagged": [0-9]+', '"flagged": 5', text),
        ),
        "contradict the number of flagged rows",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_show_reads_is_checked(saved, name, tmp_path):
    kind, file, change, says = SAID[name]
    run = copied(saved, tmp_path, kind)
    (run / file).write_text(change((run / file).read_text()))
    sign(run)
    done = CliRunner().invoke(app, ["show", str(run)])
    assert done.exit_code == 2, (done.output, done.exception)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("grain", torch.zeros(0)), ("grain", torch.ones(16, 1)), ("usual", torch.ones(7).double())],
)
def test_tensors_of_a_detector_fit_each_other(saved, name, value, tmp_path):
    run = copied(saved, tmp_path, "detector")
    path = next(run.glob("*.safetensors"))
    save_file(load_file(path) | {name: value}, path)
    sign(run)
    assert f"{name} that do not match the other parts" in refusal(run, saved, "detector")
