"""The encoding of images as features of a frozen network."""

import dataclasses

import numpy as np
import pytest

from nbam_pyro.cli.files import FrozenEncoding, NetworkFeatures, Source, UsedNetwork, encoding_of
from nbam_pyro.errors import FolderError
from tests.cli.files.helpers import TABLE, X, again, read_encoding, refused

NETWORK = UsedNetwork(
    name="resnet18", digest="ab" * 32, layer="fc", size=32, mean=(0.5,), std=(0.1, 0.2, 0.3)
)
VALUES = np.ones((3, 2), np.float32)


def test_features_choose_their_encoding_which_survives_json():
    source = Source(x=NetworkFeatures(VALUES, NETWORK), y=np.arange(3), rows=np.arange(3))
    encoding = encoding_of(source)
    assert encoding == FrozenEncoding(NETWORK, 2)
    assert again(encoding) == encoding
    encoded = again(encoding).encode(source.x)
    assert encoded.x.dtype == np.float32
    np.testing.assert_array_equal(encoded.x, VALUES)


def test_other_data_and_other_networks_are_refused():
    encoding = FrozenEncoding(NETWORK, 2)
    for x in (TABLE, X, []):
        refused("features of the network 'resnet18'", call=lambda x=x: encoding.encode(x))
    other = dataclasses.replace(NETWORK, name="mine", digest="cd" * 32)
    refused(
        "'mine' is not the network of the training, 'resnet18'",
        "cdcdcdcdcdcd",
        call=lambda: encoding.encode(NetworkFeatures(VALUES, other)),
    )
    refused(
        "gives 3 features, but gave 2",
        call=lambda: encoding.encode(NetworkFeatures(np.ones((1, 3)), NETWORK)),
    )


@pytest.mark.parametrize(
    "change",
    [{"size": 0}, {"size": 10**6}, {"mean": ["a"]}, {"digest": None}, {"more": 1}],
)
def test_damaged_descriptions_are_refused(change):
    saved = dataclasses.asdict(FrozenEncoding(NETWORK, 2))
    with pytest.raises(FolderError, match=r"run\.json is damaged"):
        read_encoding(saved | {"network": saved["network"] | change})
