"""`clean_error` of the classifier: what a user knows about the mistakes of the network."""

import numpy as np
import pytest

from nbam_pyro import NBAMClassifier, load, save
from nbam_pyro.errors import CannotTellWarning, DataError

TRUE = np.arange(300) % 2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2)) + np.c_[1.6 * TRUE, TRUE]
WRONG = RNG.random(300) < 0.15
Y = np.where(WRONG, 1 - TRUE, TRUE)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_the_share_falls_with_the_clean_error(tmp_path):
    shares = {}
    for error in ((0.0, 0.05), (0.95, 1.0)):
        model = NBAMClassifier(epochs=20, clean_error=error, random_state=0).fit(X, Y)
        shares[error] = model.contamination_
    disagreement = model.fit_.label_evidence.disagreement
    assert shares[0.95, 1.0] < 0.1 * disagreement
    assert shares[0.0, 0.05] > 0.7 * disagreement
    save(model.fit_, tmp_path / "fit")
    assert load(tmp_path / "fit").story.clean_error == model.fit_.story.clean_error


def test_an_open_clean_error_cannot_tell():
    with pytest.warns(CannotTellWarning):
        model = NBAMClassifier(epochs=20, clean_error="open", random_state=0).fit(X, Y)
    assert model.verdict_.level == "cannot tell"
    assert "ambiguous rows" in model.verdict_.sure
    low, high = model.contamination_interval_
    assert low == 0
    assert high >= model.fit_.label_evidence.disagreement


def test_another_value_is_refused():
    with pytest.raises(DataError, match="clean_error is 'none'"):
        NBAMClassifier(clean_error="none").fit(X, Y)
