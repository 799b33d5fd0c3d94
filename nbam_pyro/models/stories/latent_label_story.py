"""`LatentLabelStory`, a story in which the true label is a latent variable."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.priors.clean_error import CleanError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.models.stories.closed_story import ClosedStory
from nbam_pyro.verified import NOTHING, Verified


class LatentLabelStory(ClosedStory):
    """A story with a latent true label, which is observed unchanged or flipped to another class.

    The *rate* of a class is the probability that its labels are flipped. Row c of the *flip
    matrix* T holds the probabilities of the classes that a flipped label of true class c gets. The
    default steps for labels and the verdict use the methods below.

    Attributes:
        num_classes: Number of classes K.
        prior: Pseudo-counts of contamination rates and flips; None for `FlipPrior()`.
        clean_error: Prior of the part of the disagreement with labels that is the network's own
            error; None for the library's default.
        difficulty: How much more often labels are wrong where the network hesitates; None for not
            known.
    """

    num_classes: int
    prior: FlipPrior | None
    clean_error: CleanError | None = None
    difficulty: float | None = None

    @property
    def latent_label(self) -> "LatentLabelStory":
        return self

    @property
    @abstractmethod
    def deviates(self) -> bool:
        """Whether the rate of a row also depends on its features or its group."""

    @abstractmethod
    def log_predictor(self, x: Tensor, latents: Latents) -> tuple[Tensor, Tensor | None]:
        """Return log f and the deviation g(x), which is added to the logit of a row's rate.

        Args:
            x: Rows, (N, ...).
            latents: Values of the global latents by site name.

        Returns:
            log f = log p(c | x), (N, *dims, K), and g(x), (N,), or None if the rate depends on the
            true label only.
        """

    @abstractmethod
    def rates_and_flips(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Return the logits of the rates, (K,), and log T with -inf on its diagonal, (K, K).

        Args:
            latents: Values of the global latents by site name.
        """

    @abstractmethod
    def rate_given(self, x: Tensor, latents: Latents) -> Tensor:
        """Return the mean rate of each true class, (K,).

        The mean is over the rows x, weighted by their probability of the class.

        Args:
            x: Rows, (N, ...).
            latents: Values of the global latents by site name.
        """

    @abstractmethod
    def deviation_inputs(self, x: Tensor) -> Tensor:
        """Return the inputs of the deviation g, (N, inputs).

        Args:
            x: Rows, (N, ...).

        Raises:
            StoryError: The rate of a row depends on its true label only.
        """

    @abstractmethod
    def deviation(self, inputs: Tensor, latents: Latents) -> Tensor:
        """Return the deviation g, the number that is added to the logit of a row's rate, (N,).

        Args:
            inputs: Result of `deviation_inputs` for the rows, (N, inputs).
            latents: Values of the global latents by site name.
        """

    @abstractmethod
    def true_label_log_posterior(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> Tensor:
        """Return log p(c | x, y), (N, *dims, K), given verified values.

        Args:
            x: Rows, (N, ...).
            y: Observed labels, (N, *dims).
            latents: Values of the global latents by site name.
            verified: Verified switches and true labels of the rows.
        """

    @abstractmethod
    def of_predictions(self, **changes: Any) -> "LatentLabelStory":
        """Return a story with the same prior whose rows are log class probabilities.

        Args:
            changes: Arguments of the constructor that differ from this story's.
        """
