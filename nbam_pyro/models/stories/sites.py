"""Pyro sites of a story: storage of parameters, and observations of verified rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyro
import torch
from torch import Tensor

from nbam_pyro.training.contexts import exclusive


@contextmanager
def local_parameters() -> Iterator[None]:
    """Store parameters in their modules inside the block, and not in Pyro's global store.

    A `PyroModule` that is called inside such a block must also have been constructed inside one;
    the constructor of `Story` does this. The setting holds only inside the block, since it would
    break other programs that use Pyro's `SVI`. Only one thread at a time can run such a block,
    because Pyro's settings and its stack of handlers belong to the whole process.
    """
    with exclusive(), pyro.settings.context(module_local_params=True):
        yield


def observe_verified(
    name: str, value: Tensor, verified: Tensor, *, dtype: torch.dtype | None = None
) -> None:
    """Condition an enumerated site on verified values; call it inside the plates of `forward`.

    States that contradict a verified value get probability 0. The site stays enumerated, and a
    factor of 1 or 0 is added, since Pyro cannot observe a site in some rows and enumerate it in
    others.

    Args:
        name: Name of the site. The factor is named "{name}_verified".
        value: Value of the site, or a function of it, such as `kind > 0`.
        verified: Verified value of each target, or -1 where it is unknown, (N, *dims); an empty
            tensor where nothing is verified.
        dtype: Type of the factor; give that of the story's log probabilities, since Pyro does not
            mix types. None for torch's default type.

    Example:
        The second of three rows is verified as contaminated. The state z = 0 of this row therefore
        has probability 0:

        >>> import pyro.distributions as dist
        >>> def program():
        ...     with pyro.plate("data", 3):
        ...         z = pyro.sample("switch", dist.Bernoulli(0.5))
        ...         observe_verified("switch", z, torch.tensor([-1, 1, -1]))
        >>> clean = pyro.condition(program, {"switch": torch.zeros(3)})
        >>> trace = pyro.poutine.trace(clean).get_trace()
        >>> trace.compute_log_prob()
        >>> trace.nodes["switch_verified"]["log_prob"]
        tensor([0., -inf, 0.])
    """
    if not len(verified):
        return
    agrees = (verified < 0) | (value == verified)
    factor = torch.where(agrees, 0.0, -torch.inf)
    pyro.factor(f"{name}_verified", factor if dtype is None else factor.to(dtype))
