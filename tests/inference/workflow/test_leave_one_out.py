"""Leave-one-out estimates."""

import pytest
from torch import nn

from nbam_pyro import LabelFlip, fit
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import Joint, loo
from tests.inference.small_fits import labels_given_f, line, line_story

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@untrained
def test_loo_is_refused_where_weights_have_seen_the_rows(line_fit, flip_fit):
    fitted, x, y, _ = line_fit
    assert float(loo(fitted, x, y).pareto_k.max()) < 0.7
    x, y, _ = labels_given_f(60)
    trained = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[Joint(epochs=2)])
    with pytest.raises(StoryError, match="compare_priors"):
        loo(trained, x, y)


@untrained
def test_loo_wants_rows_that_were_trained_on():
    x, y, _ = line(30)
    fitted = fit(line_story(), (x, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="held out"):
        loo(fitted, x, y)
