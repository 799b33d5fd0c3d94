"""The two objectives of a story have the same value and the same gradients."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import make_guide, sample_guide
from nbam_pyro.inference.variational.objectives import (
    ClosedObjective,
    EnumeratedObjective,
)
from nbam_pyro.models import Story
from nbam_pyro.testing.contract import check_close, require
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["check_objectives"]

T = TypeVar("T")


def check_objectives(
    story: Story, x: Tensor, y: Tensor, *, num_data: int, verified: Verified = NOTHING
) -> None:
    """Check the objectives of a story on a batch of rows.

    Pyro's enumerated objective must scale the log marginals of the batch to the whole data set. The
    closed objective, if the story has a closed form, must be equal to the enumerated one in its
    value and its gradients, with the same draw of the global latents.

    Args:
        story: Story to check, in evaluation mode.
        x: Rows of the batch, (N, ...).
        y: Observed targets, (N, *dims).
        num_data: Number of rows of the whole data set, N or more.
        verified: Verified switches and true labels of the rows.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.
    """
    kind = type(story).__name__
    guide = make_guide(story, x, y)
    batch = Batch(x, y, torch.ones(len(x)), verified)
    enumerated = EnumeratedObjective(story, guide)
    value = _at_one_draw(lambda: enumerated(batch, num_data))
    if num_data > len(x):
        once = _at_one_draw(lambda: enumerated(batch, len(x)))
        latents = _at_one_draw(lambda: sample_guide(guide, x, y, num_data=len(x))[0])
        pair = log_joint(story, x, y, latents, verified=verified)
        # The terms of the global latents are the same in both and cancel.
        counted = (once * len(x) - value * num_data) / (num_data / len(x) - 1)
        says = (
            f"{kind}.forward does not scale a batch to the whole data set: open the plates with "
            "self.plates(x, shape, num_data=num_data)."
        )
        total = nf.log_marginal(*pair).sum()
        check_close(counted.detach(), total.detach(), says, rtol=1e-3, atol=1e-3)
    if story.closed_form is None:
        return
    closed = _at_one_draw(lambda: ClosedObjective(story, guide)(batch, num_data))
    says = (
        f"The closed objective of {kind} differs from Pyro's enumerated objective: list all global "
        "latents in priors, with the priors that forward draws them from."
    )
    check_close(closed.detach(), value.detach(), says)
    _check_same_gradients(story, guide, closed, value)


def _at_one_draw(value: Callable[[], T]) -> T:
    """Return a value at a draw of the global latents that is the same in every call."""
    torch.manual_seed(1)
    return value()


def _check_same_gradients(
    story: Story, guide: torch.nn.Module, closed: Tensor, enumerated: Tensor
) -> None:
    parameters = [p for part in (story, guide) for p in part.parameters() if p.requires_grad]
    says = (
        f"The gradients of the closed form log_joint() of {type(story).__name__} differ from those "
        "of its method forward(): detach the same tensors in both methods."
    )
    pairs = (
        torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        for value in (closed, enumerated)
    )
    for ours, theirs in zip(*pairs, strict=True):
        require(
            bool(ours.isfinite().all()),
            f"A gradient of the closed form of {type(story).__name__} is not finite: keep -inf and "
            "0 out of the operations that are differentiated.",
        )
        check_close(ours, theirs, says, rtol=1e-3, atol=1e-4)
