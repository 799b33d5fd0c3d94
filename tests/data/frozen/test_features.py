"""Features are those of the network, and are computed once for each image."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from nbam_pyro.data import image_features
from nbam_pyro.data.frozen import features as frozen_features
from nbam_pyro.data.frozen import network_digest
from nbam_pyro.errors import DataError
from nbam_pyro.models import RandomView
from tests.data.frozen.helpers import Counting, small_images, small_network, write_folder

# The probe: two images together, and one alone.
PROBE = 3


def direct(network, pixels, mean=0.0, std=1.0):
    with torch.no_grad():
        return network((torch.as_tensor(pixels).float() / 255 - mean) / std).mean((2, 3)).numpy()


def test_features_are_the_mean_of_the_grid_from_any_source(tmp_path):
    network, images = small_network(), small_images()
    expected = direct(network, images, 0.5, 0.25)
    options = {"mean": [0.5], "std": [0.25], "cache": tmp_path / "cache"}
    found = image_features(images, network, batch_size=3, **options)
    assert isinstance(found, np.memmap)
    assert (found.dtype, found.shape, found.flags.writeable) == (np.float32, (10, 5), False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    paths = write_folder(tmp_path / "folder", images)
    order = [int(path.stem) for path in paths]
    for source in (
        tmp_path / "folder",
        str(tmp_path / "folder"),
        paths,
        torch.from_numpy(images)[order],
        read_only(images[order]),
        images[order].astype(np.float64) / 255,
        TensorDataset(torch.from_numpy(images)[order], torch.arange(10)),
        [(Image.open(path), 0) for path in paths],
    ):
        data = Listed(source) if isinstance(source, list) and not is_path(source[0]) else source
        again = image_features(data, network, **options)
        np.testing.assert_allclose(again, expected[order], rtol=1e-4, atol=1e-5)


def read_only(array):
    array.flags.writeable = False
    return array


def is_path(value):
    return hasattr(value, "stem")


class Listed(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row]


def test_views_are_the_image_its_mirror_image_and_crops(tmp_path):
    network, images = small_network(), small_images()
    views = image_features(images, network, views=10, cache=tmp_path)
    assert views.shape == (10, 10, 5)
    one = image_features(images, network, cache=tmp_path)
    flipped = image_features(images[..., ::-1].copy(), network, cache=tmp_path)
    np.testing.assert_allclose(views[:, 0], one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(views[:, 1], flipped, rtol=1e-4, atol=1e-5)
    assert np.ptp(views, axis=1).min() > 0
    again = image_features(images, network, views=4, cache=tmp_path)
    np.testing.assert_allclose(again, views[:, :4], rtol=1e-4, atol=1e-5)


def test_a_random_view_in_training_and_the_mean_in_evaluation():
    x = torch.arange(24.0).reshape(4, 3, 2)
    module = RandomView()
    torch.manual_seed(0)
    seen = torch.stack([module(x) for _ in range(60)])
    assert [len(torch.unique(seen[:, row], dim=0)) for row in range(4)] == [3] * 4
    torch.testing.assert_close(module.eval()(x), x.mean(1))
    with pytest.raises(DataError, match=r"\(N, V, D\)"):
        module(x[0])


@pytest.mark.parametrize(
    "options",
    [{"views": 0}, {"views": 11}, {"views": 2, "mirrored": True}, {"views": 2, "pool": False}],
)
def test_views_that_cannot_be_made_are_refused(options, tmp_path):
    with pytest.raises(DataError, match="views"):
        image_features(small_images(), small_network(), cache=tmp_path, **options)


def test_grids_mirror_images_and_vectors(tmp_path):
    network, images = small_network(), small_images()
    grid = image_features(images, network, pool=False, cache=tmp_path)
    assert grid.shape == (10, 4, 4, 5)
    pooled = image_features(images, network, cache=tmp_path)
    np.testing.assert_allclose(grid.mean((1, 2)), pooled, rtol=1e-4, atol=1e-5)
    mirrored = image_features(images, network, mirrored=True, cache=tmp_path)
    flipped = image_features(images[..., ::-1].copy(), network, cache=tmp_path)
    np.testing.assert_allclose(mirrored, (pooled + flipped) / 2, rtol=1e-4, atol=1e-5)
    both = image_features(images, network, mirrored=True, pool=False, cache=tmp_path)
    np.testing.assert_allclose(both.mean((1, 2)), mirrored, rtol=1e-4, atol=1e-5)
    vectors = nn.Sequential(network, nn.Flatten(), nn.Linear(80, 3))
    assert image_features(images, vectors, cache=tmp_path).shape == (10, 3)
    with pytest.raises(DataError, match="not a grid"):
        image_features(images, vectors, pool=False, cache=tmp_path)


def test_batches_change_features_by_rounding_only(tmp_path):
    network, images = small_network(), small_images()
    one = image_features(images, network, batch_size=1, cache=tmp_path / "one")
    seven = image_features(images, network, batch_size=7, cache=tmp_path / "seven")
    np.testing.assert_allclose(one, seven, rtol=1e-4, atol=1e-6)


def test_bfloat16_differs_by_rounding_only(tmp_path):
    network, images = small_network(), small_images()
    exact = image_features(images, network, cache=tmp_path)
    rounded = image_features(images, network, precision="bfloat16", cache=tmp_path)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_large_images_are_cut_and_scaled(tmp_path):
    image = np.zeros((1, 3, 20, 60), dtype=np.uint8)
    image[..., 20:40] = 255  # the centre
    paths = write_folder(tmp_path / "folder", [image[0], image[0][:, :, 10:50]])
    network = nn.Identity()
    found = image_features(paths, network, size=8, cache=tmp_path / "cache")
    np.testing.assert_allclose(found, np.ones((2, 3)))
    with pytest.raises(DataError, match=r"001\.png' has shape .* Give a size"):
        image_features(paths, network, cache=tmp_path / "cache")
    floats = image_features(image / 255.0, network, size=40, pool=False, cache=tmp_path / "cache")
    assert (floats.min(), floats.max()) == (1, 1)


def test_the_network_stays_as_it_is(tmp_path):
    network = nn.Sequential(small_network(), nn.BatchNorm2d(5), nn.Dropout(0.5)).train()
    image_features(small_images(), network, cache=tmp_path)
    assert network.training
    assert all(one.requires_grad for one in network.parameters())
    assert network[1].num_batches_tracked == 0
    assert network[0][2].weight.is_contiguous()


def test_only_new_images_are_computed(tmp_path):
    images, network = small_images(12), Counting(small_network())
    images[5] = images[2]
    first = image_features(images[:10], network, batch_size=4, cache=tmp_path)
    assert network.seen == [2, 1, 4, 4, 1]  # copies of an image are one image
    np.testing.assert_array_equal(first[2], first[5])
    network.seen.clear()
    image_features(images[:10], network, cache=tmp_path)
    assert sum(network.seen) == PROBE
    network.seen.clear()
    order = [11, 3, 0, 10, 7]
    mixed = image_features(images[order], network, cache=tmp_path)
    assert sum(network.seen) == PROBE + 2
    np.testing.assert_array_equal(mixed[[1, 2, 4]], first[[3, 0, 7]])
    image_features(images, network, cache=tmp_path)
    (folder,) = (path for path in tmp_path.iterdir())
    assert len(list(folder.glob("*.images.npy"))) == 1  # the others are contained in the last


def test_a_changed_image_is_noticed_although_name_size_and_time_stay(tmp_path):
    images, network = small_images(6), Counting(small_network())
    paths = write_folder(tmp_path / "folder", images)
    Image.fromarray(images[0].transpose(1, 2, 0)).save(tmp_path / "a.bmp")
    before = image_features([tmp_path / "a.bmp", *paths], network, cache=tmp_path / "cache")
    status = (tmp_path / "a.bmp").stat()
    Image.fromarray(255 - images[0].transpose(1, 2, 0)).save(tmp_path / "a.bmp")
    assert (tmp_path / "a.bmp").stat().st_size == status.st_size
    os.utime(tmp_path / "a.bmp", ns=(status.st_atime_ns, status.st_mtime_ns))
    network.seen.clear()
    after = image_features([tmp_path / "a.bmp", *paths], network, cache=tmp_path / "cache")
    assert sum(network.seen) == PROBE + 1
    assert (before[0] != after[0]).any()
    np.testing.assert_array_equal(before[1:], after[1:])
    shutil.move(tmp_path / "folder" / "cat", tmp_path / "folder" / "zebra")
    network.seen.clear()
    image_features(tmp_path / "folder", network, cache=tmp_path / "cache")
    assert sum(network.seen) == PROBE  # images may be moved


def test_another_network_or_preparation_has_its_own_features(tmp_path):
    images, network = small_images(), small_network()
    first = image_features(images, network, cache=tmp_path)
    other = small_network()
    with torch.no_grad():
        other[2].bias += 1
    np.testing.assert_allclose(image_features(images, other, cache=tmp_path), first + 1, atol=1e-5)
    for options in ({"size": 6}, {"mean": [0.5], "std": [0.5]}, {"mirrored": True}):
        assert (image_features(images, network, cache=tmp_path, **options) != first).any()
    assert len(list(tmp_path.iterdir())) == 5


class Scaled(nn.Module):
    """Its factor is neither a weight nor printed."""

    def __init__(self, factor):
        super().__init__()
        self.network = small_network()
        self.factor = factor

    def forward(self, x):
        return self.factor * self.network(x)


def test_other_code_with_the_same_weights_is_refused(tmp_path):
    assert network_digest(Scaled(1)) == network_digest(Scaled(2))
    image_features(small_images(), Scaled(1.0), cache=tmp_path)
    with pytest.raises(DataError, match="its code has changed"):
        image_features(small_images(), Scaled(1.1), cache=tmp_path)


def test_an_interrupted_call_continues_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen_features, "_BLOCK", 4)
    images = small_images(30)
    whole = image_features(images, small_network(), batch_size=2, cache=tmp_path / "whole")
    for stop_after in (PROBE + 9, PROBE + 11):
        network = Counting(small_network(), stop_after)
        with pytest.raises(KeyboardInterrupt):
            image_features(images, network, batch_size=2, cache=tmp_path / "parts")
    network = Counting(small_network())
    found = image_features(images, network, batch_size=2, cache=tmp_path / "parts")
    assert sum(network.seen) == PROBE + 30 - 16
    assert found.tobytes() == whole.tobytes()
    (folder,) = (tmp_path / "parts").iterdir()
    assert len(list(folder.glob("*.npy"))) == 3  # features, hashes, probe


KILLED = """
import os, signal, sys
from nbam_pyro.data import image_features
from tests.data.frozen.helpers import Counting, small_images, small_network

def kill(network, images):
    if sum(network.seen) > 560:
        os.kill(os.getpid(), signal.SIGKILL)

network = Counting(small_network())
network.register_forward_pre_hook(kill)
image_features(small_images(700, size=5), network, cache=sys.argv[1])
"""


def test_a_killed_process_loses_one_block_at_most(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "parts"], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "parts").iterdir()
    (folder / ".left.draft").touch()
    network, images = Counting(small_network()), small_images(700, size=5)
    found = image_features(images, network, cache=tmp_path / "parts")
    assert sum(network.seen) == PROBE + 700 - 512
    assert not (folder / ".left.draft").exists()
    whole = image_features(images, small_network(), cache=tmp_path / "whole")
    assert found.tobytes() == whole.tobytes()


@pytest.mark.parametrize("damage", ["truncated", "lost", "hashes"])
def test_damaged_files_of_the_cache_are_computed_again(tmp_path, damage):
    images, network = small_images(), small_network()
    before = np.array(image_features(images, network, cache=tmp_path))
    (file,) = (path for path in tmp_path.glob("*/*.npy") if len(path.stem) == 32)
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[:-8])
        case "lost":
            file.unlink()
        case "hashes":
            np.save(file.with_suffix(".images.npy"), np.zeros((3, 32), np.uint8))
    after = image_features(images, network, cache=tmp_path)
    np.testing.assert_array_equal(after, before)
