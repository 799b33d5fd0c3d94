"""`nbam detect --maps`."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model

from nbam_pyro.cli.runs import overlays
from tests.cli.helpers import nbam, refused
from tests.cli.networks.helpers import Brightness, script_file
from tests.data.frozen.helpers import write_folder

SMALL = ("--image-size", 16, "--image-scale", "0.5,0.5")


@pytest.fixture
def folder(tmp_path):
    """Noisy grey images, three of them with a bright square, and a TorchScript file."""
    rng = np.random.default_rng(0)
    images = rng.integers(80, 120, (60, 3, 16, 16), dtype=np.uint8)
    for row in range(3):
        images[row, :, 4:9, 3 + row : 8 + row] = 250
    write_folder(tmp_path / "images", images, ("café $x$",))
    script_file(tmp_path / "net.ts")
    return tmp_path


def test_pictures_of_suspicious_images(folder, monkeypatch):
    monkeypatch.setattr(overlays, "_MOST", 4)
    run = folder / "run"
    result = nbam(
        "detect", folder / "images", "--features", folder / "net.ts", *SMALL, "--maps",
        "--cache", folder / "cache", "--out", run,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Scores of 60 images at 12 x 12 places" in result.output
    flags = pd.read_csv(run / "flags.csv")
    names = [f"café $x$/{row:03d}.png" for row in range(3)]
    assert sorted(flags["row"][:3]) == names
    assert flags["picture"].notna().sum() == 4
    assert flags["picture"][0] == "maps/001.png"
    assert sorted(one.name for one in (run / "maps").iterdir()) == [
        f"{rank:03d}.png" for rank in range(1, 5)
    ]
    with Image.open(run / "maps" / "001.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10
    settings = json.loads((run / "settings.json").read_text())
    assert settings["command"] == "detect-maps"
    assert nbam("show", run).exit_code == 0
    assert "has no detector" in refused(
        "score", run, folder / "images", "--features", folder / "net.ts", "--out", folder / "a.csv"
    )


def test_verified_images_of_an_archive(folder):
    images = np.random.default_rng(0).integers(80, 120, (30, 1, 16, 16), dtype=np.uint8)
    images[0, :, 5:9, 5:9] = 250
    checked = np.full(30, np.nan)
    checked[:2] = 1, 0
    np.savez(folder / "data.npz", X=images, checked=checked)
    run = folder / "run"
    result = nbam(
        "detect", folder / "data.npz", "--features", folder / "net.ts", "--image-size", 16,
        "--maps", "--verified", "checked", "--cache", folder / "cache", "--out", run,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(run / "flags.csv")
    assert flags["verified_anomaly"][0] == 1
    assert len(list((run / "maps").iterdir())) == 30


def test_layers_of_a_classifier(folder):
    name = "shufflenet_v2_x0_5"
    weights = get_model(name, weights=None).state_dict()
    save_file(weights, folder / "weights.safetensors")
    result = nbam(
        "detect", folder / "images", "--features", f"{name}:{folder / 'weights.safetensors'}",
        "--image-size", 32, "--maps", "--cache", folder / "cache", "--out", folder / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"from {name} (its layers stage2 and stage3) at 32 pixels" in result.output
    assert "at 4 x 4 places" in result.output


def test_mistakes(folder):
    images, out = folder / "images", ("--out", folder / "run")
    network = ("--features", folder / "net.ts")
    assert "--maps needs a network" in refused("detect", images, "--maps", *out)
    assert "Leave out --backbone" in refused(
        "detect", images, *network, "--maps", "--epochs", 3, *out
    )
    pd.DataFrame({"a": [1.0, 2.0]}).to_csv(folder / "table.csv", index=False)
    assert "has no images" in refused("detect", folder / "table.csv", *network, "--maps", *out)
    script_file(folder / "flat.ts", Brightness())
    assert "one vector of features per image" in refused(
        "detect", images, "--features", folder / "flat.ts", *SMALL, "--maps", "--cache",
        folder / "cache", *out,
    )  # fmt: skip
    assert not (folder / "run").exists()
