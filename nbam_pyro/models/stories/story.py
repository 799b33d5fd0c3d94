"""What a story is: a Pyro program with a discrete switch for each datum."""

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
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.models.stories.location import Location
from nbam_pyro.models.stories.recipes import Recipe, Recipes
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.verified import NOTHING, Verified


class _StoryMeta(ABCMeta, type(PyroModule)):  # type: ignore[misc]
    """Lets a PyroModule have abstract methods."""


class Story(PyroModule, metaclass=_StoryMeta):  # type: ignore[metaclass]
    """A generative story in which each datum may be contaminated; the base of your own stories.

    Write `forward` with Pyro's sample statements: global latents outside `self.plates(...)`,
    everything about a datum inside it, and `infer={"enumerate": "parallel"}` on every discrete
    site of a datum. A story may have any number of discrete sites and states under any names:
    `contaminated` says which states count as contamination.

    That one method is enough to fit, save, load and score the story. All other methods have
    defaults, which a story overrides where it knows more.

    Verified rows enter `forward` by its argument `verified`: write
    `observe_verified("switch", z, verified.contaminated)` inside the plates. A story without that
    argument can be fitted where no row is verified.

    Args:
        dims: Names of the dimensions of a target whose elements have a switch each: ("label",)
            for targets (N, L), ("height", "width") for pixels (N, H, W). By default a target has
            one switch. `self.plates(...)` has one plate for the rows and one for each name.
    """

    def __init__(self, *, dims: Sequence[str] = ()) -> None:
        with local_parameters():
            super().__init__()
        self.dims = tuple(dims)

    @contextmanager
    def plates(self, x: Tensor, shape: Sequence[int], *, num_data: int | None) -> Iterator[None]:
        """Open the plate "data" over the rows and one plate for each of `dims`.

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
        """Run the generative program on rows.

        Args:
            x: Rows, (N, ...).
            y: Observed targets, (N, *dims); None to draw them.
            num_data: Number of rows in the whole data set; None for those of x.
            verified: What is verified of the rows.

        Returns:
            The targets, observed or drawn, (N, *dims).
        """

    @property
    def closed_form(self) -> "ClosedStory | None":
        """The story itself where its switch is summed out in closed form, else None."""
        return None

    @property
    def latent_label(self) -> "LatentLabelStory | None":
        """The story itself where it has a latent true label, else None."""
        return None

    @property
    def location(self) -> Location | None:
        """The location and scale of clean measurements, where the story has them, else None."""
        return None

    @property
    def centre(self) -> float:
        """A number that targets are compared with in their own precision, in the units of y.

        Targets of a story whose centre is 0 are converted to the precision of its networks.
        """
        return 0.0

    def contaminated(self, states: Mapping[str, Tensor]) -> Tensor:
        """Say which enumerated states count as contaminated.

        Args:
            states: Value of every discrete site by name, broadcastable with one another.

        Returns:
            A boolean tensor, broadcastable with the values; by default `states["switch"] == 1`.
        """
        return states["switch"] == 1

    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        """Return the distribution of targets without contamination.

        Args:
            x: Rows, (N, ...).
            latents: Global latents by site name.

        Returns:
            A distribution of batch shape (N, *dims).

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
            StoryError: The story does not declare a clean predictor, or it depends on latents
                whose prior the story does not list.
        """
        return self.clean_predictor(x, {})

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        """Raise a `DataError` that gives the reason where targets y of rows x cannot be fitted."""

    def check_rows(self, x: Tensor) -> None:
        """Raise a `DataError` that gives the reason where the story cannot read rows x."""

    def check_verified(self, y: Tensor, verified: Verified) -> None:
        """Raise an error that gives the reason where targets y contradict what is verified."""
        verified.check(y)

    def outside(self, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
        """Return which targets have no probability under contamination, booleans (N, *dims)."""
        return torch.zeros_like(y, dtype=torch.bool)

    def comparable(
        self, x: Tensor, predicted: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions and targets in the form in which a `CollapseReport` compares them.

        Args:
            x: Rows, (N, ...).
            predicted: Class probabilities (N, *dims, K), or means (N, *dims).
            y: Observed targets, (N, *dims).
        """
        return predicted, y

    @property
    def collapse_advice(self) -> str:
        """A sentence that says what to do where a fit of this story has collapsed."""
        return "Use the default steps, a smaller network or fewer epochs."

    def default_steps(self, recipes: Recipes) -> Recipe:
        """Choose the steps of `fit` where its caller gives none.

        Args:
            recipes: The library's recipes, one method each. A story may return one of them, or a
                list of steps of its own.
        """
        return recipes.joint()

    def reported(self, latents: Latents) -> dict[str, Tensor]:
        """Return one draw of the global latents as a DataTree shows it; by default as it is."""
        return dict(latents)

    @property
    def reported_dims(self) -> dict[str, list[str]]:
        """Names of the dimensions of what `reported` returns, by site; by default none."""
        return {}

    def on_predictions(self, x: Tensor) -> tuple["Story", Tensor]:
        """Return an equal story whose rows are what the networks predict of rows x, and these.

        Markov chains run on it, so that no network runs at each of their steps. The default, which
        serves every story, is the story itself and x.
        """
        return self, x


class ClosedStory(Story):
    r"""A story whose switch is summed out in closed form, given its global latents.

    `log_joint` returns the pair a = log p(z=0, y | x) and b = log p(z=1, y | x), from which
    responsibilities and log marginals follow. It must agree with `forward`; `fit` checks that once.
    """

    @property
    def closed_form(self) -> "ClosedStory":
        return self

    @abstractmethod
    def priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the global latents by site name: all of them, and only them."""

    @abstractmethod
    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> tuple[Tensor, Tensor]:
        """Return the pair (a, b) of every switch, each (N, *dims), given the global latents.

        States that contradict what is verified have the value -inf.
        """

    @abstractmethod
    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        """Return the logit of the prior P(z=1 | x), broadcastable to (N, *dims)."""

    @abstractmethod
    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution: ...

    def initial_predictor(self, x: Tensor) -> TorchDistribution:
        return self.clean_predictor(x, self.prior_means())

    def prior_means(self) -> dict[str, Tensor]:
        """Return the prior mean of every global latent by site name."""
        return {name: prior.mean for name, prior in self.priors().items()}

    def sample_latents(self) -> dict[str, Tensor]:
        """Draw the global latents from `priors`, one Pyro sample site each."""
        return {name: pyro.sample(name, prior) for name, prior in self.priors().items()}


class LatentLabelStory(ClosedStory):
    """A story with a latent true label that is observed as it is, or flipped to another class.

    The steps of the recipe for labels and the report on identifiability need these methods.

    Attributes:
        num_classes: Number of classes, K.
        prior: Pseudo-counts of rates and flips; None for `FlipPrior()`.
    """

    num_classes: int
    prior: FlipPrior | None

    @property
    def latent_label(self) -> "LatentLabelStory":
        return self

    @property
    @abstractmethod
    def deviates(self) -> bool:
        """Whether the rate of a row depends on more than its true label."""

    @abstractmethod
    def log_predictor(self, x: Tensor, latents: Latents) -> tuple[Tensor, Tensor | None]:
        """Return log f = log p(c | x), (N, *dims, K), and the deviation g(x), (N,), or None."""

    @abstractmethod
    def rates_and_flips(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Return the logits of the rates, (K,), and log T with -inf on its diagonal, (K, K)."""

    @abstractmethod
    def rate_given(self, x: Tensor, latents: Latents) -> Tensor:
        """Return the rate of each true class, averaged over rows x by their probability, (K,)."""

    @abstractmethod
    def deviation_inputs(self, x: Tensor) -> Tensor:
        """Return what the deviation g depends on, (N, inputs).

        Raises:
            StoryError: No rate deviates.
        """

    @abstractmethod
    def deviation(self, inputs: Tensor, latents: Latents) -> Tensor:
        """Return what each row adds to the logit of its rate, (N,), given `deviation_inputs`."""

    @abstractmethod
    def true_label_log_posterior(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> Tensor:
        """Return log p(c | x, y), (N, *dims, K), given what is verified."""

    @abstractmethod
    def of_predictions(self, **changes: Any) -> "LatentLabelStory":
        """Return a story with the same prior whose rows are log probabilities of classes."""
