"""`Annotators`, a story in which several annotators label the same items."""

import math

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Float, Int
from pyro.distributions import TorchDistribution
from pyro.ops.indexing import Vindex
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import check_classes
from nbam_pyro.models.stories.sites import observe_verified

__all__ = ["Annotators"]

# Largest concentration kappa, in annotations per class.
_LARGEST = 200.0


class Annotators(nn.Module):
    r"""A story for labels of several annotators, who share the true label of each item.

    .. math::
        c_i \sim \mathrm{Categorical}(f(x_i)), \qquad
        y_{ij} \sim \mathrm{Categorical}(C_j[c_i]) \\
        C_j[c] \sim \mathrm{Dirichlet}(\kappa\, \bar C_j[c]), \qquad
        \bar C_j[c, c] = \sigma(b_c + s_j), \qquad
        \bar C_j[c, l] = (1 - \bar C_j[c, c])\, T_{cl}

    C_j is the confusion matrix of annotator j, s_j the skill, b_c the log odds of a right label of
    class c, T the flip matrix of wrong labels, and kappa says how alike annotators are. f is a
    network, or the class frequencies without features (the model of Dawid and Skene). The switch
    of an *annotation* is 1 where it differs from the true label. Annotations of an
    item are not independent rows, so this is not a `Story` of `fit`. `log_marginal` is its loss,
    once per item, and `nbam_pyro.outputs.from_annotations` estimates it.

    Sites: "class_frequency" (K,) without a network, "odds" (K,), "flip" (K, K-1),
    "skill_variance", "skill" (J,), "log_kappa", "confusion" (J, K, K); for each item "true_label",
    which is enumerated; and "y".

    Args:
        num_classes: Number of classes K, at least 2.
        num_annotators: Number of annotators J, at least 1.
        network: Network that maps features to the logits of the true label, (N, K), a point
            estimate. None for class frequencies.

    Raises:
        DataError: There are fewer than two classes or no annotators.

    Source: Dawid & Skene (1979); Kim & Ghahramani (2012); with a network, Raykar et al. (2010).

    Example:
        >>> story = Annotators(3, 2)
        >>> latents = story.sample_latents()
        >>> item, annotator = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
        >>> y = torch.tensor([2, 2, 0])
        >>> story.log_marginal(item, annotator, y, latents, items=2).shape
        torch.Size([2])
    """

    def __init__(
        self, num_classes: int, num_annotators: int, *, network: nn.Module | None = None
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        if num_annotators < 1:
            raise DataError(f"There are {num_annotators} annotators; give one or more.")
        self.num_classes = num_classes
        self.num_annotators = num_annotators
        self.network = network

    def priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the global latents that do not depend on others, by site name."""
        k = self.num_classes
        sites: dict[str, TorchDistribution] = {
            "odds": dist.Normal(1.0, 1.5).expand([k]).to_event(1),
            "flip": dist.Dirichlet(torch.ones(k, k - 1)).to_event(1),
            "skill_variance": dist.InverseGamma(1.0, 0.5),
            "log_kappa": dist.Uniform(0.0, math.log(_LARGEST)),
        }
        if self.network is None:
            sites["class_frequency"] = dist.Dirichlet(torch.ones(k))
        return sites

    def sample_latents(self) -> dict[str, Tensor]:
        """Draw all global latents, one Pyro sample site for each, by site name."""
        latents = {name: pyro.sample(name, prior) for name, prior in self.priors().items()}
        scale = latents["skill_variance"].sqrt()
        skill = dist.Normal(0.0, scale).expand([self.num_annotators]).to_event(1)
        latents["skill"] = pyro.sample("skill", skill)
        confusion = dist.Dirichlet(self.pseudo_counts(latents)).to_event(2)
        latents["confusion"] = pyro.sample("confusion", confusion)
        return latents

    def pseudo_counts(self, latents: Latents) -> Float[Tensor, "j k k"]:
        """Return kappa * Cbar_j, the pseudo-counts of each annotator's confusion matrix, (J, K, K).

        Args:
            latents: Values of "odds", "flip", "skill" and "log_kappa" by site name.
        """
        right = torch.sigmoid(latents["odds"] + latents["skill"][:, None])
        wrong = (1 - right)[:, :, None] * nf.zero_diagonal(latents["flip"])
        mean = wrong + torch.diag_embed(right)
        return latents["log_kappa"].exp() * mean.clamp_min(torch.finfo(mean.dtype).tiny)

    def log_predictor(
        self, latents: Latents, *, x: Tensor | None = None, items: int | None = None
    ) -> Float[Tensor, "n k"]:
        """Return log f, the log probabilities of the true label before annotations, (N, K).

        Args:
            latents: Values of the global latents by site name.
            x: Features of the items, (N, ...); None without a network.
            items: Number of items N; needed only without features.

        Raises:
            StoryError: The story has a network and x is missing, or neither x nor `items` is given.
        """
        if self.network is not None:
            if x is None:
                raise StoryError("The story has a network, so it needs the features x of items.")
            return self.network(x).log_softmax(-1)
        number = items if x is None else len(x)
        if number is None:
            raise StoryError("Without features x, give items= the number of items.")
        return latents["class_frequency"].log().expand(number, -1)

    def forward(
        self,
        item: Int[Tensor, " a"],
        annotator: Int[Tensor, " a"],
        label: Int[Tensor, " a"] | None = None,
        *,
        x: Tensor | None = None,
        items: int | None = None,
        true_label: Int[Tensor, " n"] | None = None,
    ) -> Int[Tensor, " a"]:
        """Run the generative program, with one plate over items and one over their annotations.

        Args:
            item: Index of the item of each annotation, (A,).
            annotator: Index of the annotator of each annotation, (A,).
            label: Observed labels, (A,); None to draw labels.
            x: Features of the items, (N, ...); None without a network.
            items: Number of items N; needed only without features.
            true_label: Verified true labels, -1 where unknown, (N,); None where none is verified.

        Returns:
            The labels, observed or drawn, (A,).
        """
        latents = self.sample_latents()
        log_f = self.log_predictor(latents, x=x, items=items)
        slot = _slots(item)
        shape = (int(slot.max()) + 1, len(log_f))
        who, present = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool)
        who[slot, item], present[slot, item] = annotator, True
        seen = None
        if label is not None:
            seen = torch.zeros(shape, dtype=torch.long)
            seen[slot, item] = label
        with pyro.plate("items", shape[1], dim=-1):
            c = pyro.sample(
                "true_label", dist.Categorical(logits=log_f), infer={"enumerate": "parallel"}
            )
            known = torch.zeros(0) if true_label is None else true_label
            observe_verified("true_label", c, known, dtype=log_f.dtype)
            with pyro.plate("annotations", shape[0], dim=-2):
                logits = Vindex(_log_confusion(latents))[who, c]
                emission = dist.Categorical(logits=logits)
                drawn = pyro.sample("y", emission.mask(present), obs=seen)
        return drawn[slot, item]

    def log_joint(
        self,
        item: Int[Tensor, " a"],
        annotator: Int[Tensor, " a"],
        label: Int[Tensor, " a"],
        latents: Latents,
        *,
        x: Tensor | None = None,
        items: int | None = None,
        true_label: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n k"]:
        """Return log p(true label, annotations | x) of each item, given the latents, (N, K).

        Its softmax is the posterior of the true labels, and `functional.annotation_pairs` gives the
        pair of each annotation.

        Args:
            item: Index of the item of each annotation, (A,).
            annotator: Index of the annotator of each annotation, (A,).
            label: Observed labels, (A,).
            latents: Values of the global latents by site name.
            x: Features of the items, (N, ...); None without a network.
            items: Number of items N; needed only without features.
            true_label: Verified true labels, -1 where unknown, (N,); None where none is verified.
        """
        log_f = self.log_predictor(latents, x=x, items=items)
        return nf.annotation_log_joint(
            log_f, item, annotator, label, _log_confusion(latents), true_label=true_label
        )

    def log_marginal(
        self,
        item: Int[Tensor, " a"],
        annotator: Int[Tensor, " a"],
        label: Int[Tensor, " a"],
        latents: Latents,
        *,
        x: Tensor | None = None,
        items: int | None = None,
        true_label: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, " n"]:
        """Return the log marginal of each item, with its true label summed out, (N,).

        Args:
            item: Index of the item of each annotation, (A,).
            annotator: Index of the annotator of each annotation, (A,).
            label: Observed labels, (A,).
            latents: Values of the global latents by site name.
            x: Features of the items, (N, ...); None without a network.
            items: Number of items N; needed only without features.
            true_label: Verified true labels, -1 where unknown, (N,); None where none is verified.
        """
        joint = self.log_joint(
            item, annotator, label, latents, x=x, items=items, true_label=true_label
        )
        return joint.logsumexp(-1)


def _log_confusion(latents: Latents) -> Tensor:
    # A small entry may underflow to 0, whose logarithm has no finite gradient.
    confusion = latents["confusion"]
    return confusion.clamp_min(torch.finfo(confusion.dtype).tiny).log()


def _slots(item: Tensor) -> Tensor:
    """Return the number of earlier annotations of the same item, (A,)."""
    order = item.argsort(stable=True)
    ranked = item[order]
    start = torch.searchsorted(ranked, ranked)
    slot = torch.empty_like(item)
    slot[order] = torch.arange(len(item)) - start
    return slot
