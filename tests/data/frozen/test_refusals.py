"""Images and networks that are refused, with the reason."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from nbam_pyro.data import image_features
from nbam_pyro.errors import DataError, FolderError
from tests.data.frozen.helpers import small_images, small_network, write_folder


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Batchwise(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Tokens(nn.Module):
    def forward(self, x):
        return x.flatten(2)


class Infinite(nn.Module):
    def forward(self, x):
        return 1 / (x.mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Noisy(), "by chance or because of the other images"),
        (Batchwise(), "by chance or because of the other images"),
        (Tokens(), r"returns \(2, 3, 64\) for 2 images"),
        (small_network(channels=1), r"cannot take images of shape \(3, 8, 8\)"),
        (nn.Conv2d(3, 3, 9), "Give another size"),
        (Infinite(), "infinite features for image number 4"),
    ],
)
def test_networks(tmp_path, network, words):
    images = small_images()
    images[4] = 0
    with pytest.raises(DataError, match=words):
        image_features(images, network, cache=tmp_path)


class Augmented(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, row):
        return torch.rand(3, 8, 8)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((0, 3, 8, 8), np.uint8), "no images"),
        (np.zeros((2, 8, 8), np.uint8), "Give the shape"),
        (np.zeros((2, 3, 8, 8), np.int64), "Give bytes"),
        (np.zeros((2, 3, 8, 8), object), "Give bytes"),
        (np.full((2, 3, 8, 8), 7.0), "run from 7 to 7"),
        (np.zeros((2, 3, 8, 0)), "without any pixel"),
        (np.zeros((2, 2, 8, 8)), "have 2 channels, but mean and std have 3"),
        (Augmented(), "different when it was read again"),
        ("nowhere", "not a folder"),
        (7, "type int"),
    ],
)
def test_images(tmp_path, images, words):
    with pytest.raises(DataError, match=words):
        image_features(images, small_network(), mean=[0.5] * 3, std=[1, 1, 1], cache=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"size": 0}, "size of images is 0"),
        ({"mean": [0.5]}, "Only one of mean and std"),
        ({"mean": [0.5], "std": [0.0]}, "must be positive"),
        ({"mean": [np.nan], "std": [1.0]}, "finite"),
        ({"precision": "float8"}, "float32 or bfloat16"),
    ],
)
def test_options(tmp_path, options, words):
    with pytest.raises(DataError, match=words):
        image_features(small_images(), small_network(), cache=tmp_path, **options)


def test_files(tmp_path):
    paths = write_folder(tmp_path / "folder", small_images(3))
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="another folder for the cache"):
        image_features(paths, small_network(), cache=tmp_path / "file")
    paths[1].write_bytes(paths[1].read_bytes()[:40])
    with pytest.raises(DataError, match=r"'.*\.png' cannot be read"):
        image_features(paths, small_network(), cache=tmp_path / "cache")
    paths[2].unlink()
    with pytest.raises(DataError, match="No such file"):
        image_features(paths, small_network(), cache=tmp_path / "cache")


def test_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = image_features(small_images(), small_network())
    assert Path(found.filename).is_relative_to(tmp_path / "nbam_pyro" / "features")
