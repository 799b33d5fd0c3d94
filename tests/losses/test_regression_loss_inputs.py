"""Measurements with any offset and scale, and of any type, given to `NBAMRegressionLoss`."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import NBAMRegressionLoss
from nbam_pyro.errors import DataError
from nbam_pyro.losses import nbam_regression_loss

OFFSETS = [0.0, 1e6, 1e9, -1e12]
SCALES = [1e-9, 1.0, 1e9]


def measured(n=200):
    """Predictions and targets that vary by 1 around 0, ten of them wrong."""
    prediction = torch.linspace(-1.5, 1.5, n, dtype=torch.float64)
    target = prediction + 0.1 * torch.randn(n, dtype=torch.float64)
    target[::20] += 3.0
    return prediction, target


def scored(prediction, target):
    loss = NBAMRegressionLoss()
    loss.start_from(prediction, target)
    return loss, loss.responsibility(prediction, target)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("scale", SCALES)
def test_offsets_and_scales_change_nothing_in_double_precision(offset, scale):
    prediction, target = measured()
    if abs(offset) * torch.finfo(torch.float64).eps > 1e-2 * scale:
        with pytest.raises(DataError, match=r"too coarse|different targets"):
            scored(offset + scale * prediction, offset + scale * target)
        return
    plain, expected = scored(prediction, target)
    # What rounding at this offset does to the data is no fault of the loss.
    moved = [offset + scale * values for values in (prediction, target)]
    loss, found = scored(*moved)
    assert found.dtype == torch.float64
    assert ((found > 0.5) == (expected > 0.5)).all()
    assert (found[::20] > 0.5).all()
    rounding = abs(offset) * torch.finfo(torch.float64).eps / scale
    assert found.numpy() == pytest.approx(expected.numpy(), abs=max(1e-6, 300 * rounding))
    shift = plain(prediction, target) + np.log(scale)
    assert loss(*moved).item() == pytest.approx(shift.item(), abs=max(1e-6, 300 * rounding))


@pytest.mark.parametrize("offset", [1e6, -1e9, 1e12])
@pytest.mark.parametrize("coarse", ["prediction", "target"])
def test_numbers_too_coarse_for_the_targets_are_refused(offset, coarse):
    prediction, target = (offset + values for values in measured())
    loss, _ = scored(prediction, target)
    if coarse == "prediction":
        prediction = prediction.float()
    else:
        target = target.float()
    says = (
        f"{coarse} has type torch.float32.*Subtract the median|different targets in torch.float32"
    )
    settings = {
        "switch_logit": -2.0,
        "log_scale": -2.0,
        "anomaly_loc": offset,
        "anomaly_scale": 9.0,
    }
    values = {name: torch.tensor(one, dtype=torch.float64) for name, one in settings.items()}
    for call in (
        lambda: NBAMRegressionLoss().start_from(prediction, target),
        lambda: loss(prediction, target),
        lambda: loss.responsibility(prediction[:1], target[:1]),
        lambda: nbam_regression_loss(prediction, target, **values),
    ):
        with pytest.raises(DataError, match=says):
            call()


@pytest.mark.parametrize("values", [[0.0] * 150 + [1.0, 5.0] * 25, [7.0] * 150 + [8.0, 9.0] * 25])
def test_targets_most_of_which_are_equal_are_taken(values):
    target = torch.tensor(values)
    scored(torch.zeros(200) + target[0], target)
    scored(torch.zeros(200) + target[0], target.long())


def test_integer_targets_keep_all_their_digits():
    prediction, target = measured()
    target = (1e12 + 1e3 * target).round()
    assert torch.equal(
        scored(1e12 + 1e3 * prediction, target)[1],
        scored(1e12 + 1e3 * prediction, target.long())[1],
    )


def test_one_wild_target_leaves_the_noise_alone():
    prediction, target = measured()
    target[3] = 1e9
    loss, r = scored(prediction, target)
    assert loss.log_scale.exp() < 0.3
    assert r[3] == 1
    assert (r[::20] > 0.5).all()
    assert (r > 0.5).sum() == 11


def test_double_precision_survives_a_state_dict():
    prediction, target = (1e9 + values for values in measured())
    loss, r = scored(prediction, target)
    fresh = NBAMRegressionLoss()
    fresh.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert torch.equal(fresh.responsibility(prediction, target), r)


def test_double_precision_as_the_default_changes_nothing():
    prediction, target = (values.float() for values in measured())
    _, expected = scored(prediction, target)
    torch.set_default_dtype(torch.float64)
    try:
        _, found = scored(prediction, target)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.allclose(found.float(), expected, atol=1e-4)


@pytest.mark.parametrize("coarse", [torch.bfloat16, torch.float16])
def test_half_precision_around_zero_is_taken(coarse):
    prediction, target = (values.to(coarse) for values in measured())
    loss, r = scored(prediction, target)
    assert loss.log_scale.dtype == torch.float32
    assert (r[::20] > 0.5).all()
    assert r.isfinite().all()


def test_training_at_an_offset_equals_training_around_zero():
    prediction, target = measured()
    fitted = []
    for offset in (0.0, 1e9):
        torch.manual_seed(0)
        slope = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        loss = NBAMRegressionLoss()
        optimiser = torch.optim.Adam([slope, *loss.parameters()], lr=0.05)
        for step in range(60):
            if step == 20:
                loss.start_from((offset + slope * prediction).detach(), offset + target)
            optimiser.zero_grad()
            loss(offset + slope * prediction, offset + target).backward()
            optimiser.step()
        fitted.append(slope.item())
    assert fitted[0] == pytest.approx(fitted[1], abs=1e-5)
    assert fitted[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("which", ["prediction", "target"])
def test_values_that_are_no_numbers_are_named(which, bad):
    data = dict(zip(("prediction", "target"), measured(), strict=True))
    loss, _ = scored(**data)
    data[which] = data[which].clone()
    data[which][7] = bad
    for call in (NBAMRegressionLoss(), NBAMRegressionLoss().start_from, loss, loss.responsibility):
        with pytest.raises(DataError, match=f"{which} has 1 number .* row 7"):
            call(**data)


def test_what_is_impossible_under_both_likelihoods_is_refused():
    prediction, target = (values.float() for values in measured())
    loss, _ = scored(prediction, target)
    target[5] = 1e25
    for call in (loss, loss.responsibility):
        with pytest.raises(DataError, match="The target in row 5 has density 0"):
            call(prediction, target)


@pytest.mark.parametrize("start", [False, True])
def test_a_batch_of_nothing_costs_nothing(start):
    prediction, target = measured()
    loss = scored(prediction, target)[0] if start else NBAMRegressionLoss()
    assert loss(prediction[:0], target[:0]) == 0


def test_threads_score_as_one_after_the_other():
    prediction, target = measured()
    loss = scored(prediction, target)[0].eval()
    batches = [target + step / 100 for step in range(50)]

    def of(y):
        torch.set_num_threads(1)
        return loss(prediction, y), loss.responsibility(prediction, y)

    expected = [of(y) for y in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(of, 4 * batches))
    for one, other in zip(found, 4 * expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


NUMBERS = st.floats(width=32) | st.floats(-50, 50)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8), st.booleans())
def test_values_are_finite_or_refused(pairs, double):
    kind = torch.float64 if double else torch.float32
    prediction, target = torch.tensor(pairs, dtype=kind).unbind(-1)
    loss = NBAMRegressionLoss()
    try:
        values = [loss(prediction, target)]
        loss.start_from(prediction, target)
        values += [loss(prediction, target), loss.responsibility(prediction, target)]
    except DataError:
        return
    assert all(value.isfinite().all() for value in values)
