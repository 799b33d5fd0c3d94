"""Functions that all checks use: comparisons, gradients, rebuilding and verified rows."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nbam_pyro.errors import ContractError, StoryError
from nbam_pyro.models import Story
from nbam_pyro.storage.description import build, describe
from nbam_pyro.training.contexts import seeded
from nbam_pyro.verified import Verified

__all__ = [
    "check_close",
    "check_learns",
    "clone",
    "one_and_all",
    "part_of_a_user",
    "rebuilt",
    "require",
    "verified_rows",
]

M = TypeVar("M", bound=nn.Module)


def require(kept: bool, message: str) -> None:
    """Raise a `ContractError` with a message if a part does not have a required property.

    Args:
        kept: Whether the part has the property.
        message: Message of the error: what is wrong, and how to fix it.
    """
    if not kept:
        raise ContractError(message)


def check_close(
    found: Tensor, expected: Tensor, message: str, *, rtol: float = 1e-4, atol: float = 1e-5
) -> None:
    """Raise a `ContractError` where two tensors differ by more than rounding.

    Args:
        found: First tensor.
        expected: Second tensor, of the same shape.
        message: Message of the error: what is wrong, and how to fix it.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
    """
    close = torch.isclose(found, expected.to(found), rtol=rtol, atol=atol, equal_nan=False)
    if not close.all():
        row = int((~close).nonzero()[0, 0]) if close.ndim else 0
        worst = float((found - expected).detach().abs().nan_to_num(0.0, posinf=torch.inf).max())
        raise ContractError(
            f"{message} (They differ by up to {worst:.3g}, first at index {row} of the first "
            "dimension.)"
        )


@contextmanager
def part_of_a_user(seed: int) -> Iterator[None]:
    """Run a part with seeded random numbers; torch's global random state is restored.

    Args:
        seed: Seed of all draws inside.
    """
    with torch.inference_mode(False), torch.enable_grad(), seeded(seed):
        yield


def clone(module: M) -> M:
    """Return a copy of a module, which a check can change."""
    return copy.deepcopy(module)


def one_and_all(*tensors: Tensor) -> Sequence[tuple[Tensor, ...]]:
    """Return the first row of some tensors, as a batch of one row, and all of their rows."""
    return [tuple(tensor[:1] for tensor in tensors), tensors]


def check_learns(module: nn.Module, value: Tensor, *, unused: Sequence[str] = ()) -> None:
    """Raise a `ContractError` that names a parameter without a finite gradient different from 0.

    Args:
        module: Module whose parameters are checked.
        value: Scalar that depends on them.
        unused: Names of parameters that are allowed to have no gradient.
    """
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not named:
        return
    gradients = torch.autograd.grad(
        value, list(named.values()), retain_graph=True, allow_unused=True
    )
    kind = type(module).__name__
    for name, gradient in zip(named, gradients, strict=True):
        if name in unused:
            continue
        require(
            gradient is not None and bool(gradient.any()),
            f"No gradient reaches the parameter {name!r} of {kind}: use it in forward without "
            "detach, rounding or torch.no_grad, or set requires_grad_(False) where it is constant.",
        )
        require(
            gradient is not None and bool(gradient.isfinite().all()),
            f"The gradient of the parameter {name!r} of {kind} is not finite: keep logarithms and "
            "divisions away from 0, and compute probabilities in log space.",
        )


def rebuilt(module: M) -> M:
    """Return a module that is built from the description of another, with its weights.

    Saving and loading do the same.

    Args:
        module: Module to describe.

    Raises:
        ContractError: The module cannot be described, or the module built from its description is
            different.
    """
    kind = type(module).__name__
    try:
        description = describe(module)
        again = build(description, allow=sorted(_classes(description)))
        again.load_state_dict(module.state_dict(), assign=True)  # in their precision
    except (StoryError, RuntimeError) as error:
        raise ContractError(
            f"{kind} cannot be saved and loaded: {error} Define the class at the top level of a "
            "module that can be imported, and keep each argument of its constructor as an "
            "attribute of the same name; or leave this check out with saved=False."
        ) from error
    again.train(module.training)
    found: M = again
    return found


def _classes(description: Any) -> set[str]:
    """Return the import paths of all classes that a description names."""
    if isinstance(description, list):
        return set().union(*map(_classes, description)) if description else set()
    if not isinstance(description, dict):
        return set()
    found = {description["class"]} if "class" in description else set()
    return found.union(*map(_classes, description.get("arguments", {}).values()))


def verified_rows(story: Story, y: Tensor) -> Verified:
    """Draw random verified values of rows: clean, contaminated, a true label, or nothing.

    Args:
        story: Story that the rows belong to. If the story has a latent true label, some true labels
            are verified.
        y: Observed targets, (N, *dims).

    Returns:
        Random codes that do not contradict the targets.

    Example:
        >>> from nbam_pyro import LabelFlip
        >>> y = torch.tensor([0, 2, 1, 1])
        >>> len(verified_rows(LabelFlip(nn.Linear(2, 3), 3), y))
        4
    """
    y = story.per_switch(y)
    contaminated = torch.randint(-1, 2, y.shape)
    labels = story.latent_label
    if labels is None:
        return Verified.of(y, contaminated=contaminated)
    true = torch.randint(-labels.num_classes, labels.num_classes, y.shape).clamp_min(-1)
    agrees = (true < 0) | (contaminated < 0) | ((true != y) == (contaminated == 1))
    contaminated = torch.where(agrees, contaminated, -1)
    return Verified.of(y, contaminated=contaminated, true_label=true)
