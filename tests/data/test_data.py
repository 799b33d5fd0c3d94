import struct

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from nbam_pyro.data import DIGITS_FLIPS, flipped_digits, torchvision_data
from nbam_pyro.errors import DataError


def test_digits_are_reproducible_and_keep_their_rows():
    one, other, third = (flipped_digits(seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.labels.observed, other.labels.observed)
    assert not np.array_equal(one.rows, third.rows)
    for c, share in one.labels.rate_by_class.items():
        assert share == pytest.approx(0.4 if c in DIGITS_FLIPS else 0.0, abs=0.01)
    assert list(one.labels.rate_by_class) == list(range(10))
    assert len(one.x_test) == 540


class Pairs(datasets.VisionDataset):
    """A small colour data set with arrays of its own, as CIFAR10 has them."""

    def __init__(self, root, train=True, download=True):
        super().__init__(root)
        assert not download
        rng = np.random.default_rng(int(train))
        self.data = rng.integers(0, 256, (5 if train else 3, 4, 6, 3), dtype=np.uint8)
        self.targets = [7, *range(len(self.data) - 1)]

    def __len__(self):
        return len(self.data)

    def __getitem__(self, row):
        return Image.fromarray(self.data[row]), self.targets[row]


class Items(Pairs):
    """The same with a split by name, without such arrays."""

    def __init__(self, root, split="train", download=False):
        super().__init__(root, train={"train": True, "test": False}[split], download=download)
        self.items, self.data, self.targets = (self.data, self.targets), None, None

    def __len__(self):
        return len(self.items[0])

    def __getitem__(self, row):
        return Image.fromarray(self.items[0][row]), np.int64(self.items[1][row])


class OtherArrays(Pairs):
    """Its arrays are not what its items show."""

    def __getitem__(self, row):
        image, label = super().__getitem__(row)
        return image.convert("L"), label


class Gathered(datasets.VisionDataset):
    """Items as they are given; not split."""

    items = ()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row]


@pytest.fixture
def offer(monkeypatch):
    def add(kind):
        monkeypatch.setattr(datasets, kind.__name__, kind, raising=False)

    return add


@pytest.mark.parametrize("kind", [Pairs, Items])
@pytest.mark.parametrize("train", [True, False])
def test_colour_images_come_as_arrays(offer, tmp_path, kind, train):
    offer(kind)
    own = Pairs(tmp_path, train=train, download=False)
    pixels, labels = torchvision_data(kind.__name__, tmp_path, train=train)
    assert pixels.dtype == np.float32
    assert labels.dtype == np.int64
    assert pixels.flags.c_contiguous
    assert np.array_equal((pixels * 255).round(), own.data.transpose(0, 3, 1, 2))
    assert labels.tolist() == own.targets


def test_items_are_believed_before_arrays(offer, tmp_path):
    offer(OtherArrays)
    assert torchvision_data("OtherArrays", tmp_path)[0].shape == (5, 1, 4, 6)


@pytest.mark.parametrize("train", [True, False])
def test_grey_images_are_read_from_torchvisions_files(tmp_path, train):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = {}
    for part, count in {"train": 6, "t10k": 2}.items():
        x = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        y = rng.integers(0, 10, count, dtype=np.uint8)
        images, labels = raw / f"{part}-images-idx3-ubyte", raw / f"{part}-labels-idx1-ubyte"
        images.write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + x.tobytes())
        labels.write_bytes(struct.pack(">2I", 0x801, count) + y.tobytes())
        written[part] = x, y
    x, y = written["train" if train else "t10k"]
    pixels, labels = torchvision_data("FashionMNIST", str(tmp_path), train=train)
    assert np.array_equal((pixels * 255).round(), x[:, None])
    assert np.array_equal(labels, y)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion-mnist", "FashionMNIST"),
        ("cifar", "CIFAR10"),
        ("mnist", "MNIST"),  # a submodule of torchvision.datasets
        ("wrap_dataset_for_transforms_v2", "classes of torchvision"),
        ("?", "for instance, FashionMNIST"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        torchvision_data(name, tmp_path)


@pytest.mark.parametrize("name", ["CIFAR10", "KMNIST", "STL10", "USPS", "ImageFolder", "SEMEION"])
def test_missing_files_are_named_and_not_downloaded(tmp_path, name):
    with pytest.raises(DataError, match="does not download") as caught:
        torchvision_data(name, tmp_path / "empty")
    assert str(tmp_path / "empty") in str(caught.value)
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("name", "train", "message"),
    [
        ("EMNIST", True, "split"),
        ("PhotoTour", True, "name"),
        ("SEMEION", False, "no test part"),
        ("VisionDataset", True, "pairs"),
    ],
)
def test_data_sets_of_another_kind_are_refused(tmp_path, name, train, message):
    with pytest.raises(DataError, match=message):
        torchvision_data(name, tmp_path, train=train)


GREY = Image.new("L", (4, 4))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([(GREY, GREY)], "pairs"),
        ([(GREY, {"box": 1})], "pairs"),
        ([(GREY, 1), (GREY, None)], "row 1"),
        ([(np.zeros((4, 4)), 1)], "pairs"),
        ([(GREY, GREY, 1)], "pairs"),
        ([], "pairs"),
        ([(GREY, 1), (Image.new("L", (5, 4)), 1)], "one size"),
    ],
)
def test_anything_but_labelled_images_of_one_size_is_refused(
    offer, monkeypatch, tmp_path, items, message
):
    offer(Gathered)
    monkeypatch.setattr(Gathered, "items", items)
    with pytest.raises(DataError, match=message):
        torchvision_data("Gathered", tmp_path)
