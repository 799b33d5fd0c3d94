"""The latent true label: the default story for classification."""

import copy
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
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import check_classes
from nbam_pyro.models.priors.groups import check_groups, group_deviation, group_priors, split_groups
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.models.stories.recipes import Recipe, Recipes
from nbam_pyro.models.stories.sites import observe_verified
from nbam_pyro.models.stories.latent_label_story import LatentLabelStory
from nbam_pyro.models.stories.story import Story
from nbam_pyro.verified import NOTHING, Verified


class LabelFlip(LatentLabelStory):
    r"""A true label that is observed as it is, or flipped to another class.

    .. math::
        \mathrm{rate}_c \sim \mathrm{Beta}, \qquad
        T_c \sim \mathrm{Dirichlet} \text{ over the other classes} \\
        c_i \sim \mathrm{Categorical}(f_\theta(x_i)), \qquad
        z_i \sim \mathrm{Bernoulli}\big(\sigma(\mathrm{logit}\,\mathrm{rate}_{c_i} + g(x_i))\big) \\
        y_i = c_i \text{ if } z_i = 0, \qquad y_i \sim T_{c_i} \text{ if } z_i = 1

    The network is a point estimate; rates and rows of T are global latents, the sites "rate"
    (K,) and "flip" (K, K-1). Sites of a datum: "true_label", "switch", "y".

    The zero diagonal of T makes z = 1 mean c != y and no more: f and M = p(observed | true) are
    identified by rows whose true label is nearly certain and by the start that anchors give (the
    default steps of `fit`), not by the likelihood alone.

    Args:
        network: x -> logits of the true label, (N, K), or (N, K, *dims) as torch's losses take
            them.
        num_classes: K, at least 2.
        prior: pseudo-counts of rates and flips; None for `FlipPrior()`.
        locality: standard deviation of the prior on the weights of the input-dependent deviation
            g(x) = w . h(x), through which rows near known corruptions become more suspect; h are
            the standardised features before the network's last layer, which get no gradient from
            g. 0 means no deviation. Site "deviation".
        groups: how many groups (source, annotator, batch) have a deviation of their own,
            partially pooled as by `GroupSwitch`; the code of its group is the last column or
            channel of every row. 0 for none. Sites "group" and "group_spread".
        last_layer: standard deviation of the Normal prior on the weights of the network's last
            layer, which then have a posterior: the sites "weight" (K, D) and "bias" (K,). 0 for
            point estimates.
        dims: names of the dimensions of a target whose elements are labels of their own, such as
            ("height", "width") for segmentation; none by default.

    Raises:
        DataError: fewer than two classes, more than T has memory for, or a negative number.
        StoryError: locality and last_layer need a network that is an `nn.Sequential` ending in
            `nn.Linear`, and these and groups need one label per row.

    Source: the latent switch is NBAM's (arXiv 2606.16524); without g and without anchors this is
    the noise-transition layer (Goldberger & Ben-Reuven 2017; Patrini et al. 2017).

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
        groups: int = 0,
        last_layer: float = 0.0,
        dims: Sequence[str] = (),
    ) -> None:
        super().__init__(dims=dims)
        check_classes(num_classes)
        for name, value in (("locality", locality), ("last_layer", last_layer)):
            if value < 0:
                raise DataError(f"{name} is {value}; it is a standard deviation, 0 for none.")
        if groups < 0:
            raise DataError(f"groups is {groups}; it is a number of groups, 0 for none.")
        if dims and (locality or groups or last_layer):
            raise StoryError(
                "locality, groups and last_layer are for one label per row; give them or dims."
            )
        check_flip_memory(num_classes)
        if last_layer:  # its place is taken by draws; the network given keeps its own
            _last_width(network)
            last = copy.deepcopy(network[-1]).requires_grad_(False)  # type: ignore[index]
            network = nn.Sequential(*network[:-1], last)  # type: ignore[index]
        self.network = network
        self.num_classes = num_classes
        self.prior = prior
        self.locality = locality
        self.groups = groups
        self.last_layer = last_layer
        self.features = _last_width(network) if locality or last_layer else 0
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
        observed = torch.stack([log_keep, log_flip])  # by switch, true label, observed label
        with self.plates(x, log_f.shape[:-1], num_data=num_data):
            c = pyro.sample(
                "true_label", dist.Categorical(logits=log_f), infer={"enumerate": "parallel"}
            )
            logits = alpha[c] if g is None else alpha[c] + g
            z = pyro.sample(
                "switch", dist.Bernoulli(logits=logits), infer={"enumerate": "parallel"}
            )
            observe_verified("true_label", c, verified.true_label)
            observe_verified("switch", z, verified.contaminated)
            emission = Vindex(observed)[z.long(), c]
            return pyro.sample("y", dist.Categorical(logits=emission), obs=y)

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.rate_counts.unbind(-1)
        sites: dict[str, TorchDistribution] = {
            "rate": dist.Beta(a, b, validate_args=False).to_event(1),
            "flip": dist.Dirichlet(self.flip_counts, validate_args=False).to_event(1),
        }
        if self.locality:
            scale = self.rate_counts.new_full((self.features,), self.locality)
            normal = dist.Normal(torch.zeros_like(scale), scale, validate_args=False)
            sites["deviation"] = normal.to_event(1)
        if self.groups:
            sites |= group_priors(self.groups, 1.0, self.rate_counts)
        if self.last_layer:
            scale = self.rate_counts.new_tensor(self.last_layer)
            for name, size in self._last_sizes().items():
                zeros = scale.new_zeros(size)
                sites[name] = dist.Normal(zeros, scale, validate_args=False).to_event(len(size))
        return sites

    def _last_sizes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.num_classes, self.features), "bias": (self.num_classes,)}

    def rates_and_flips(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """alpha_c = logit rate_c, (K,), and log T with -inf on its diagonal, (K, K)."""
        # A sparse row may underflow to an exact 0, whose logarithm has no gradient.
        flip = latents["flip"].clamp_min(torch.finfo(latents["flip"].dtype).tiny)
        return latents["rate"].logit(), nf.zero_diagonal(flip.log(), fill=-math.inf)

    def default_steps(self, recipes: Recipes) -> Recipe:
        return recipes.joint() if self.last_layer else recipes.labels(self.num_classes)

    @property
    def deviates(self) -> bool:
        """Whether the rate of a row depends on more than its true label."""
        return bool(self.locality or self.groups)

    def log_predictor(self, x: Tensor, latents: Latents) -> tuple[Tensor, Tensor | None]:
        """log f = log p(c | x), (N, *dims, K), and the deviation of its logit, (N,) or None."""
        x, codes = split_groups(x) if self.groups else (x, None)
        if not self.features:
            logits, inputs = self.network(x).movedim(1, -1), self._inputs(None, codes)
        else:
            h = self.network[:-1](x)  # type: ignore[index]
            logits, inputs = self._last(h, latents), self._inputs(h, codes)
        g = None if inputs is None else self.deviation(inputs, latents)
        return logits.log_softmax(-1), g

    def deviation(self, inputs: Tensor, latents: Latents) -> Tensor:
        """What a row adds to the logit of its rate, (N,), given its `deviation_inputs`."""
        g = inputs.new_zeros(len(inputs))
        if self.locality:
            g = g + inputs[:, : self.features] @ latents["deviation"]
        if self.groups:
            g = g + group_deviation(inputs[:, -1].long(), latents)
        return g

    def deviation_inputs(self, x: Tensor) -> Tensor:
        """What the deviation depends on: standardised features, code of the group; (N, inputs).

        Only where the story `deviates`.
        """
        x, codes = split_groups(x) if self.groups else (x, None)
        h = self.network[:-1](x) if self.locality else None  # type: ignore[index]
        inputs = self._inputs(h, codes)
        if inputs is None:
            raise StoryError("The story has neither locality nor groups: nothing deviates.")
        return inputs

    def _inputs(self, h: Tensor | None, codes: Tensor | None) -> Tensor | None:
        parts = []
        if self.locality and h is not None:
            standard = nn.functional.layer_norm(h.detach(), h.shape[1:])
            parts.append(standard / math.sqrt(self.features))
        if codes is not None:
            parts.append(codes[:, None].to(self.rate_counts))
        return torch.cat(parts, 1) if parts else None

    def _last(self, h: Tensor, latents: Latents) -> Tensor:
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
        """log p(c | x, y), (N, *dims, K), and given what is verified."""
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
                "The last layer has a posterior and cannot be warmed up: fit the network first, "
                "then StartFrom what that came to, and Joint."
            )
        return super().initial_predictor(x)

    def reported(self, latents: Latents) -> dict[str, Tensor]:
        # The columns of "flip" mean another class in every row.
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
        # What derives from it may tell another story.
        if type(self) is not LabelFlip or self.deviates or self.last_layer:
            return self, x
        log_f = self.log_predictor(x, {})[0]
        return self.of_predictions(dims=self.dims).to(log_f), log_f.movedim(-1, 1)

    def rate_given(self, x: Tensor, latents: Latents) -> Tensor:
        """The rate of each true class averaged over the rows x that are likely of it, (K,)."""
        log_f, g = self.log_predictor(x, latents)
        if g is None:
            return latents["rate"]
        f = log_f.exp()
        return (f * (latents["rate"].logit() + g[:, None]).sigmoid()).sum(0) / f.sum(0)

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        if y.is_floating_point() or y.ndim != 1 + len(self.dims):
            raise DataError(
                f"Labels have shape {tuple(y.shape)} and type {y.dtype}; expected integers of "
                f"shape ({', '.join(['rows', *self.dims])}). More than one label per row needs "
                "LabelFlip(..., dims=(...)) with a name for each further dimension."
            )
        self.check_rows(x)
        if y.min() < 0 or y.max() >= self.num_classes:
            raise DataError(
                f"Labels run from {int(y.min())} to {int(y.max())}; expected 0 to "
                f"{self.num_classes - 1} for {self.num_classes} classes."
            )

    def check_rows(self, x: Tensor) -> None:
        if self.groups:
            check_groups(x, self.groups)

    def check_verified(self, y: Tensor, verified: Verified) -> None:
        verified.check(y, num_classes=self.num_classes)


def _last_width(network: nn.Module) -> int:
    if isinstance(network, nn.Sequential) and isinstance(network[-1], nn.Linear):
        return network[-1].in_features
    raise StoryError(
        "locality and last_layer need the features before the last layer: give the network as "
        "nn.Sequential(trunk, nn.Linear(width, num_classes))."
    )
