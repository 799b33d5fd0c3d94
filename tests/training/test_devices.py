"""Fits on two devices give the fit of one; what cannot be fitted so is refused in a sentence."""

import subprocess
import sys
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from nbam_pyro import LabelFlip, fit
from nbam_pyro.data import flipped_digits
from nbam_pyro.detection import AnomalyDetector, AutoEncoder
from nbam_pyro.errors import StoryError
from nbam_pyro.training.devices import Part
from nbam_pyro.training.rows import Rows

SCRIPT = """
import sys
import warnings

import numpy as np
import torch
from torch import nn

from nbam_pyro import LabelFlip, fit, transition_matrix
from nbam_pyro.data import flipped_digits
from nbam_pyro.models import robust_regression

warnings.simplefilter("ignore")
torch.set_num_threads(1)
out, devices = sys.argv[1], int(sys.argv[2])
trainer = {"accelerator": "cpu", "devices": devices}
digits = flipped_digits(seed=0)
x, y = torch.as_tensor(digits.x[:1152]), torch.as_tensor(digits.labels.observed[:1152])
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
labels = fit(LabelFlip(network, 10), (x, y), epochs=3, held_out=1 / 9, trainer=trainer)
x = torch.linspace(-1, 1, 120)[:, None]
y = 2 * x[:, 0] + 0.1 * torch.randn(120) + 3.0 * (torch.arange(120) % 6 == 0)
line = fit(
    robust_regression(nn.Linear(1, 1), y), (x, y), epochs=8, held_out=1 / 6, trainer=trainer
)
if devices == 1 or torch.distributed.get_rank() == 0:
    np.savez(
        out,
        matrix=transition_matrix(labels).mean,
        rates=labels.training_rows.share.mean,
        held_out=labels.history["held_out_loss"].dropna(),
        labels=labels.training_rows.responsibility,
        line=line.training_rows.responsibility,
    )
"""


def test_two_processes_fit_as_one_does(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    found = []
    for name, command in (
        ("one", [sys.executable, script, tmp_path / "one.npz", "1"]),
        (
            "two",
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc-per-node", "2", script, tmp_path / "two.npz", "2"),
            ],
        ),
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / f"{name}.npz") as arrays:
            found.append(dict(arrays))
    one, two = found
    for name, error in (
        ("matrix", 1e-4),
        ("rates", 1e-4),
        ("held_out", 1e-4),
        ("labels", 1e-3),
        ("line", 1e-3),
    ):
        assert one[name] == pytest.approx(two[name], abs=error), name


def test_a_command_on_two_devices_writes_one_run(tmp_path):
    digits = flipped_digits(seed=0)
    table = pd.DataFrame(digits.x[:300, 20:40]).add_prefix("pixel")
    table.assign(digit=digits.labels.observed[:300]).to_csv(tmp_path / "d.csv", index=False)
    command = [
        *(sys.executable, "-m", "nbam_pyro.cli", "fit", "d.csv", "--label", "digit"),
        *("--epochs", "2", "--devices", "2"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The run is in nbam-run/") == 1
    assert done.stdout.count("Fitting 300") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "nbam-run"]
    assert len(pd.read_csv(tmp_path / "nbam-run" / "flags.csv")) == 300


@pytest.mark.parametrize("count", [32, 33, 34, 35, 36, 64])
def test_the_parts_of_processes_are_the_batches(count):
    rows = Rows(TensorDataset(torch.arange(count), torch.arange(count)), torch.arange(count), None)

    def batches(part):
        batches = rows.loader(np.arange(count), 16, part=part).sampler
        assert len(list(batches)) == len(batches)
        return list(batches)

    whole = batches(Part())
    one, two = batches(Part(0, 2)), batches(Part(1, 2))
    assert [len(part) for part in one] == [len(part) for part in two]
    both = [sorted(a + b) for a, b in zip(one, two, strict=True)]
    assert [*chain(*both)] == [*chain(*whole)][: count - count % 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trainer": {"devices": 2, "strategy": "fsdp"}}, "divides a network among devices"),
        ({"trainer": {"devices": 2, "strategy": "ddp_spawn"}}, "starts new processes"),
        ({"trainer": {"devices": 2}, "n_jobs": 2}, "Choose one of the two"),
        ({"trainer": {"devices": 2}, "progress_folder": "p"}, "cannot be kept"),
        ({"trainer": {"devices": 8}, "batch_size": 8}, "Use fewer devices"),
        ({"trainer": {"devices": "2"}, "n_jobs": 2}, "Choose one of the two"),
        ({"trainer": {"devices": "0,1"}, "n_jobs": 2}, "Choose one of the two"),
        ({"trainer": {"devices": [0, 1]}, "n_jobs": 2}, "Choose one of the two"),
        ({"trainer": {"num_nodes": 2}, "n_jobs": 2}, "Choose one of the two"),
    ],
)
def test_what_several_devices_cannot_do_is_refused(options, words):
    with pytest.raises(StoryError, match=words):
        fit(LabelFlip(nn.Linear(2, 2), 2), (torch.zeros(40, 2), torch.arange(40) % 2), **options)


def test_detectors_are_trained_on_one_device():
    detector = AnomalyDetector(AutoEncoder, trainer={"devices": 2})
    with pytest.raises(StoryError, match="on one device"):
        detector.fit(np.zeros((40, 2)))
