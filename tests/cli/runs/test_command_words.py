"""`command_words`: the command that would make a run again, as `nbam fit` reads it."""

import pytest

from nbam_pyro.cli.runs.command_words import command_words
from nbam_pyro.cli.runs.priors import clean_error_text, parse_clean_error, parse_contamination

PLAIN = {"command": "fit", "data": "a.csv", "label": "kind", "task": "auto", "seed": 0}


def test_defaults_are_left_out():
    assert command_words(PLAIN) == ["fit", "a.csv", "--label", "kind"]
    assert command_words({**PLAIN, "command": "detect"}) == []


def test_all_options_are_there():
    features = {"network": "resnet18", "size": 64, "mean": 0.5, "std": 0.25, "cache": None}
    settings = {
        **PLAIN,
        "task": "classification",
        "contamination": [2.0, 8.0],
        "clean_error": "open",
        "difficulty": 1.0,
        "head": "auto",
        "epochs": 7,
        "seed": 3,
        "drop": ["id", "name"],
        "keep": ["code"],
        "verified": ["v.csv"],
        "features": features,
    }
    text = " ".join(command_words(settings))
    for words in (
        "--task classification",
        "--contamination beta:2,8",
        "--clean-error open",
        "--difficulty 1.0",
        "--head auto",
        "--epochs 7",
        "--seed 3",
        "--drop id --drop name",
        "--keep code",
        "--verified v.csv",
        "--features resnet18 --image-size 64 --image-scale 0.5,0.25",
    ):
        assert words in text
    assert "--cache" not in text


@pytest.mark.parametrize("text", [None, "open", "0.2,0.5", "beta:2.0,6.0"])
def test_priors_of_the_clean_error_can_be_read_again(text):
    assert clean_error_text(parse_clean_error(text)) == text


@pytest.mark.parametrize("text", ["0.05", "beta:2,8"])
def test_priors_of_the_share_can_be_read_again(text):
    words = command_words({**PLAIN, "contamination": parse_contamination(text)})
    assert words[-1] == text
