"""Labels, numbers and training loops as people have them, given to `NBAMLoss`."""

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import NBAMLoss
from nbam_pyro.errors import DataError, OptimiserWarning
from nbam_pyro.losses import nbam_loss
from nbam_pyro.outputs.anchors import anchor_counts

K = 4


def batch(n=60, dtype=torch.float32):
    target = torch.arange(n) % K
    logits = 3 * F.one_hot(target, K) + torch.randn(n, K)
    target[::10] = (target[::10] + 1) % K
    return logits.to(dtype), target


def started(dtype=torch.float32, **options):
    loss = NBAMLoss(K, **options)
    loss.start_from(*batch(200, dtype))
    return loss


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.int64]


@pytest.mark.parametrize("kind", INTEGERS)
def test_labels_may_have_any_integer_type(kind):
    logits, target = batch()
    plain, other = NBAMLoss(K), NBAMLoss(K)
    for loss, labels in ((plain, target), (other, target.to(kind))):
        loss(logits, labels).item()
        loss.start_from(logits, labels)
    known = (target % 3 - 1).clamp_min(0)
    assert torch.equal(plain(logits, target), other(logits, target.to(kind)))
    assert torch.equal(
        plain.responsibility(logits, target, contaminated=known),
        other.responsibility(logits, target.to(kind), contaminated=known.to(kind)),
    )


def test_a_label_of_156_is_not_the_ignored_one():
    """-100 as an unsigned byte is 156."""
    logits, target = torch.randn(4, 200), torch.tensor([156, 1, 2, 3])
    loss = NBAMLoss(200, reduction="none")
    loss.start_from(logits, target)
    assert (loss(logits, target.to(torch.uint8)) > 0.01).all()


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        (
            torch.arange(8) % K + 1,
            {},
            "label 4 in row 3.*0 to 3 for 4 classes, or -100.*labels start at 1",
        ),
        (torch.arange(8) % K - 1, {}, "label -1 in row 0.*pass ignore_index=-1"),
        (torch.tensor([0, 1, 2, 3, 0, 1, 2, 255]), {}, "label 255 in row 7.*Number the classes"),
        (torch.tensor([0, 1, 2, 3, 0, 1, 2, -100]), {"ignore_index": -1}, "label -100 in row 7"),
        (torch.zeros(8), {}, "type torch.float32; expected integers"),
    ],
    ids=["from 1", "-1", "255", "-100", "floats"],
)
def test_labels_that_are_no_class_are_named(target, options, says):
    logits = torch.randn(8, K)
    for loss in (NBAMLoss(K, **options), started(**options)):
        for call in (loss, loss.start_from):
            with pytest.raises(DataError, match=says):
                call(logits, target)
    with pytest.raises(DataError, match=says):
        started(**options).responsibility(logits, target)
    with pytest.raises(DataError, match=says):
        nbam_loss(logits, target, torch.zeros(K), torch.zeros(K, K - 1), **options)


@pytest.mark.parametrize("unlabelled", [-1, 255])
def test_unlabelled_elements_are_those_with_the_ignored_number(unlabelled):
    logits, target = batch()
    kind = torch.uint8 if unlabelled == 255 else torch.int8
    some = target.clone()
    some[:20] = unlabelled
    loss = NBAMLoss(K, ignore_index=unlabelled)
    plain = NBAMLoss(K)
    loss.start_from(logits, some.to(kind))
    plain.start_from(logits[20:], target[20:])
    assert loss.num_data == 40
    assert torch.allclose(loss(logits, some.to(kind)), plain(logits[20:], target[20:]))


@pytest.mark.parametrize("start", [False, True])
def test_a_batch_without_labels_costs_nothing(start):
    logits, target = batch(6)
    loss = started() if start else NBAMLoss(K)
    logits.requires_grad_()
    for n in (6, 0):
        value = loss(logits[:n], torch.full_like(target[:n], -100))
        value.backward()
        assert value == 0
        assert (logits.grad == 0).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e35])
def test_logits_that_are_no_numbers_are_named(bad):
    logits, target = batch()
    logits[7, 2] = bad
    loss = started()
    for call in (NBAMLoss(K), NBAMLoss(K).start_from, loss, loss.responsibility):
        with pytest.raises(DataError, match="row 7, column 2"):
            call(logits, target)
    g = torch.zeros(60).index_fill(0, torch.tensor([3]), bad)
    with pytest.raises(DataError, match=r"switch_logits has 1 .* row 3"):
        loss(batch()[0], target, switch_logits=g)
    with torch.no_grad():
        loss.rate_logits[1] = bad
    for call in (loss, loss.responsibility):
        with pytest.raises(DataError, match=r"rate_logits has 1 .* row 1"):
            call(*batch())


@pytest.mark.parametrize("coarse", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_with_in_single_precision(coarse):
    logits, target = batch(2000, coarse)
    loss, plain = NBAMLoss(K), NBAMLoss(K)
    loss.start_from(logits.requires_grad_(), target)
    plain.start_from(logits.float(), target)
    assert torch.equal(loss.rate_logits, plain.rate_logits)
    assert torch.equal(
        loss.responsibility(logits, target), plain.responsibility(logits.float(), target)
    )
    value = loss(logits, target)
    assert value.dtype == torch.float32
    value.backward()
    assert logits.grad.isfinite().all()


def test_half_precision_counts_beyond_256():
    target = torch.zeros(3000, dtype=torch.long)
    log_p = torch.tensor([0.9, 0.1]).log().expand(3000, 2)
    counts = anchor_counts(log_p.bfloat16(), target, confident=1.0)
    assert counts.dtype == torch.float32
    assert counts[0, 0] == 3000


def test_double_precision_stays_so():
    logits, target = batch(dtype=torch.float64)
    loss = started(torch.float64)
    assert {p.dtype for p in loss.parameters()} == {torch.float64}
    assert loss(logits, target).dtype == torch.float64
    assert loss.responsibility(logits, target).dtype == torch.float64
    fresh = NBAMLoss(K)
    fresh.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert torch.equal(loss(logits, target), fresh(logits, target))


def test_a_start_in_double_precision_keeps_the_optimisers_parameters():
    logits, target = batch(dtype=torch.float64)
    loss = NBAMLoss(K)
    optimiser = torch.optim.AdamW(loss.parameters(), lr=0.1)
    loss.start_from(logits, target)
    before = loss.rate_logits.detach().clone()
    loss(logits, target).backward()
    optimiser.step()
    assert (loss.rate_logits != before).all()


def test_double_precision_as_the_default_changes_nothing():
    logits, target = batch()
    loss = NBAMLoss(K)
    loss.start_from(logits, target)
    expected = loss.responsibility(logits, target)
    torch.set_default_dtype(torch.float64)
    try:
        loss = NBAMLoss(K)
        loss.start_from(logits, target)
        found = loss.responsibility(logits, target)
        assert loss(logits, target).isfinite()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.allclose(found.float(), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 1000])
def test_the_value_has_no_offset_that_grows_with_the_classes(classes):
    target = torch.arange(3000) % classes
    logits = 12.0 * F.one_hot(target, classes)
    loss = NBAMLoss(classes)
    loss.start_from(logits, target)
    plain = nbam_loss(logits, target, loss.rate_logits, loss.flip_logits)
    assert plain <= loss(logits, target) < plain + 2.0
    assert loss.responsibility(logits, target).max() < 0.2
    with torch.no_grad():  # the mode of the log priors
        loss.rate_logits.zero_()
        loss.flip_logits.zero_()
    plain = nbam_loss(logits, target, loss.rate_logits, loss.flip_logits)
    assert torch.allclose(loss(logits, target), plain, atol=1e-4)


def accumulate(loss, parameters, *, steps, every):
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, K))
    optimiser = torch.optim.SGD([*network.parameters(), *parameters], lr=0.1)
    x, target = torch.randn(40, 2), torch.arange(40) % K
    for step in range(1, steps + 1):
        loss(network(x), target).div(every).backward()
        if step % every == 0:
            optimiser.step()
            optimiser.zero_grad()


@pytest.mark.parametrize("every", [1, 11, 16, 40])
def test_accumulated_gradients_are_no_steps(every):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = started()
        accumulate(loss, loss.parameters(), steps=5 * every, every=every)
        accumulate(started(), [], steps=8 * every, every=every)  # too few steps to say anything


@pytest.mark.parametrize("every", [1, 3])
def test_a_forgotten_optimiser_is_noticed_between_accumulated_batches(every):
    with pytest.warns(OptimiserWarning, match="Give them to the optimiser") as caught:
        accumulate(started(), [], steps=20 * every, every=every)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_threads_score_as_one_after_the_other():
    loss = started().eval()
    batches = [batch(50) for _ in range(50)]
    plain = NBAMLoss(K)

    def of(pair):
        torch.set_num_threads(1)
        return loss(*pair), loss.responsibility(*pair), plain(*pair)

    state = {name: value.clone() for name, value in loss.state_dict().items()}
    expected = [of(pair) for pair in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(of, 4 * batches))
    for one, other in zip(found, 4 * expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(torch.equal(state[name], value) for name, value in loss.state_dict().items())


NUMBERS = st.floats(width=32) | st.floats(-50, 50)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 5), st.integers(2, 4))
def test_values_are_finite_or_refused(data, n, k):
    def numbers(count):
        return torch.tensor(data.draw(st.lists(NUMBERS, min_size=count, max_size=count)))

    logits = numbers(n * k).view(n, k)
    target = torch.tensor(data.draw(st.lists(st.integers(-1, k), min_size=n, max_size=n)))
    loss = NBAMLoss(k)
    try:
        values = [loss(logits, target)]
        loss.start_from(logits, target)
        true = torch.where(torch.arange(n) % 2 == 0, 0, -1)
        values += [loss(logits, target), loss(logits, target, true_label=true)]
        values += [loss.responsibility(logits, target), *loss.parameters()]
        values += [nbam_loss(logits, target, numbers(k), numbers(k * (k - 1)).view(k, k - 1))]
    except DataError:
        return
    assert all(value.isfinite().all() for value in values)
