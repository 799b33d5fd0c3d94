"""The same seeds give the same flags, whatever is moved or rewritten.

`python -m tests.test_figures FILE` writes what a version of the library finds; the figures that
are kept beside this test are written again only if results shall change, such as with another
prior. Other machines and versions of torch round differently, so the test allows 1e-3.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from nbam_pyro import LabelFlip, NBAMRegressor, Verified, fit
from nbam_pyro.data import flipped_digits
from nbam_pyro.detection import AnomalyDetector, AutoEncoder
from nbam_pyro.models import mlp

KEPT = Path(__file__).parent / "figures.npz"


def digits_few_rows():
    """Fewer than 1,000 rows: the recipe that distils."""
    digits = flipped_digits(seed=0)
    x, y = torch.as_tensor(digits.x[:300]), torch.as_tensor(digits.labels.observed[:300])
    verified = Verified.of(
        y, true_label=np.where(np.arange(300) < 10, digits.labels.clean[:300], -1)
    )
    fitted = fit(LabelFlip(mlp(64, 10), 10), (x, y), epochs=8, verified=verified)
    return fitted.training_rows.responsibility


def digits_many_rows():
    """1,000 training rows and more: the recipe that counts again."""
    digits = flipped_digits(seed=1)
    x, y = torch.as_tensor(digits.x), torch.as_tensor(digits.labels.observed)
    fitted = fit(LabelFlip(mlp(64, 10), 10), (x, y), epochs=6)
    return fitted.training_rows.responsibility


def line():
    """A line with some gross errors upwards, by the default regressor."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (80, 1))
    y = 3 * x[:, 0] + 0.2 * rng.normal(size=80)
    y[::10] += 4
    return NBAMRegressor(random_state=0, epochs=10).fit(x, y).responsibility_


def detector():
    """An autoencoder on rows of which 5 % are far away."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    x[:10] += 4
    found = AnomalyDetector(AutoEncoder, members=2, epochs=20, random_state=0).fit(x)
    return np.concatenate([found.decision_scores_, found.labels_, [found.contamination_]])


PROBLEMS = (digits_few_rows, digits_many_rows, line, detector)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.__name__)
def test_same_flags(problem):
    with np.load(KEPT) as kept:
        before = kept[problem.__name__]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a short training
        now = np.asarray(problem(), dtype=np.float64)
    assert np.allclose(now, before, atol=1e-3)
    clear = abs(before - 0.5) > 1e-3
    assert ((now > 0.5) == (before > 0.5))[clear].all()


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], **{problem.__name__: problem() for problem in PROBLEMS})
