"""The contract of a detection backbone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nbam_pyro.detection import Backbone, Energies
from nbam_pyro.testing.contract import (
    check_close,
    check_learns,
    clone,
    part_of_a_user,
    rebuilt,
    require,
)

__all__ = ["check_backbone"]

_MEMBERS = 2


def check_backbone(
    backbone: Callable[..., Backbone],
    x: Tensor,
    *,
    saved: bool = True,
    unused: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Check a backbone as `AnomalyDetector` uses it, with an ensemble of two models.

    A *member* is one model of the ensemble. These properties are checked: The backbone takes the
    number of features (or of channels for images) and `members`, the number of models S. The clean
    and the anomalous energies are finite, (S, N), for all rows and for the first row alone. The
    energies are not the same for all rows. Members share neither weights nor rows. A finite
    gradient reaches every parameter. Energies are computed in double precision, too. The backbone
    can be saved and loaded.

    Args:
        backbone: Class of the backbone, or a callable with the same arguments, such as
            `functools.partial(NeuralTransformations, width=8)`.
        x: Rows, features (N, D) or images (N, C, H, W), at least three different ones.
        saved: Whether saving and loading is checked.
        unused: Names of parameters that may have no gradient.
        seed: Seed for the weights. The global random state of torch is not changed.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> from nbam_pyro.detection import DeepSVDD
        >>> check_backbone(DeepSVDD, torch.rand(20, 3))
    """
    with part_of_a_user(seed):
        rows = x.expand(_MEMBERS, *x.shape)
        made = backbone(x.shape[1], members=_MEMBERS)
        _check_kind(made, x)
        made.start(rows)
        made.eval()
        energies = _energies(made, rows)
        _energies(made, rows[:, :1])
        _check_members(made, rows, energies)
        check_learns(made, sum_of(energies), unused=unused)
        _energies(clone(made).double(), rows.double())
        if saved:
            _check_rebuilt(made, rows, energies)


def sum_of(energies: Energies) -> Tensor:
    """Return the sum of both energies of all rows, which depends on every parameter in use."""
    return energies.clean.sum() + energies.anomalous.sum()


def _check_kind(made: Backbone, x: Tensor) -> None:
    kind = type(made).__name__
    require(
        isinstance(made, Backbone),
        f"{kind} is not a Backbone: derive it from nbam_pyro.detection.Backbone.",
    )
    require(
        made.members == _MEMBERS,
        f"{kind} was created with members={_MEMBERS}, but has {made.members}: pass members on to "
        "super().__init__(members).",
    )
    require(
        x.ndim - 1 == made.row_dims,
        f"{kind} takes rows of {made.row_dims} dimensions, and rows of x have {x.ndim - 1}: set "
        "the class attribute row_dims (1 for features, 3 for images).",
    )


def _energies(made: Backbone, rows: Tensor) -> Energies:
    """Return the energies of rows, after a check of their shapes and values."""
    kind, found = type(made).__name__, made.energies(rows)
    shape = tuple(rows.shape[:2])
    require(
        isinstance(found, Energies),
        f"{kind}.energies returns a {type(found).__name__}; return Energies(clean, anomalous).",
    )
    for name, values in found._asdict().items():
        require(
            tuple(values.shape) == shape and values.dtype == rows.dtype,
            f"The {name} energies of {kind} have shape {tuple(values.shape)} and type "
            f"{values.dtype}; expected one for each row of each member, {shape}, of type "
            f"{rows.dtype}. Create its tensors in the type of the rows.",
        )
        require(
            bool(values.isfinite().all()),
            f"The {name} energies of {kind} are not finite: keep logarithms and divisions away "
            "from 0.",
        )
    return found


def _check_members(made: Backbone, rows: Tensor, energies: Energies) -> None:
    """Check that members differ and share no parameters, and that the energies of rows differ."""
    kind = type(made).__name__
    require(
        bool((energies.clean.std(1) > 0).all()),
        f"{kind} gives all rows the same clean energy: its embedding must not be constant.",
    )
    require(
        not torch.equal(energies.clean[0], energies.clean[1]),
        f"The models (members) of {kind} are all the same: give each member its own random "
        "weights, with the number of members as the first dimension of every parameter.",
    )
    mixed = torch.stack([rows[0], rows[1, :1].expand_as(rows[1])])
    says = f"A model of {kind} must not depend on the rows of another: keep members apart."
    check_close(made.energies(mixed).clean[0], energies.clean[0], says, rtol=1e-3, atol=1e-4)
    named = dict(made.named_parameters())
    both = [
        torch.autograd.grad(
            part, list(named.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for part in energies.clean.sum(1)
    ]
    for name, one, other in zip(named, *both, strict=True):
        require(
            not bool(((one != 0) & (other != 0)).any()),
            f"Two models (members) of {kind} share the parameter {name!r}: give each member its "
            "own, with the number of members as the first dimension.",
        )


def _check_rebuilt(made: Backbone, rows: Tensor, energies: Energies) -> None:
    again = rebuilt(made).energies(rows)
    says = (
        f"A {type(made).__name__} that is built again from its description has different energies: "
        "keep constants that `start` sets as buffers, and settings as arguments."
    )
    for ours, theirs in zip(again, energies, strict=True):
        check_close(ours, theirs, says)
