"""What a story is: a Pyro program with a discrete switch per datum."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor

from nbam_pyro.exclusive import exclusive
from nbam_pyro.verified import Verified

Latents = Mapping[str, Tensor]


@contextmanager
def local_parameters() -> Iterator[None]:
    """Parameters stay in their modules inside, out of Pyro's global store.

    Only inside: as a global setting it would break a user's own `SVI`. A `PyroModule` called
    inside must have been constructed inside, which `Story` sees to. One thread at a time is
    inside, since Pyro's settings and its stack of handlers belong to the whole process.
    """
    with exclusive(), pyro.settings.context(module_local_params=True):
        yield


def observe_verified(name: str, value: Tensor, verified: Tensor) -> None:
    """Let what is verified of an enumerated site speak: only states that agree with it are left.

    For `forward`, inside the plates. The observation is a factor of 1 or 0, since Pyro cannot
    observe some rows of a site and enumerate the others.

    Args:
        name: of the site; the factor's is "{name}_verified".
        value: of the site, or what matters of it, such as `kind > 0`.
        verified: its value where verified, -1 where unknown, (N, *dims).
    """
    agrees = (verified < 0) | (value == verified)
    pyro.factor(f"{name}_verified", torch.where(agrees, 0.0, -torch.inf))


class _StoryMeta(ABCMeta, type(PyroModule)):  # type: ignore[misc]
    """Lets a PyroModule have abstract methods."""


class Story(PyroModule, metaclass=_StoryMeta):  # type: ignore[metaclass]
    """A generative story that may contaminate each datum; the base of stories of your own.

    Write `forward` with Pyro's sample statements: global latents outside one
    `pyro.plate("data", num_data or len(x), subsample=x)`, everything about a datum inside it, and
    `infer={"enumerate": "parallel"}` on every discrete site. Any number of discrete sites and
    states and any names will do: `contaminated` says which states count as contamination.

    For verified rows `forward` takes the keyword `verified`, a `Verified` or None, and tells it
    inside the plate: `observe_verified("switch", z, verified.contaminated)`. A story without that
    keyword serves where nothing is verified.

    Args:
        dims: names of the dimensions of a target, where each of its elements has a switch of its
            own: ("label",) for targets (N, L), ("height", "width") for pixels (N, H, W). Inside
            `self.plates(...)` a story has one plate for the rows and one for each of them.
    """

    def __init__(self, *, dims: Sequence[str] = ()) -> None:
        with local_parameters():
            super().__init__()
        self.dims = tuple(dims)

    @contextmanager
    def plates(self, x: Tensor, shape: Sequence[int], *, num_data: int | None) -> Iterator[None]:
        """The plate "data" over rows x and one plate for each of `dims`.

        Args:
            x: a batch of rows.
            shape: of the batch's targets, (N, ...).
            num_data: rows in all, of which x is a subsample; None for those of x.
        """
        with ExitStack() as stack:
            count = len(self.dims)
            rows = pyro.plate("data", num_data or len(x), subsample=x, dim=-1 - count)
            stack.enter_context(rows)
            for i, (name, size) in enumerate(zip(self.dims, shape[1:], strict=True)):
                stack.enter_context(pyro.plate(name, size, dim=i - count))
            yield

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        num_data: int | None = None,
        verified: Verified | None = None,
    ) -> Tensor:
        """Tell the story of rows x, observed as y and verified; draw y where it is None."""

    @property
    def centre(self) -> float:
        """A number that targets are compared with in their own precision, in the units of y.

        Targets of a story whose centre is 0 are brought to the precision of its networks.
        """
        return 0.0

    def contaminated(self, states: Mapping[str, Tensor]) -> Tensor:
        """Which enumerated states count as contaminated; override it for switches of your own.

        Args:
            states: the values of every discrete site by name, broadcastable with one another.

        Returns:
            A boolean tensor, broadcastable with the values; by default `states["switch"] == 1`.
        """
        return states["switch"] == 1


class ClosedStory(Story):
    r"""A story whose switch is summed out in closed form, given its global latents.

    `log_joint` returns the pair a = log p(z=0, y | x) and b = log p(z=1, y | x), the one seam
    between a story and everything fast. It must agree with `forward`; fitting checks that once.
    """

    @abstractmethod
    def priors(self) -> dict[str, TorchDistribution]:
        """The priors of the global latents by site name; all of them, and only them."""

    @abstractmethod
    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified | None = None
    ) -> tuple[Tensor, Tensor]:
        """The pair (a, b) of every switch, each (N,) or (N, *dims), given the global latents.

        What is ruled out by what is verified is -inf.
        """

    @abstractmethod
    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        """Logit of the prior P(z=1 | x) of every switch, broadcastable to (N, *dims)."""

    @abstractmethod
    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        """What would be observed without contamination, batch shape (N, *dims)."""

    @abstractmethod
    def check_targets(self, x: Tensor, y: Tensor) -> None:
        """Raise a `DataError` that says why where y cannot be fitted."""

    def check_rows(self, x: Tensor) -> None:
        """Raise a `DataError` that says why where the story cannot read rows x."""

    @abstractmethod
    def check_verified(self, y: Tensor, verified: Verified) -> None:
        """Raise an error that says why where what is verified of targets y cannot be."""

    def sample_latents(self) -> dict[str, Tensor]:
        """Draw the global latents from `priors`, one Pyro sample site each."""
        return {name: pyro.sample(name, prior) for name, prior in self.priors().items()}
