"""Fits in several processes: one seed gives the same numbers, to the last bit, for any `n_jobs`."""

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, fit
from nbam_pyro.errors import DataError
from nbam_pyro.inference import (
    Anchors,
    CrossFit,
    Distil,
    Joint,
    Recount,
    Vertices,
    WarmUp,
    compare_priors,
)
from nbam_pyro.models import FlipPrior, mlp, robust_regression

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def labels():
    torch.manual_seed(0)
    true = torch.arange(90) % 3
    y = torch.where((true == 1) & (torch.arange(90) % 5 == 0), 0, true)
    return 2 * torch.eye(3)[true] + torch.randn(90, 3), y


def network():
    """A network whose training and whose predictions could depend on what ran before."""
    hidden = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(hidden, nn.Linear(8, 3))


def of_labels(**options):
    quick = WarmUp(epochs=6, lr=0.05)
    starts = (Anchors(), Vertices(restarts=2), Vertices(confident=0.9))
    steps = [
        CrossFit(warm_up=quick, skip=2, starts=starts, epochs=3, lr=0.05),
        Joint(epochs=1),
        Recount(),
        Distil(rounds=2, averaged=2, fold_epochs=3, epochs=3, lr=0.05),
    ]
    x, y = labels()
    return fit(LabelFlip(network(), 3), (x, y), steps=steps, **options)


def of_measurements(**options):
    """The default recipe with `Restarts`, whose attempts set starts of the guide."""
    torch.manual_seed(0)
    x = torch.randn(80, 1)
    y = 2 * x[:, 0] + 0.1 * torch.randn(80)
    y[::7] += 5
    return fit(robust_regression(mlp(1, 1, widths=(8,)), y), (x, y), epochs=20, **options)


def assert_same(one, other):
    assert np.array_equal(one.training_rows.responsibility, other.training_rows.responsibility)
    assert one.training_rows.share == other.training_rows.share
    assert one.history.equals(other.history)
    for part in ("story", "guide"):
        first, second = (getattr(fitted, part).state_dict() for fitted in (one, other))
        assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("make", [of_labels, of_measurements])
def test_a_fit_does_not_depend_on_the_number_of_processes(make):
    alone = make(seed=3)
    assert_same(alone, make(seed=3, n_jobs=2))
    with joblib.parallel_config(n_jobs=2):
        assert_same(alone, make(seed=3, deterministic=True))
    assert not torch.are_deterministic_algorithms_enabled()
    other = make(seed=4)
    assert not np.array_equal(
        alone.training_rows.responsibility, other.training_rows.responsibility
    )


def compared(**options):
    x, y = labels()
    torch.manual_seed(0)
    stories = {
        "open": LabelFlip(network(), 3),
        "rare": LabelFlip(network(), 3, prior=FlipPrior(rate=(1, 50))),
    }
    steps = [WarmUp(epochs=3, lr=0.05), Joint(epochs=3, lr=0.05)]
    return compare_priors(stories, x, y, folds=3, steps=steps, num_draws=5, **options)


def test_a_comparison_does_not_depend_on_the_number_of_processes():
    one, two = compared(), compared(n_jobs=2)
    assert one.table.equals(two.table)
    for name, elpd in one.elpd.items():
        assert np.array_equal(elpd.elpd_i, two.elpd[name].elpd_i)


@pytest.mark.filterwarnings("ignore")  # dask imports what is deprecated
def test_a_local_cluster_of_dask_gives_the_same_table():
    distributed = pytest.importorskip("distributed")
    one = compared()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_backend("dask"),
    ):
        assert joblib.effective_n_jobs() == 2
        two = compared()
    assert one.table.equals(two.table)


def test_numbers_of_processes_are_checked_before_the_fit():
    x, y = labels()
    for n_jobs in (0, 1.5):
        with pytest.raises(DataError, match="n_jobs is"):
            fit(LabelFlip(network(), 3), (x, y), n_jobs=n_jobs)
        with pytest.raises(DataError, match="n_jobs is"):
            compare_priors({"a": None, "b": None}, x, y, n_jobs=n_jobs)
        with pytest.raises(DataError, match="n_jobs is"):
            NBAMClassifier(n_jobs=n_jobs).fit(x, y)


def test_estimators_fit_in_several_processes():
    x, y = labels()
    one, two = (NBAMClassifier(random_state=0, epochs=3, n_jobs=n).fit(x, y) for n in (None, 2))
    assert np.array_equal(one.responsibility_, two.responsibility_)
