"""`Story`, the base class of generative stories, and how to write a story of your own."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.stories.location import Location
from nbam_pyro.models.stories.recipes import Recipe, Recipes
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.verified import NOTHING, Verified


class _StoryMeta(ABCMeta, type(PyroModule)):  # type: ignore[misc]
    """The metaclass of a `PyroModule` that has abstract methods."""


class Story(PyroModule, metaclass=_StoryMeta):  # type: ignore[metaclass]
    """A generative story in which each target may be contaminated; the base of your own stories.

    A story is a Pyro program that generates the targets y of rows x, including the wrong
    targets. Derive a class from `Story` and write two methods:

    1. `forward` is the program, written with `pyro.sample`. Sample *global latents*, which all rows
       share, before `self.plates(...)`. Sample everything that belongs to one row inside it. Mark
       every discrete site of a row with `infer={"enumerate": "parallel"}`: Pyro then sums over all
       its states. Sites may have any names and any number of states.
    2. `contaminated` returns which of these states count as contaminated. By default it is the
       state 1 of a site named "switch".

    `fit`, `responsibilities`, `save` and `load` work with every such story. All other methods have
    defaults. Override a default to give more information. For example, a story with a
    `clean_predictor` can predict clean targets and use `WarmUp`.

    The argument `verified` has the verified contamination of rows. Call `observe_verified` inside
    the plates to use it, as below. A story whose `forward` has no such argument can be fitted to
    data without verified rows.

    Store every argument of the constructor in an attribute of the same name, so that a fit of the
    story can be saved and loaded.

    Args:
        dims: Names of the dimensions of a target whose elements have a switch each, such as
            ("label",) for targets (N, L) or ("height", "width") for pixels (N, H, W). By default
            a target has one switch. `self.plates(...)` has one plate for the rows and one for each
            name.

    Example:
        Rows hold the temperature that a reliable thermometer measured. Targets are what observers
        wrote down: the temperature with an error of about 1 degree, the same in Fahrenheit, or any
        number. Each row therefore has a discrete site "kind" with three states: 0 is clean, and 1
        and 2 are contaminated.

        >>> import pyro
        >>> import pyro.distributions as dist
        >>> import torch
        >>> from nbam_pyro import Story, fit, responsibilities
        >>> from nbam_pyro.inference import Joint
        >>> from nbam_pyro.models import observe_verified
        >>> from nbam_pyro.verified import NOTHING
        >>> class Temperatures(Story):
        ...     def forward(self, x, y=None, *, num_data=None, verified=NOTHING):
        ...         shares = pyro.sample("shares", dist.Dirichlet(torch.tensor([8.0, 1.0, 1.0])))
        ...         celsius = x[:, 0]
        ...         with self.plates(x, x.shape[:1], num_data=num_data):
        ...             kind = pyro.sample(
        ...                 "kind", dist.Categorical(shares), infer={"enumerate": "parallel"}
        ...             )
        ...             observe_verified("kind", kind > 0, verified.contaminated)
        ...             mean = torch.where(kind == 1, 1.8 * celsius + 32, celsius)
        ...             scale = torch.where(kind == 2, 50.0, 1.0)
        ...             return pyro.sample("written", dist.Normal(mean, scale), obs=y)
        ...
        ...     def contaminated(self, states):
        ...         return states["kind"] > 0

        Below, the target of row 1 is in Fahrenheit, and that of row 2 is an arbitrary number. The
        *responsibility* of a row is the probability that its target is contaminated, P(z=1 | x, y).

        >>> x = torch.linspace(0.0, 30.0, 60)[:, None]
        >>> y = x[:, 0] + torch.sin(37 * x[:, 0])
        >>> y[1], y[2] = 1.8 * x[1, 0] + 32, -70.0
        >>> fitted = fit(Temperatures(), (x, y), steps=[Joint(epochs=5)], held_out=0)
        >>> responsibilities(fitted, x[:4], y[:4]) > 0.5
        array([False,  True,  True, False])
    """

    def __init__(self, *, dims: Sequence[str] = ()) -> None:
        with local_parameters():
            super().__init__()
        self.dims = tuple(dims)

    @contextmanager
    def plates(self, x: Tensor, shape: Sequence[int], *, num_data: int | None) -> Iterator[None]:
        """Open the Pyro plate "data" over the rows, and one plate for each of `dims`.

        Args:
            x: Rows of a batch, (N, ...).
            shape: Shape of the batch's targets, (N, *dims).
            num_data: Number of rows in the whole data set, of which the batch is a subsample;
                None where the batch is the whole data set.
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
        verified: Verified = NOTHING,
    ) -> Tensor:
        """Run the generative program.

        Args:
            x: Rows, (N, ...).
            y: Observed targets, (N, *dims); None to draw targets.
            num_data: Number of rows in the whole data set, of which x is a subsample; None where x
                is the whole data set.
            verified: Verified switches and true labels of the rows. The library calls `forward`
                without this argument if nothing is verified.

        Returns:
            The targets, observed or drawn, (N, *dims).
        """

    @property
    def closed_form(self) -> Any:
        """The story itself, a `ClosedStory`, if its switch is summed out exactly; None if not."""
        return None

    @property
    def latent_label(self) -> Any:
        """The story itself, a `LatentLabelStory`, if it has a latent true label; None if not."""
        return None

    @property
    def location(self) -> Location | None:
        """Location and scale of clean measurements; None if the story has no such numbers."""
        return None

    @property
    def centre(self) -> float:
        """A number near the targets, in the units of y.

        The story subtracts it in the precision of the targets, so targets far from 0 keep their
        digits. If it is 0, targets are converted to the precision of the story's networks.
        """
        return 0.0

    def per_switch(self, y: Tensor) -> Tensor:
        """Return one element of the targets for each switch, (N, *dims).

        Args:
            y: Targets, (N, *dims), or (N, *dims, ...) if several elements share a switch.
        """
        return y.flatten(1 + len(self.dims))[..., 0] if y.ndim > 1 + len(self.dims) else y

    def contaminated(self, states: Mapping[str, Tensor]) -> Tensor:
        """Return which states of the discrete sites count as contaminated.

        Args:
            states: Value of every discrete site of a row by site name. The values are broadcastable
                with one another.

        Returns:
            A boolean tensor, broadcastable with the values; by default `states["switch"] == 1`.
        """
        return states["switch"] == 1

    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        """Return the distribution of targets without contamination.

        Args:
            x: Rows, (N, ...).
            latents: Values of the global latents by site name.

        Returns:
            A distribution with batch shape (N, *dims).

        Raises:
            StoryError: The story does not declare a clean predictor.
        """
        raise StoryError(
            f"{type(self).__name__} does not declare a clean predictor: give it a method "
            "clean_predictor(x, latents) that returns a distribution."
        )

    @property
    def predicts(self) -> bool:
        """Whether the story declares a clean predictor."""
        return type(self).clean_predictor is not Story.clean_predictor

    def initial_predictor(self, x: Tensor) -> TorchDistribution:
        """Return the clean predictor before the global latents are fitted.

        Args:
            x: Rows, (N, ...).

        Raises:
            StoryError: The story does not declare a clean predictor, or the predictor depends on
                global latents whose priors the story does not return.
        """
        return self.clean_predictor(x, {})

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        """Raise a `DataError` that states the reason if targets y of rows x cannot be fitted."""

    def check_rows(self, x: Tensor) -> None:
        """Raise a `DataError` that states the reason if the story cannot use rows x."""

    def check_verified(self, y: Tensor, verified: Verified) -> None:
        """Raise an error that states the reason if targets y contradict verified values."""
        verified.check(self.per_switch(y))

    def outside(self, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
        """Return which targets are impossible, booleans (N, *dims); by default none.

        Such targets count as contaminated when they are scored.

        Args:
            x: Rows, (N, ...).
            y: Targets, (N, *dims).
            latents: Values of the global latents by site name.
        """
        return torch.zeros_like(self.per_switch(y), dtype=torch.bool)

    def comparable(
        self, x: Tensor, predicted: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions and targets in the form in which a `CollapseReport` compares them.

        Args:
            x: Rows, (N, ...).
            predicted: Class probabilities, (N, *dims, K), or means, (N, *dims).
            y: Observed targets, (N, *dims).
        """
        return predicted, y

    @property
    def collapse_advice(self) -> str:
        """Sentence that says what to change if a fit of this story has collapsed."""
        return "Use the default steps, a smaller network or fewer epochs."

    def default_steps(self, recipes: Recipes) -> Recipe:
        """Return the steps that `fit` runs if the caller gives no steps.

        Args:
            recipes: The library's recipes, one method each. A story returns the result of one of
                these methods, or another list of steps.
        """
        return recipes.joint() if any(True for _ in self.parameters()) else recipes.modes()

    def starts(self, x: Tensor, y: Tensor, *, seed: int) -> Iterator[Latents]:
        """Yield starting values of the global latents, besides draws from their prior.

        `Explore` starts from all of them. By default there are none. Override this method where you
        know robust estimates.

        Args:
            x: Some rows, (N, ...).
            y: Observed targets, (N, *dims).
            seed: Seed of random choices.

        Yields:
            Values by site name. Latents that are left out start at their prior mean.
        """
        yield from ()

    def reported(self, latents: Latents) -> dict[str, Tensor]:
        """Convert one draw of the global latents to the form of reports; unchanged by default."""
        return dict(latents)

    @property
    def reported_dims(self) -> dict[str, list[str]]:
        """Names of the dimensions of the arrays from `reported`, by site name; by default empty."""
        return {}

    def on_predictions(self, x: Tensor) -> tuple["Story", Tensor]:
        """Return an equivalent story that takes predictions as rows, and the predictions of rows x.

        Markov chains call it once and then need no network. The default returns the story and x.
        """
        return self, x
