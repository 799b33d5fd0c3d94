"""Pyro sites of a story: where parameters are kept, and observations of verified rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyro
import torch
from torch import Tensor

from nbam_pyro.training.contexts import exclusive


@contextmanager
def local_parameters() -> Iterator[None]:
    """Keep parameters in their modules inside the block, out of Pyro's global store.

    As a global setting this would break a user's own `SVI`. A `PyroModule` that is called inside
    the block must have been constructed inside one, which `Story` takes care of. One thread at a
    time is inside, since Pyro's settings and its stack of handlers belong to the whole process.
    """
    with exclusive(), pyro.settings.context(module_local_params=True):
        yield


def observe_verified(name: str, value: Tensor, verified: Tensor) -> None:
    """Condition an enumerated site on what is verified of it, inside the plates of `forward`.

    States that contradict a verified value get probability 0. The observation is a factor of 1 or
    0, since Pyro cannot observe some rows of a site and enumerate the others.

    Args:
        name: Name of the site. The factor is called "{name}_verified".
        value: Value of the site, or a function of it, such as `kind > 0`.
        verified: Verified value of each row, -1 where it is unknown, (N, *dims). An empty tensor
            where nothing is verified.
    """
    if not len(verified):
        return
    agrees = (verified < 0) | (value == verified)
    pyro.factor(f"{name}_verified", torch.where(agrees, 0.0, -torch.inf))
