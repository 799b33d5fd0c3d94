"""Networks that a person names: which are found, and which are refused."""

import pickle

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from nbam_pyro.cli.networks import given_network, suggestion
from nbam_pyro.cli.networks.architectures import with_weights
from nbam_pyro.errors import DataError
from tests.cli.networks.helpers import script_file
from tests.data.frozen.helpers import small_network

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def classifier():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.get_model(NAME, weights=None, num_classes=7).eval()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty folder of torch's downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "torch" / "hub" / "checkpoints"


def same_features(given, classifier):
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = given.module.eval()(x)
        torch.testing.assert_close(classifier.fc(features), classifier(x))


def test_weights_of_an_architecture_lose_the_last_layer(tmp_path, classifier):
    save_file(classifier.state_dict(), tmp_path / "weights.safetensors")
    state = torch.get_rng_state()
    given = given_network(f"{NAME}:{tmp_path / 'weights.safetensors'}")
    assert torch.equal(torch.get_rng_state(), state)
    assert (given.name, given.layer, given.size) == (NAME, "fc", 224)
    assert given.mean == (0.485, 0.456, 0.406)
    same_features(given, classifier)


def test_weights_that_torch_has_downloaded_need_no_download(hub, classifier):
    assert suggestion() is None
    with pytest.raises(DataError, match="Add --download"):
        given_network(NAME)
    url = torchvision.models.get_model_weights(NAME).DEFAULT.url
    torch.save(classifier.state_dict(), hub / url.rpartition("/")[2])
    same_features(given_network(NAME), classifier)
    assert f"add --features {NAME}" in suggestion()


def test_a_classifier_without_a_linear_layer_is_refused():
    with pytest.raises(DataError, match="does not end in a linear layer"):
        with_weights("squeezenet1_1", {}, where="here")


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(hub, tmp_path):
    for name, write in (("new", torch.save), ("old", old_format)):
        path = tmp_path / f"{name}.pth"
        write(Harmful(), path)
        with pytest.raises(DataError, match=r"could run code\. Convert weights with safetensors"):
            given_network(str(path))
    url = torchvision.models.get_model_weights(NAME).DEFAULT.url
    torch.save(Harmful(), hub / url.rpartition("/")[2])
    with pytest.raises(DataError, match="cannot be read"):
        given_network(NAME)


def old_format(value, path):
    path.write_bytes(pickle.dumps(value))


def test_torchscript_files(tmp_path):
    given = given_network(str(script_file(tmp_path / "net.ts")))
    assert (given.name, given.layer) == ("net.ts", None)
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(given.module(x), small_network()(x))
    other = given_network(str(script_file(tmp_path / "other.ts", small_network(1))))
    code = nn.Sequential(small_network(), nn.ReLU())
    longer = given_network(str(script_file(tmp_path / "longer.ts", code)))
    assert len({one.digest for one in (given, other, longer)}) == 3
    assert given_network(str(tmp_path / "net.ts")).digest == given.digest
    content = (tmp_path / "net.ts").read_bytes()
    (tmp_path / "short.ts").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="neither TorchScript"):
        given_network(str(tmp_path / "short.ts"))


def test_files_of_torch_export_are_refused(tmp_path):
    program = torch.export.export(small_network(), (torch.rand(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(DataError, match=r"file of torch\.export"):
        given_network(str(tmp_path / "net.pt2"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resnet_18", "Did you mean resnet18"),
        ("nowhere.ts", "neither a file nor a classifier of torchvision"),
        ("{folder}/weights.safetensors", "Give both, for instance --features resnet18:"),
        ("xyz:{folder}/weights.safetensors", "'xyz' is not a classifier"),
        (f"{NAME}:nowhere.safetensors", "cannot be read as safetensors"),
        (f"{NAME}:{{folder}}/empty.safetensors", "cannot be read as safetensors"),
        ("shufflenet_v2_x1_0:{folder}/weights.safetensors", "does not have the weights"),
        ("mnasnet0_5:{folder}/weights.safetensors", "lacks"),
        ("squeezenet1_0:{folder}/weights.safetensors", "with a linear last layer"),
    ],
)
def test_mistakes(tmp_path, classifier, text, words):
    save_file(classifier.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(DataError, match=words):
        given_network(text.format(folder=tmp_path))
