"""Independent calls: seeds, warnings, errors and settings do not depend on the number of processes.

The fits that use them are tested in `tests/inference/test_n_jobs.py`.
"""

import os
import threading
import warnings

import joblib
import numpy as np
import pytest
import torch

from nbam_pyro.errors import DataError, NothingLearnedWarning
from nbam_pyro.training.contexts import deterministic_algorithms
from nbam_pyro.training.parallel import check_n_jobs, fresh_seeds, independent, processes


def drawn(scale):
    return scale * torch.rand(3), os.getpid()


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2", True, np.nan])
def test_what_is_no_number_of_processes_is_refused(n_jobs):
    with pytest.raises(DataError, match="n_jobs is"):
        check_n_jobs(n_jobs)
    with pytest.raises(DataError, match="n_jobs is"):
        independent(drawn, [(1.0,)], n_jobs=n_jobs, seeds=[0])


@pytest.mark.parametrize("n_jobs", [None, 1, -1, np.int64(2)])
def test_numbers_of_processes_as_in_scikit_learn(n_jobs):
    check_n_jobs(n_jobs)
    assert processes(n_jobs) >= 1


def test_results_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    calls = [(1.0,), (2.0,), (1.0,)]
    here = independent(drawn, calls, n_jobs=1, seeds=[0, 1, 0])
    there = independent(drawn, calls, n_jobs=2, seeds=[0, 1, 0])
    backwards = independent(drawn, calls[::-1], n_jobs=None, seeds=[0, 1, 0][::-1])[::-1]
    assert torch.equal(torch.get_rng_state(), before)
    assert {number for _, number in here} == {os.getpid()}
    assert os.getpid() not in {number for _, number in there}
    for (one, _), (other, _), (back, _) in zip(here, there, backwards, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, back)
    assert torch.equal(here[0][0], here[2][0])
    assert independent(drawn, [], n_jobs=2, seeds=[]) == []


def test_fresh_seeds_differ_and_take_one_random_number():
    torch.manual_seed(0)
    seeds = fresh_seeds(100)
    after = torch.rand(())
    torch.manual_seed(0)
    assert fresh_seeds(3) == seeds[:3]
    assert torch.rand(()) == after
    assert len({*seeds, *fresh_seeds(100)}) == 200


def warned(text):
    warnings.warn(text, NothingLearnedWarning, stacklevel=1)
    warnings.warn("old", DeprecationWarning, stacklevel=1)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_are_given_once_in_the_order_of_the_calls(n_jobs):
    calls = [("b",), ("a",), ("b",), ("c",)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        independent(warned, calls, n_jobs=n_jobs, seeds=range(4))
    assert [(str(one.message), one.category) for one in caught] == [
        (text, NothingLearnedWarning) for text in "bac"
    ]
    assert caught[0].filename.endswith("test_parallel.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NothingLearnedWarning, match="b"):
            independent(warned, calls, n_jobs=n_jobs, seeds=range(4))


def failing(number):
    if number:
        raise DataError(f"row {number} is wrong")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_are_raised_as_they_are(n_jobs):
    with pytest.raises(DataError, match=r"^row 3 is wrong$"):
        independent(failing, [(0,), (3,), (0,)], n_jobs=n_jobs, seeds=range(3))


def test_what_cannot_be_pickled_is_named():
    lock = (threading.Lock(),)
    assert independent(type, [lock], n_jobs=1, seeds=[0])
    with pytest.raises(DataError, match=r"\(TypeError: cannot pickle '_thread.lock' object\)"):
        independent(type, [lock, lock], n_jobs=2, seeds=[0, 1])


def test_threads_are_refused():
    with (
        joblib.parallel_config("threading"),
        pytest.raises(DataError, match="are threads of this process"),
    ):
        independent(drawn, [(1.0,)] * 2, n_jobs=2, seeds=[0, 1])


def setting(_):
    inside = independent(drawn, [(1.0,)] * 2, n_jobs=2, seeds=[0, 1])
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_deterministic_debug_mode(),
        len({number for _, number in inside}),
    )


@pytest.mark.parametrize("deterministic", [False, True])
def test_workers_take_over_settings_of_torch(deterministic):
    torch.set_num_threads(4)
    torch.set_default_dtype(torch.float64)
    try:
        with deterministic_algorithms(deterministic):
            found = independent(setting, [(0,), (1,)], n_jobs=2, seeds=[0, 1])
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(1)
    # Without deterministic algorithms, workers share the threads. Calls inside do not spread.
    assert found == [(4, torch.float64, 2, 1) if deterministic else (2, torch.float64, 0, 1)] * 2
