"""`--features` of `nbam fit`, `score`, `compare` and `detect`."""

import json

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.cli.files import ImageShape, read
from nbam_pyro.cli.networks.architectures import Architecture
from nbam_pyro.cli.runs import comparing, feature_options
from nbam_pyro.cli.runs.frozen import with_features
from nbam_pyro.errors import DataError
from tests.cli.helpers import nbam, refused
from tests.cli.networks.helpers import Brightness, script_file
from tests.data.frozen.helpers import small_network, write_folder

SMALL = ("--image-size", 8, "--image-scale", "0.5,0.5")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Red and blue images in two class folders, and a TorchScript file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 80, (60, 3, 8, 8), dtype=np.uint8)
    images[::2, 0] += 120
    images[1::2, 2] += 120
    write_folder(tmp_path / "images", images, ("red", "blue"))
    script_file(tmp_path / "net.ts", Brightness())
    return tmp_path


def test_fit_score_and_compare(quick, folder, monkeypatch):
    data, network, run = folder / "images", folder / "net.ts", folder / "run"
    common = ("fit", data, "--features", network, *SMALL)
    result = nbam(*common, "--out", run)
    assert result.exit_code == 0, result.output
    assert "Features of 60 images from net.ts at 8 pixels" in result.output
    assert (folder / "user" / "nbam_pyro" / "features").is_dir()
    encoding = json.loads((run / "run.json").read_text())["encoding"]
    assert encoding["network"] | {"digest": ""} == {
        "name": "net.ts",
        "digest": "",
        "layer": None,
        "size": 8,
        "mean": [0.5],
        "std": [0.5],
    }
    assert encoding["columns"] == 6
    scored = nbam("score", run, data, "--features", network, "--out", folder / "new.csv")
    assert scored.exit_code == 0, scored.output
    rows = pd.read_csv(folder / "new.csv")["row"]
    assert sorted(rows)[0] == "blue/001.png"
    out = ("--out", folder / "none.csv")
    other = script_file(folder / "other.ts", small_network())
    assert "other.ts' is not the network of the training, 'net.ts'" in refused(
        "score", run, data, "--features", other, *out
    )
    assert "same network (--features)" in refused("score", run, data, *out)
    assert nbam(*common, "--contamination", 0.1, "--out", folder / "second").exit_code == 0
    monkeypatch.setattr(comparing, "compare_priors", lambda stories, x, codes, **_: (x, codes))
    x, codes = comparing.compare_runs([run, folder / "second"])
    assert (len(x), len(codes)) == (60, 60)
    network.unlink()
    assert "neither a file" in refused("compare", run, folder / "second")


def test_a_run_on_pixels_takes_no_features(folder):
    source = read(folder / "images", label=None)
    options = feature_options(str(folder / "net.ts"))
    with pytest.raises(DataError, match="fitted without --features"):
        with_features(source, options, data="images", trained=ImageShape(8, 8, 3))
    said = []
    assert with_features(source, None, data="images", say=said.append) is source
    assert said == []
    stored = Architecture("resnet18").stored
    stored.parent.mkdir(parents=True)
    stored.touch()
    with_features(source, None, data="images", say=said.append)
    with_features(source, None, data="images", trained=ImageShape(8, 8, 3), say=said.append)
    assert len(said) == 1
    assert "add --features resnet18" in said[0]


def test_detect_takes_a_folder_with_and_without_class_folders(folder):
    run, network, cache = folder / "run", folder / "net.ts", folder / "cache"
    for data in (folder / "images", folder / "images" / "red"):
        result = nbam(
            "detect", data, "--features", network, *SMALL, "--cache", cache, "--backbone", "ae",
            "--epochs", 2, "--out", run, "--overwrite",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    flags = pd.read_csv(run / "flags.csv")
    assert sorted(flags["row"])[0] == "000.png"
    scored = nbam(
        "score", run, folder / "images", "--features", network, "--cache", cache,
        "--out", folder / "new.csv",
    )  # fmt: skip
    assert scored.exit_code == 0, scored.output
    assert len(pd.read_csv(folder / "new.csv")) == 60
    assert len(list(cache.iterdir())) == 1
    assert not (folder / "user").exists()


def test_images_in_an_archive(folder):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", X=images, y=np.arange(40) % 2)
    source = read(folder / "data.npz", label="y")
    options = feature_options(str(folder / "net.ts"), size=8, pixels="0,1")
    features = with_features(source, options, data="data.npz").x.values
    np.testing.assert_allclose(features[:, :3], images.mean((2, 3)) / 255, rtol=1e-4)


def test_mistakes(folder):
    data, network = folder / "images", folder / "net.ts"
    out = ("--out", folder / "run")
    pd.DataFrame({"a": [1.0, 2.0], "y": ["p", "q"]}).to_csv(folder / "table.csv", index=False)
    table = (folder / "table.csv", "--label", "y")
    assert "has no images" in refused("fit", *table, "--features", network, *out)
    assert "--features is for images" in refused(
        "detect", "--scores", folder / "table.csv", "--features", network, *out
    )
    assert "Leave out --epochs" in refused(
        "fit", *table, "--pred-probs", folder / "table.csv", "--features", network, *out
    )
    assert "Give --features" in refused("fit", data, "--image-size", 8, *out)
    assert "Add --features" in refused("detect", data, *out)
    assert "for instance 0.5,0.5" in refused(
        "fit", data, "--features", network, "--image-scale", "half", *out
    )
    assert "1 to 4096" in refused("fit", data, "--features", network, "--image-size", 9999, *out)
    assert "Add --download" in refused("fit", data, "--features", "resnet18", *out)
    assert not (folder / "run").exists()
