"""`nbam detect --maps`."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model

from benchmarks.robustness.run_changes import sign
from nbam_pyro.cli.runs import frames as frames_module
from nbam_pyro.cli.runs import overlays
from nbam_pyro.cli.runs.frames import in_order_of_frames, write_frames
from nbam_pyro.detection import load_detector
from tests.cli.helpers import nbam, refused
from tests.cli.networks.helpers import Brightness, script_file
from tests.data.frozen.helpers import small_network, write_folder

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
    assert not (run / "frames.csv").exists()


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
    digest = hashlib.sha256((folder / "data.npz").read_bytes()).hexdigest()
    assert json.loads((run / "settings.json").read_text())["sha256"] == digest
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


@pytest.fixture
def mapped(folder):
    """The options of the network, and a run with maps of the images in the folder."""
    network = ("--features", folder / "net.ts", "--cache", folder / "cache")
    result = nbam(
        "detect", folder / "images", *network, *SMALL, "--maps", "--out", folder / "run"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return network


def test_new_images_of_a_run(folder, mapped):
    run, out, maps = folder / "run", folder / "new.csv", folder / "new-maps"
    again = nbam("score", run, folder / "images", *mapped, "--out", out)
    assert again.exit_code == 0, again.output
    flags = pd.read_csv(run / "flags.csv")
    pd.testing.assert_frame_equal(pd.read_csv(out), flags.drop(columns="picture"))

    images = np.random.default_rng(1).integers(80, 120, (5, 3, 16, 16), dtype=np.uint8)
    images[3, :, 2:7, 2:7] = 250
    write_folder(folder / "new", images, ("a",))
    scored = nbam(
        "score", run, folder / "new", *mapped, "--out", out, "--maps", maps, "--overwrite"
    )  # fmt: skip
    assert scored.exit_code == 0, scored.output
    assert "Pictures of the most suspicious images are in" in scored.output
    table = pd.read_csv(out)
    assert table["row"][0] == "a/003.png"
    assert table["flagged"].tolist() == [True] + 4 * [False]
    assert table["responsibility"][0] > 0.5
    assert table["picture"].tolist() == [str(maps / f"{rank:03d}.png") for rank in range(1, 6)]
    assert sorted(one.name for one in maps.iterdir()) == [
        *(f"{rank:03d}.png" for rank in range(1, 6)),
        "manifest.json",
    ]
    detector = load_detector(run)
    assert detector.threshold_ < table["score"][0]
    assert "exists already" in refused(
        "score", run, folder / "new", *mapped, "--out", folder / "b.csv", "--maps", maps
    )
    assert not (folder / "b.csv").exists()


def test_colours_of_new_images_are_those_of_the_run(folder, mapped):
    run, maps = folder / "run", folder / "new-maps"
    plain = np.random.default_rng(1).integers(80, 120, (3, 3, 16, 16), dtype=np.uint8)
    write_folder(folder / "new", plain, ("a",))
    result = nbam(
        "score", run, folder / "new", *mapped, "--out", folder / "new.csv", "--maps", maps
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with Image.open(maps / "001.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels.max(2) - pixels.min(2)).max() < 60  # grey: nothing here is suspicious


def test_scoring_mistakes(folder, mapped):
    run, new = folder / "run", folder / "images"
    out = ("--out", folder / "new.csv")
    other = script_file(folder / "other.ts", small_network(seed=1))
    assert "is not the network of the training, 'net.ts'" in refused(
        "score", run, new, "--features", other, *out
    )
    assert "same network (--features)" in refused("score", run, new, *out)
    pd.DataFrame({"a": [1.0, 2.0]}).to_csv(folder / "table.csv", index=False)
    assert "has no images" in refused("score", run, folder / "table.csv", *mapped, *out)
    assert "Add --maps FOLDER" in refused("score", run, new, *mapped, "--frames", *out)
    nbam("detect", folder / "table.csv", "--out", folder / "tables")
    assert "is another run" in refused(
        "score", folder / "tables", folder / "table.csv", *out, "--maps", folder / "m"
    )
    info = json.loads((run / "run.json").read_text())
    info["encoding"]["columns"] += 1
    (run / "run.json").write_text(json.dumps(info))
    sign(run)
    assert "describes other data than the detector" in refused("score", run, new, *mapped, *out)
    assert not (folder / "new.csv").exists()


def test_frames_of_videos(folder, mapped):
    rng = np.random.default_rng(2)
    for video, count in (("cam 2", 12), ("cam 10", 11)):
        for number in range(1, count + 1):
            pixels = rng.integers(80, 120, (16, 16, 3), dtype=np.uint8)
            if (video, number) == ("cam 2", 10):
                pixels[4:9, 4:9] = 250
            path = folder / "videos" / video / f"frame_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    names = [f"cam 2/frame_{n}.png" for n in range(1, 13)]
    names += [f"cam 10/frame_{n}.png" for n in range(1, 12)]
    run = folder / "frames-run"
    command = ("detect", folder / "videos", *mapped, *SMALL, "--maps")
    result = nbam(*command, "--frames", "--out", run)
    assert result.exit_code == 0, result.output
    assert "the interval is too narrow" in result.output
    frames = pd.read_csv(run / "frames.csv")
    assert frames["row"].tolist() == names
    assert frames["video"].tolist() == 12 * ["cam 2"] + 11 * ["cam 10"]
    assert frames["frame"].tolist() == [*range(1, 13), *range(1, 12)]
    assert frames["score"].argmax() == 9
    flags = pd.read_csv(run / "flags.csv")
    both = frames.merge(flags, on=list(flags.columns))
    assert len(both) == len(flags) == 23
    with Image.open(run / "timeline.png") as picture:
        assert picture.width > picture.height > 300
    # The order of the frames changes nothing else.
    assert nbam(*command, "--out", folder / "plain").exit_code == 0
    assert (folder / "plain" / "flags.csv").read_bytes() == (run / "flags.csv").read_bytes()

    maps = folder / "new-maps"
    scored = nbam(
        "score", run, folder / "videos", *mapped, "--out", folder / "new.csv", "--maps", maps,
        "--frames",
    )  # fmt: skip
    assert scored.exit_code == 0, scored.output
    again = pd.read_csv(maps / "frames.csv").drop(columns="picture")
    pd.testing.assert_frame_equal(again, frames.drop(columns="picture"))
    assert (maps / "timeline.png").exists()


def test_names_of_frames_are_in_natural_order():
    names = ["b/2.png", "b/10.png", "a1/x.png", "a/b/1.png", "a10/x.png", "a2/x.png", "3.png",
             "a/1.png", "b/02.png", "b/f²_1.png", "b/f٣.png"]  # fmt: skip
    table = in_order_of_frames(names)
    assert [names[row] for row in table.index] == [
        "3.png", "a/1.png", "a/b/1.png", "a1/x.png", "a2/x.png", "a10/x.png", "b/02.png",
        "b/2.png", "b/10.png", "b/f٣.png", "b/f²_1.png",
    ]  # fmt: skip
    assert table["frame"].tolist() == [1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5]
    assert in_order_of_frames([str(row) for row in range(12)])["frame"].tolist() == [*range(1, 13)]


def test_only_some_of_many_videos_are_drawn(tmp_path):
    rows = [f"{video}/{frame}.png" for video in range(24) for frame in range(3)]
    scores = np.arange(72.0)
    table = pd.DataFrame({"row": rows, "score": scores, "flagged": scores > 70})
    write_frames(tmp_path, table, threshold=70.0)
    assert pd.read_csv(tmp_path / "frames.csv")["row"].tolist() == rows
    figure = frames_module._figure(in_order_of_frames(rows).join(table), 70.0)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [str(video) for video in range(4, 24)]
    assert figure.get_suptitle() == "20 of 24 videos: those with the highest scores"


def test_mistakes(folder):
    images, out = folder / "images", ("--out", folder / "run")
    network = ("--features", folder / "net.ts")
    assert "--maps needs a network" in refused("detect", images, "--maps", *out)
    assert "--frames is for images with --maps" in refused(
        "detect", images, *network, "--frames", *out
    )
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
