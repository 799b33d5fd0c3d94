import struct

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from nbam_pyro.data import (
    DIGITS_FLIPS,
    Corruption,
    Flips,
    GrossErrors,
    Shift,
    SymmetricFlips,
    contaminate,
    flipped_digits,
    torchvision_data,
)
from nbam_pyro.errors import DataError


def test_flips_are_judged_by_the_clean_copy():
    clean = np.repeat([0, 1, 2], 100)
    flipped = contaminate(clean, Flips({0: 1, 1: 0}), rate=0.4, seed=0)
    assert (flipped.observed != clean).sum() == flipped.contaminated.sum() == 80
    assert flipped.rate == pytest.approx(80 / 300)
    assert ((clean == 0) & (flipped.observed == 1)).sum() == 40
    assert ((clean == 1) & (flipped.observed == 0)).sum() == 40
    assert not flipped.contaminated[clean == 2].any()


def test_flips_keep_the_random_stream_of_published_figures():
    clean, directions = np.arange(200) % 4, {3: 0, 0: 1, 1: 0}
    rng, expected = np.random.default_rng(7), clean.copy()
    for source, target in directions.items():
        members = np.flatnonzero(clean == source)
        expected[rng.permutation(members)[: round(0.3 * len(members))]] = target
    flipped = contaminate(clean, Flips(directions), rate=0.3, seed=7)
    assert np.array_equal(flipped.observed, expected)
    assert np.array_equal(flipped.contaminated, expected != clean)


@pytest.mark.parametrize(
    ("values", "how", "dtype"),
    [
        (np.array(["a", "b"]), Flips({"a": "far longer"}), "<U10"),
        (np.array(["a", "b"], object), Flips({"a": "far longer"}), object),
        (np.array([0, 1], np.uint8), Flips({0: 7}), np.uint8),
        (np.array([0, 1], np.uint8), Flips({0: 300}), np.int64),
        (np.array([False, True]), SymmetricFlips(2), bool),
        (np.array([0, 1]), Shift(0.5), float),
        (np.array([0, 1], np.float32), Shift(0.5), np.float32),
        (np.array([0, 1], np.float32), GrossErrors(3.0), np.float32),
    ],
)
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_what_is_observed_is_neither_cut_nor_rounded(values, how, dtype, rate):
    done = contaminate(values, how, rate=rate, seed=0)
    assert np.array_equal(done.observed != values, done.contaminated)
    assert done.rate == (0 if rate == 0 else 0.5 if isinstance(how, Flips) else 1)
    if rate:
        assert done.observed.dtype == dtype


@pytest.mark.parametrize("names", [4, np.int64(4), [0, 1, 2, 3], ["a", "b", "c", "dd"]])
def test_symmetric_flips_reach_every_other_class_alike(names):
    classes = np.arange(4) if np.ndim(names) == 0 else np.array(names)
    clean = np.repeat(classes, 3000)
    flipped = contaminate(clean, SymmetricFlips(names), rate=0.5, seed=0)
    assert flipped.contaminated.sum() == 6000
    assert np.array_equal(flipped.observed != clean, flipped.contaminated)
    for source in classes:
        rows = flipped.contaminated & (clean == source)
        for target in classes[classes != source]:
            assert (flipped.observed[rows] == target).mean() == pytest.approx(1 / 3, abs=0.05)


def test_shifts_go_one_way_and_gross_errors_far_both_ways():
    clean = np.random.default_rng(0).normal(size=4000)
    shifted = contaminate(clean, Shift(-2.0), rate=0.25, seed=0)
    assert np.allclose(shifted.observed - clean, -2.0 * shifted.contaminated)
    gross = contaminate(clean, GrossErrors(5.0), rate=0.25, seed=0)
    errors = (gross.observed - clean)[gross.contaminated]
    assert np.abs(errors).min() >= 5
    assert np.abs(errors).mean() == pytest.approx(10, rel=0.1)
    assert (errors > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(gross.observed != clean, gross.contaminated)
    assert gross.contaminated.sum() == shifted.contaminated.sum() == 1000


def test_a_corruption_of_your_own_has_one_method():
    class Saturated(Corruption):
        def corrupt(self, values, rng):
            return np.minimum(values, 0.5)

    done = contaminate(np.linspace(0, 1, 10), Saturated(), rate=1.0, seed=0)
    assert done.observed.max() == 0.5
    assert done.contaminated.all()  # also those on which saturation leaves no trace


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flips({0: 0}), "itself"),
        (lambda: SymmetricFlips(1), "two"),
        (lambda: SymmetricFlips(["a", "a"]), "distinct"),
        (lambda: Shift(0.0), "by is 0.0"),
        (lambda: Shift(float("nan")), "finite"),
        (lambda: GrossErrors(-1.0), "positive"),
    ],
)
def test_impossible_corruptions_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "how", "rate", "message"),
    [
        ([0, 1], Flips({0: 1}), 1.5, "rate"),
        ([0, 1], Flips({0: 1}), float("nan"), "rate"),
        ([], Flips({0: 1}), 0.5, "shape"),
        ([[0, 1]], Flips({0: 1}), 0.5, "shape"),
        ([0, 1], Flips({"0": "1"}), 0.5, "text"),
        (["0", "1"], Flips({0: 1}), 0.5, "text"),
        (["0", "1"], SymmetricFlips(2), 0.5, "text"),
        ([0, 1, 2], SymmetricFlips(2), 0.0, "Label 2"),
        (["0", "1"], Shift(1.0), 0.5, "numbers"),
        (["0", "1"], GrossErrors(1.0), 0.5, "numbers"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, how, rate, message):
    with pytest.raises(DataError, match=message):
        contaminate(np.array(values), how, rate=rate, seed=0)


def test_digits_are_reproducible_and_keep_their_rows():
    one, other, third = (flipped_digits(seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.labels.observed, other.labels.observed)
    assert not np.array_equal(one.rows, third.rows)
    for c in range(10):
        share = one.labels.contaminated[one.truth == c].mean()
        assert share == pytest.approx(0.4 if c in DIGITS_FLIPS else 0.0, abs=0.01)
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
        ("?", "for instance"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        torchvision_data(name, tmp_path)


@pytest.mark.parametrize("name", ["CIFAR10", "KMNIST", "STL10", "USPS", "ImageFolder", "SEMEION"])
def test_missing_files_are_named_and_not_downloaded(tmp_path, name):
    with pytest.raises(DataError, match="nothing is downloaded") as caught:
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
