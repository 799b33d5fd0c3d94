"""`LabelFlip`, a story with a latent true label: the default for classification."""

import math
from collections.abc import Sequence
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.ops.indexing import Vindex
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.checks.memory import check_flip_memory
from nbam_pyro.errors import StoryError
from nbam_pyro.models.inducing import InducingFeatures
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import check_classes
from nbam_pyro.models.priors.clean_error import CleanError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.models.stories.deviation import RateDeviation
from nbam_pyro.models.stories.label_checks import check_label_range, check_labels, check_settings
from nbam_pyro.models.stories.last_layer import last_layer_priors, last_width, with_fixed_last_layer
from nbam_pyro.models.stories.latent_label_story import LatentLabelStory
from nbam_pyro.models.stories.recipes import Recipe, Recipes
from nbam_pyro.models.stories.sites import observe_verified
from nbam_pyro.models.stories.story import Story
from nbam_pyro.training.tensors import at_least_single
from nbam_pyro.verified import NOTHING, Verified


class LabelFlip(LatentLabelStory):
    r"""A story for labels: the true label is observed unchanged or flipped to another class.

    .. math::
        \mathrm{rate}_c \sim \mathrm{Beta}, \qquad
        T_c \sim \mathrm{Dirichlet} \text{ over the other classes} \\
        c_i \sim \mathrm{Categorical}(f_\theta(x_i)), \qquad
        z_i \sim \mathrm{Bernoulli}\big(\sigma(\mathrm{logit}\,\mathrm{rate}_{c_i} + g(x_i))\big) \\
        y_i = c_i \text{ if } z_i = 0, \qquad y_i \sim T_{c_i} \text{ if } z_i = 1

    Row i has the true label c_i, the observed label y_i, and the switch z_i, which is 1 where the
    observed label is wrong (contaminated). The *responsibility* is P(z=1 | x, y), the probability
    that the label is wrong. The sites of a row are "true_label", "switch" and "y".

    The network f is a point estimate. The global latents, which all rows share, are the
    contamination rates of the true classes, site "rate" (K,), and the rows of the flip matrix T,
    site "flip" (K, K-1).

    The diagonal of T is 0; therefore z = 1 means c != y. The likelihood alone does not identify f
    and the transition matrix M = p(observed | true). They are identified by *anchors*, rows with a
    nearly certain true label, together with the start of the fit. The default steps of `fit`
    estimate this start from the anchors.

    Args:
        network: Network that maps x to the logits of the true label, (N, K), or (N, K, *dims) as
            for torch's losses.
        num_classes: Number of classes K, at least 2.
        prior: Pseudo-counts of contamination rates and flips; None for `FlipPrior()`.
        locality: Prior standard deviation of the weights w of the deviation g(x) = w . h(x), the
            site "deviation"; 0 for no deviation. With a deviation, a row gets a higher rate if its
            features are similar to the features of probably wrong rows. h are the standardised
            features before the network's last layer. No gradient flows from g into the network.
        over: Features of the coordinates of a row, such as its time or its place. The deviation
            g(x) is then a Gaussian process over these coordinates, with the standard deviation
            `locality`, instead of a linear function of the network's features. The last columns or
            channels of x (before the code of a group) are the coordinates, and the network takes x
            without them. None for the network's features.
        groups: Number of groups of rows (sources, annotators or batches); each group has its own
            deviation. 0 for no groups. The last column or channel of x is the code of a row's
            group. As in `GroupSwitch`, the deviation of a small group is shrunk towards the average
            (partial pooling). The sites are "group" and "group_spread".
        last_layer: Prior standard deviation of the weights of the network's last layer. The fit
            then estimates a posterior of these weights, the sites "weight" (K, D) and "bias" (K,).
            0 for point estimates.
        clean_error: Prior of the part of the disagreement with labels that is the network's own
            error, among rows that networks predict without their labels. It decides how many labels
            the fit regards as wrong, and does not act on training. None for the library's default,
            which depends on what can be seen (docs/explanation/sharpness.md).
        difficulty: How much more often labels are wrong where the network hesitates, as people's
            labels are: a number d, 0 or more. At a row where two classes are equally probable, the
            log odds of a wrong label are d higher than at a row with a certain prediction, and the
            share d / (1 + d) of the wrong labels follows the predictions of the row, so that most
            of them are its second class. Like `clean_error`, it acts on the rows of the fit, and
            neither on training nor on new rows. None for 0, unless verified rows show otherwise;
            the verdict states both shares.
        dims: Names of the dimensions of a target whose elements have a label each, such as
            ("height", "width") for segmentation; () for one label per row.

    Raises:
        DataError: There are fewer than two classes, T does not fit into memory, a number is
            negative or not finite, or `over` is given and locality is 0.
        StoryError: locality (without `over`) or last_layer is given and the network is not an
            `nn.Sequential` that ends in `nn.Linear`; locality, groups or last_layer is given
            together with dims; or difficulty is given together with last_layer.

    Source: the latent switch is that of NBAM (arXiv 2606.16524). Without g and without anchors,
    the story is the noise-transition layer of Goldberger & Ben-Reuven (2017) and of Patrini et al.
    (2017).

    Example:
        >>> story = LabelFlip(nn.Linear(4, 3), 3)
        >>> {name: tuple(prior.mean.shape) for name, prior in story.priors().items()}
        {'rate': (3,), 'flip': (3, 2)}
    """

    rate_counts: Tensor
    flip_counts: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        prior: FlipPrior | None = None,
        locality: float = 0.0,
        over: InducingFeatures | None = None,
        groups: int = 0,
        last_layer: float = 0.0,
        clean_error: CleanError | None = None,
        difficulty: float | None = None,
        dims: Sequence[str] = (),
    ) -> None:
        super().__init__(dims=dims)
        check_classes(num_classes)
        check_settings(
            locality=locality,
            over=over is not None,
            groups=groups,
            last_layer=last_layer,
            difficulty=difficulty,
            dims=dims,
        )
        check_flip_memory(num_classes)
        if last_layer:
            network = with_fixed_last_layer(network)
        self.network = network
        self.num_classes = num_classes
        self.prior = prior
        self.locality = locality
        self.over = over
        self.groups = groups
        self.last_layer = last_layer
        self.clean_error = clean_error
        self.difficulty = difficulty
        own = locality and over is None
        self.features = last_width(network) if own or last_layer else 0
        columns = self.features if over is None else over.points
        self.rate_deviation = RateDeviation(
            features=columns if locality else 0, scale=locality, groups=groups, over=over
        )
        prior = prior or FlipPrior()
        rate = torch.tensor([float(count) for count in prior.rate])
        self.register_buffer("rate_counts", rate.repeat(num_classes, 1))
        flip = torch.full((num_classes, num_classes - 1), float(prior.flip))
        self.register_buffer("flip_counts", flip)

    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        num_data: int | None = None,
        verified: Verified = NOTHING,
    ) -> Tensor:
        latents = self.sample_latents()
        alpha, log_flip = self.rates_and_flips(latents)
        log_f, g = self.log_predictor(x, latents)
        log_keep = torch.eye(self.num_classes).to(log_flip).log()
        observed = torch.stack([log_keep, log_flip])  # (switch, true label, observed label)
        with self.plates(x, log_f.shape[:-1], num_data=num_data):
            c = pyro.sample(
                "true_label", dist.Categorical(logits=log_f), infer={"enumerate": "parallel"}
            )
            logits = alpha[c] if g is None else alpha[c] + g
            z = pyro.sample(
                "switch", dist.Bernoulli(logits=logits), infer={"enumerate": "parallel"}
            )
            observe_verified("true_label", c, verified.true_label, dtype=log_f.dtype)
            observe_verified("switch", z, verified.contaminated, dtype=log_f.dtype)
            emission = Vindex(observed)[z.long(), c]
            return pyro.sample("y", dist.Categorical(logits=emission), obs=y)

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.rate_counts.unbind(-1)
        sites: dict[str, TorchDistribution] = {
            "rate": dist.Beta(a, b, validate_args=False).to_event(1),
            "flip": dist.Dirichlet(self.flip_counts, validate_args=False).to_event(1),
            **self.rate_deviation.priors(self.rate_counts),
        }
        if self.last_layer:
            scale = self.rate_counts.new_tensor(self.last_layer)
            sites |= last_layer_priors(self.num_classes, self.features, scale)
        return sites

    def rates_and_flips(self, latents: Latents) -> tuple[Tensor, Tensor]:
        # A small entry of T may underflow to 0, whose logarithm has no finite gradient.
        flip = latents["flip"].clamp_min(torch.finfo(latents["flip"].dtype).tiny)
        return latents["rate"].logit(), nf.zero_diagonal(flip.log(), fill=-math.inf)

    def default_steps(self, recipes: Recipes) -> Recipe:
        return recipes.joint() if self.last_layer else recipes.labels(self.num_classes)

    @property
    def deviates(self) -> bool:
        return bool(self.locality or self.groups)

    def log_predictor(self, x: Tensor, latents: Latents) -> tuple[Tensor, Tensor | None]:
        rows = self.rate_deviation.split(x)
        h = self.network[:-1](rows.x) if self.features else None  # type: ignore[index]
        logits = self.network(rows.x).movedim(1, -1) if h is None else self._logits(h, latents)
        inputs = self.rate_deviation.inputs(h, rows, self.rate_counts)
        g = None if inputs is None else at_least_single(self.deviation(inputs, latents))
        return at_least_single(logits).log_softmax(-1), g

    def deviation(self, inputs: Tensor, latents: Latents) -> Tensor:
        return self.rate_deviation.of(inputs, latents)

    def deviation_inputs(self, x: Tensor) -> Tensor:
        """Return the standardised features and the code of the group, (N, inputs).

        Args:
            x: Rows, (N, ...).

        Raises:
            StoryError: The story has neither locality nor groups.
        """
        rows = self.rate_deviation.split(x)
        own = self.locality and self.over is None
        h = self.network[:-1](rows.x) if own else None  # type: ignore[index]
        inputs = self.rate_deviation.inputs(h, rows, self.rate_counts)
        if inputs is None:
            raise StoryError(
                "The story has neither locality nor groups, so all rows of a class have the same "
                "rate: create the story with locality=... or groups=...."
            )
        return inputs

    def _logits(self, h: Tensor, latents: Latents) -> Tensor:
        """Return the logits of the true label, (N, K), given the features before the last layer."""
        if self.last_layer:
            return nn.functional.linear(h, latents["weight"], latents["bias"])
        return self.network[-1](h)  # type: ignore[index]

    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> tuple[Tensor, Tensor]:
        log_f, g = self.log_predictor(x, latents)
        rows, labels = log_f.flatten(end_dim=-2), y.flatten()
        known = verified.flatten().codes
        a, b = nf.label_flip_log_joint(rows, labels, *self.rates_and_flips(latents), g, **known)
        return a.reshape(y.shape), b.reshape(y.shape)

    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        log_f, g = self.log_predictor(x, latents)
        rows = log_f.flatten(end_dim=-2)
        logits = nf.label_flip_switch_logits(rows, latents["rate"].logit(), g)
        return logits.reshape(log_f.shape[:-1])

    def true_label_log_posterior(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> Tensor:
        log_f, g = self.log_predictor(x, latents)
        rows, labels = log_f.flatten(end_dim=-2), y.flatten()
        known = verified.flatten().codes
        alpha, log_flip = self.rates_and_flips(latents)
        posterior = nf.label_flip_log_posterior(rows, labels, alpha, log_flip, g, **known)
        return posterior.reshape(log_f.shape)

    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Categorical(logits=self.log_predictor(x, latents)[0], validate_args=False)

    def initial_predictor(self, x: Tensor) -> TorchDistribution:
        if self.last_layer:
            raise StoryError(
                "The last layer has a posterior, so the network cannot be warmed up: fit a story "
                "with last_layer=0 first, and pass its values to StartFrom before Joint."
            )
        return super().initial_predictor(x)

    def reported(self, latents: Latents) -> dict[str, Tensor]:
        # Column j of "flip" is a different class in different rows, so T is reported instead.
        others = {name: value for name, value in latents.items() if name != "flip"}
        flip = nf.zero_diagonal(latents["flip"])
        matrix = nf.transition_matrix(latents["rate"], flip)
        return others | {"flip_matrix": flip, "transition_matrix": matrix}

    @property
    def reported_dims(self) -> dict[str, list[str]]:
        matrix = ["true_label", "observed_label"]
        return {
            "rate": ["true_label"],
            "transition_matrix": matrix,
            "flip_matrix": matrix,
            "bias": ["true_label"],
            "weight": ["true_label", "feature"],
        }

    def of_predictions(self, **changes: Any) -> "LabelFlip":
        return LabelFlip(nn.Identity(), self.num_classes, prior=self.prior, **changes)

    def on_predictions(self, x: Tensor) -> tuple[Story, Tensor]:
        # A derived class may have another log_joint, so only LabelFlip itself is replaced.
        if type(self) is not LabelFlip or self.deviates or self.last_layer:
            return self, x
        log_f = self.log_predictor(x, {})[0]
        return self.of_predictions(dims=self.dims).to(log_f), log_f.movedim(-1, 1)

    def rate_given(self, x: Tensor, latents: Latents) -> Tensor:
        log_f, g = self.log_predictor(x, latents)
        if g is None:
            return latents["rate"]
        f = log_f.exp()
        return (f * (latents["rate"].logit() + g[:, None]).sigmoid()).sum(0) / f.sum(0)

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        check_labels(y, dims=self.dims)
        self.check_rows(x)
        check_label_range(y, num_classes=self.num_classes)

    def check_rows(self, x: Tensor) -> None:
        self.rate_deviation.check_rows(x)

    def check_verified(self, y: Tensor, verified: Verified) -> None:
        verified.check(y, num_classes=self.num_classes)
