"""`difficulty` of the classifier: labels are wrong more often where the network hesitates."""

import numpy as np
import pytest

from nbam_pyro import NBAMClassifier, load, save
from nbam_pyro.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
TRUE = np.arange(400) % 3
RNG = np.random.default_rng(0)
X = 1.8 * np.eye(3)[TRUE] + RNG.normal(size=(400, 3))
Y = np.where(RNG.random(400) < 0.15, (TRUE + 1) % 3, TRUE)


def test_the_share_rises_with_the_difficulty_and_the_verdict_states_the_other_one(tmp_path):
    options = {"epochs": 20, "random_state": 0}
    plain = NBAMClassifier(**options).fit(X, Y)
    asked = NBAMClassifier(**options, difficulty=2.0).fit(X, Y)
    assert asked.contamination_ > plain.contamination_
    np.testing.assert_allclose(asked.predict_proba(X), plain.predict_proba(X))  # not trained on
    assert "if people err more often there" in plain.verdict_.assumed
    assert "wrong more often where the network hesitates: if not" in asked.verdict_.assumed
    save(asked.fit_, tmp_path / "fit")
    back = load(tmp_path / "fit")
    assert back.story.difficulty == 2.0
    assert back.label_evidence == asked.fit_.label_evidence


def test_a_negative_difficulty_is_refused():
    with pytest.raises(DataError, match="difficulty is -1"):
        NBAMClassifier(difficulty=-1).fit(X, Y)
