"""Small images and networks."""

import numpy as np
import torch
from PIL import Image
from torch import nn


def small_network(seed=0, channels=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))


def small_images(n=10, seed=0, size=8):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def write_folder(folder, images, classes=("cat", "dog")):
    """PNG files in class folders; the list of their paths in sorted order."""
    paths = []
    for number, image in enumerate(images):
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
        paths.append(path)
    return sorted(paths)


class Counting(nn.Module):
    """The features of a network, and the number of images that it was given."""

    def __init__(self, network, stop_after=None):
        super().__init__()
        self.network = network
        self.seen = []
        self.stop_after = stop_after

    def __deepcopy__(self, memo):
        return self  # so that the test sees what the copy was given

    def forward(self, x):
        self.seen.append(len(x))
        if self.stop_after is not None and sum(self.seen) > self.stop_after:
            raise KeyboardInterrupt
        return self.network(x)
