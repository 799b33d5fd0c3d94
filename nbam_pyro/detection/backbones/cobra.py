"""COBRA: images and their pseudo-anomalies are opposite, also when an attacker moves them."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from nbam_pyro.detection.backbones.base import Backbone, Energies, complement
from nbam_pyro.detection.contrast.bank import Bank
from nbam_pyro.detection.contrast.hook import ContrastHook, Filter
from nbam_pyro.detection.contrast.networks import ContrastNetwork, features_of, told_apart
from nbam_pyro.detection.contrast.opposite_pairs import contrast_energies
from nbam_pyro.detection.contrast.shift_filter import ShiftFilter
from nbam_pyro.detection.contrast.views import check_pixels
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive, check_whole
from nbam_pyro.training.hooks import StepHook

_SMALLEST_SIDE = 8
# Temperature of the smooth maximum through which attacks move rows.
_SMOOTH = 0.1
_SIZE = 256


class Cobra(Backbone):
    r"""Embeds images far from pseudo-anomalies, and trains against an attacker.

    A hard transform of each normal image (a rotation, a pasted patch, shuffled quadrants, a hole,
    a distortion) gives a pseudo-anomaly. A test at the level `significance` refuses transforms that
    look normal. With mild views of images and pseudo-anomalies, training minimises

    .. math::
        L = \frac{1}{M} \Big[ \sum_P l_{ij} - \sum_O l_{ij} \Big] + L_{CLS}, \qquad
        l_{ij} = -\log \frac{e^{s_{ij} / \tau}}{\sum_{k \ne i} e^{s_{ik} / \tau}}

    P are pairs of views of the same image, O are opposite pairs (an image and its pseudo-anomaly),
    s are cosine similarities, and L_CLS is the cross-entropy of a classifier of normal images and
    pseudo-anomalies. In each training step an attacker first moves copies of the views by at most
    `eps` to where these losses are large. The copies are trained on, too.

    After training, the clean energy is E_n = 1 - s, where s is the mean similarity to training
    rows. The bank of their embeddings is saved with the backbone. Rows that the assignment does not
    take for normal are not in it. The publication uses the most similar row alone; a few normal
    rows that are embedded wrongly then hide all anomalies near them (`nearest=1`). The anomaly
    energy E_a is E_n minus the log odds of the classifier that the row is an anomaly; without a
    classifier it is -log(1 - e^{-E_n}). In training, a row has its share of L as E_n, and E_a is
    the same with the row among the anomalies: its opposite is then a normal image.

    Energies are no densities: `Blind`, `Refine`, `Hard` and `Soft` can be used, `Exact` is refused.
    Without verified anomalies or a share of contamination, use ``contamination=0``; with
    ``"auto"``, ten models or more are trained. The optimiser is AdamW with a one-cycle step size,
    not LARS as published. A step size of 0.003 works well.

    Args:
        channels: Number of channels of the images, whose values lie in [0, 1].
        members: Number S of models. Each training step computes them one at a time.
        width: Number of channels of the first convolution.
        embedding: Number of dimensions of the embedding.
        contrast: Form of the contrastive loss: "opposite" as above; "plain", without the pairs O
            (SimCLR); "supervised", with all pairs within a group (SupCon); None to leave it out.
        classification: Whether L_CLS is used.
        eps: Largest change of a pixel by the attacker in training. 0 trains without an attacker.
        steps: Number of steps of the attacker.
        temperature: Temperature tau.
        significance: Level of the test of pseudo-anomalies. 1 accepts all.
        crop: Smallest share of the area of an image that a mild view shows.
        nearest: Number of most similar training rows that are averaged; None for all in the bank.
        bank: Largest number of training rows in the bank.
        log_odds: Weight of the log odds of the classifier in E_n, standardised on training rows.

    Raises:
        DataError: A setting is out of its range, or images have values outside of [0, 1] or sides
            below 8 pixels.

    Source: COBRA (2025), arXiv 2501.15434, ICLR. Rebuilt from its public description; the encoder
    is a small convolutional network.

    Example:
        >>> backbone, images = Cobra(1, width=4), torch.rand(1, 4, 1, 8, 8)
        >>> backbone.start(images)
        >>> backbone.eval().energies(images).clean.shape
        torch.Size([1, 4])
    """

    row_dims = 3
    one_cycle = True
    mean: Tensor
    unit: Tensor

    def __init__(
        self,
        channels: int,
        *,
        members: int = 1,
        width: int = 16,
        embedding: int = 64,
        contrast: Literal["opposite", "plain", "supervised"] | None = "opposite",
        classification: bool = True,
        eps: float = 4 / 255,
        steps: int = 10,
        temperature: float = 0.5,
        significance: float = 0.05,
        crop: float = 0.3,
        nearest: int | None = None,
        bank: int = 2000,
        log_odds: float = 0.0,
    ) -> None:
        super().__init__(members)
        self.channels, self.width, self.embedding = channels, width, embedding
        self.contrast, self.classification = contrast, classification
        self.eps, self.steps, self.temperature = eps, steps, temperature
        self.significance, self.crop = significance, crop
        self.nearest, self.bank, self.log_odds = nearest, bank, log_odds
        _check(self)
        self.parts = nn.ModuleList(
            [
                ContrastNetwork(channels, width, embedding, classification=classification)
                for _ in range(members)
            ]
        )
        self.embeddings = Bank(members, bank, embedding)
        self.register_buffer("mean", torch.zeros(members, 1))
        self.register_buffer("unit", torch.ones(members, 1))
        # In a tuple, because it is not a part of the trained model.
        self._filter: tuple[Filter, ...] = ()

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        check_pixels(x)
        if min(x.shape[-2:]) < _SMALLEST_SIDE:
            raise DataError(
                f"Images are {x.shape[-2]} by {x.shape[-1]}; Cobra needs sides of "
                f"{_SMALLEST_SIDE} pixels or more. Enlarge them."
            )
        if self.significance < 1:
            images = x[0, _spaced(x.shape[1], self.bank)]
            network = told_apart(images, width=self.width)
            test = ShiftFilter(features_of(network, images), level=self.significance)
            self._filter = (Filter(network, test),)
        self._fill(x)

    def hook(self) -> StepHook | None:
        return ContrastHook(
            self,
            filter=self._filter[0] if self._filter else None,
            contrast=self.contrast is not None,
            classification=self.classification,
        )

    @torch.no_grad()
    def finish(self, x: Tensor, normal: Callable[[], Tensor]) -> None:
        self._filter = ()
        self._fill(x)
        self._fill(x, normal())

    def energies(self, x: Tensor) -> Energies:
        """Return the energies of images, or those of the views that `hook` makes.

        Args:
            x: Images of each of the S members, (S, N, C, H, W), or views, (S, N, K, 2, C, H, W).

        Raises:
            DataError: Images have values outside of [0, 1].
        """
        if x.ndim > 5:
            pairs = [self._of_views(*one) for one in zip(self._networks, x, strict=True)]
            return Energies(*(torch.stack(side) for side in zip(*pairs, strict=True)))
        check_pixels(x)
        z, odds = self._embedded(x)
        similar = self.embeddings(z, nearest=self.nearest)
        clean = 1 - similar
        if odds is None:
            return Energies(clean, complement(clean))
        if self.log_odds:
            clean = clean + self.log_odds * (odds - self.mean) / self.unit
        return Energies(clean, clean - odds)

    def smoothed(self) -> Sequence[Callable[[Tensor], Tensor]]:
        def smooth(x: Tensor) -> Tensor:
            return -(self.embeddings.similarities(self._embedded(x)[0]) / _SMOOTH).logsumexp(-1)

        def from_mean(x: Tensor) -> Tensor:
            return -self.embeddings.mean(self._embedded(x)[0])

        def odd(x: Tensor) -> Tensor:
            odds = self._embedded(x)[1]
            return from_mean(x) if odds is None else odds

        kinks = () if self.nearest is None else (smooth, from_mean)
        return (*kinks, odd) if self.classification else kinks

    def losses(self, first: Tensor | None, second: Tensor | None, fixed: Tensor) -> Tensor:
        """Return the loss that an attacker raises in training, summed over members.

        Args:
            first: Copies of the first view for the contrastive loss, (S, n, 2, C, H, W), or None.
            second: Copies of the second view for the classifier, in the same shape, or None.
            fixed: Second view, which does not move, in the same shape.
        """
        total = fixed.new_zeros(())
        for number, member in enumerate(self._networks):
            if first is not None and self.contrast is not None:
                with torch.no_grad():
                    still = member.embed(fixed[number].transpose(0, 1))
                z = torch.stack([member.embed(first[number].transpose(0, 1)), still])
                form, tau = self.contrast, self.temperature
                total = total + contrast_energies(z, form=form, temperature=tau)[0].sum()
            if second is not None:
                logits = member.logits(member.encoder(second[number].transpose(0, 1).flatten(0, 1)))
                classes = torch.tensor([0, 1], device=logits.device).repeat_interleave(
                    len(logits) // 2
                )
                total = total + cross_entropy(logits, classes, reduction="sum")
        return total

    @property
    def _networks(self) -> list[ContrastNetwork]:
        return [part for part in self.parts if isinstance(part, ContrastNetwork)]

    def _of_views(self, member: ContrastNetwork, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return both energies of n rows from their views, (n, K, 2, C, H, W) -> two (n,)."""
        count = views.shape[1]
        by_view = views.movedim(0, 2)
        h = member.encoder(by_view.flatten(0, 2)).unflatten(0, by_view.shape[:3])
        clean = anomalous = h.new_zeros(len(views))
        if self.contrast is not None:
            own = h[: min(count, 3)] if count > 2 else h
            z = normalize(member.projection(own), dim=-1)
            form, tau = self.contrast, self.temperature
            clean, anomalous = contrast_energies(z, form=form, temperature=tau)
        if self.classification:
            own = h[[0, 1, count - 1]] if count > 2 else h
            log_p = member.logits(own).log_softmax(-1)
            odd = -log_p[:, 1, :, 1].mean(0)
            clean = clean + (odd - log_p[:, 0, :, 0].mean(0)) / 2
            anomalous = anomalous + (odd - log_p[:, 0, :, 1].mean(0)) / 2
        return clean, anomalous

    def _embedded(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return embeddings, (S, N, D), and log odds of an anomaly, (S, N), or None."""
        h = torch.stack([m.encoder(part) for m, part in zip(self._networks, x, strict=True)])
        z = torch.stack([m.projection(part) for m, part in zip(self._networks, h, strict=True)])
        z = normalize(z, dim=-1)
        if not self.classification:
            return z, None
        logits = torch.stack([m.logits(part) for m, part in zip(self._networks, h, strict=True)])
        return z, logits[..., 1] - logits[..., 0]

    def _fill(self, x: Tensor, normal: Tensor | None = None) -> None:
        """Fill the bank with normal rows, and set the scale of the log odds."""
        training = self.training
        self.eval()
        parts = [self._embedded(part) for part in x.split(_SIZE, 1)]
        self.train(training)
        z = torch.cat([part[0] for part in parts], 1)
        for number, rows in enumerate(z):
            kept = slice(None) if normal is None or not normal[number].any() else normal[number]
            self.embeddings.fill(number, rows[kept])
        odds = [part[1] for part in parts if part[1] is not None]
        if odds:
            every = torch.cat(odds, 1)
            self.mean.copy_(every.mean(1, keepdim=True))
            self.unit.copy_(every.std(1, keepdim=True).clamp_min(1e-6))


def _spaced(count: int, most: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _check(made: Cobra) -> None:
    if made.contrast not in ("opposite", "plain", "supervised", None):
        raise DataError(
            f"contrast is {made.contrast!r}; give 'opposite', 'plain', 'supervised' or None."
        )
    if made.contrast is None and not made.classification:
        raise DataError("There is no loss: give a form of contrast, or classification=True.")
    for name in ("steps", "width", "embedding"):
        check_whole(name, getattr(made, name), least=1)
    check_whole("nearest", 1 if made.nearest is None else made.nearest, least=1)
    check_whole("bank", made.bank, least=2)
    check_positive("temperature", made.temperature)
    if not 0 <= made.eps < 1:
        raise DataError(f"eps is {made.eps}; give a change of pixels in [0, 1), such as 4 / 255.")
    for name, what in (("significance", "a level"), ("crop", "a share of the area")):
        if not 0 < getattr(made, name) <= 1:
            raise DataError(f"{name} is {getattr(made, name)}; give {what} in (0, 1].")
    if not 0 <= made.log_odds < float("inf"):
        raise DataError(f"log_odds is {made.log_odds}; give a weight, 0 or more.")
    if made.log_odds and not made.classification:
        raise DataError("log_odds needs the classifier. Set classification=True, or log_odds=0.")
