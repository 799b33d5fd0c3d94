"""The loss module for classification with wrong labels, in plain torch."""

import torch
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.losses.criterion import (
    Movement,
    Reduction,
    adopt_precision,
    adopt_saved_precision,
    known_reduction,
)
from nbam_pyro.losses.elements import (
    Elements,
    checked_labels,
    elements_of,
    log_flip_of,
    verified_of,
)
from nbam_pyro.losses.held_out import (
    Memorised,
    recounted,
    say_merged,
    say_nothing_learned,
    summary,
)
from nbam_pyro.losses.label_flip import checked_pair, cross_entropy, nbam_loss, prior_penalty
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start

__all__ = ["NBAMLoss"]


class NBAMLoss(nn.Module):
    r"""Loss for training with wrong labels; a replacement for `torch.nn.CrossEntropyLoss`.

    The value is that of `nbam_loss`. The contamination rates and the flip matrix T are parameters
    of the loss: give them to the optimiser together with those of the network. `FlipPrior` is their
    prior (in logit coordinates, where its numbers act as pseudo-counts). The log prior, minus its
    maximum, is divided equally among the elements.

    Use it in four steps, with rows put aside or with folds (see the how-to page "My loss"):

    1. Train a network for a few epochs. The loss is plain cross-entropy (of verified true labels
       where there are any), because arbitrary rates may not separate wrong from difficult labels.
    2. Call `start_from(logits, target, held_out=True)` with predictions of held-out rows. It
       estimates rates and T from anchors: rows whose true label is nearly certain. They stay fixed,
       because rates that are learned from training rows are too low.
    3. Go back to the weights after the first epoch, since later ones have memorised labels. Train.
    4. Call `recount` with predictions of held-out rows, and then `responsibility`.

    Without held-out rows, the optimiser learns rates and T. They are too low if the network
    memorises labels, and the loss cannot tell: `responsibility` gives an `InSampleWarning`.

    Shape: as in `nbam_loss`. Logits of `start_from` in double precision convert the
    parameters to it.

    Args:
        num_classes: Number of classes K, at least 2.
        prior: Pseudo-counts of contamination rates and flips; None for `FlipPrior()`.
        reduction: "mean", "sum" or "none", as in torch.
        ignore_index: Value of target that means "no label".

    Raises:
        DataError: There are fewer than two classes, or the reduction is unknown.

    Example:
        >>> loss = NBAMLoss(3)
        >>> logits, target = torch.eye(3).repeat(10, 1) * 4, torch.arange(3).repeat(10)
        >>> bool(loss(logits, target) == torch.nn.functional.cross_entropy(logits, target))
        True
        >>> loss.start_from(logits, target)
        >>> loss.responsibility(logits, target).max() < 0.01
        tensor(True)
    """

    num_data: Tensor
    fixed: Tensor
    power: Tensor
    held_out: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        prior: FlipPrior | None = None,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise DataError(f"num_classes is {num_classes}, but it must be at least 2.")
        self.num_classes = num_classes
        self.prior = prior or FlipPrior()
        self.reduction = known_reduction(reduction)
        self.ignore_index = ignore_index
        self.rate_logits = nn.Parameter(torch.zeros(num_classes))
        self.flip_logits = nn.Parameter(torch.zeros(num_classes, num_classes - 1))
        # Number of labelled elements in start_from; 0 until it is called.
        self.register_buffer("num_data", torch.tensor(0))
        self.register_buffer("fixed", torch.tensor(False))
        self.register_buffer("power", torch.tensor(1.0))
        # The `summary` of held-out rows; 0 if the network was trained after the last `recount`.
        self.register_buffer("held_out", torch.zeros(3, num_classes))
        self.register_load_state_dict_pre_hook(adopt_saved_precision)
        self.register_load_state_dict_post_hook(_loaded)
        self._movement = Movement()
        self._memorised = Memorised()

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        switch_logits: Tensor | None = None,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch; shapes and errors are those of `nbam_loss`."""
        if not self.num_data:
            target = self._checked(logits, target, switch_logits)
            verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
            return cross_entropy(logits, target, verified, self.reduction, self.ignore_index)
        own = self.rate_logits, self.flip_logits
        fixed = bool(self.fixed)
        rates, flips = (p.detach() if fixed else p for p in own)
        value = nbam_loss(
            logits,
            target,
            rates,
            flips,
            switch_logits=switch_logits,
            contaminated=contaminated,
            true_label=true_label,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
        if self.training and torch.is_grad_enabled():
            if not fixed:
                self._movement.check(self.parameters(), logits)
            if self._memorised.changes(logits):  # The statistics describe an earlier network.
                self.held_out.zero_()
        # int64, because an unsigned target cannot be compared with a negative ignore_index.
        labelled = target.long() != self.ignore_index
        share = prior_penalty(rates, flips, self.prior) / self.num_data
        if self.reduction == "mean":
            return value + share * labelled.any()
        return value + share * (labelled.sum() if self.reduction == "sum" else labelled)

    @torch.no_grad()
    def start_from(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        held_out: bool = False,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> None:
        """Estimate rates and flips from anchors; call it once, after a few warm-up epochs.

        Args:
            logits: Predictions in evaluation mode, shapes as in `forward`, for rows put aside, or
                predictions out of fold (by a network that was not trained on the row). Predictions
                for training rows are second best: a network that has been trained for many epochs
                repeats wrong labels, which makes the estimated rates too low.
            target: Observed labels.
            held_out: Whether the network was not trained on these rows. Rates and flips then stay
                fixed until `recount`; the optimiser does not need the parameters of the loss.
            contaminated: Verified switches, as in `forward`.
            true_label: Verified true labels, as in `forward`. They are treated as certain.

        Raises:
            DataError: No element is labelled, or the data are invalid, as in `nbam_loss`.
        """
        target = self._checked(logits, target)
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        rows = elements_of(logits, target, None, verified, self.ignore_index).known
        counts = anchor_counts(rows.log_f, rows.labels, verified=rows.verified)
        adopt_precision(self, logits)
        rate, flips = anchor_start(counts.double(), self.prior)
        self._set(rate, flips)
        self.num_data.fill_(len(rows.labels))
        self.fixed.fill_(held_out)
        self.power.fill_(1.0)
        self.held_out.zero_()

    @torch.no_grad()
    def recount(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> None:
        r"""Estimate rates and flips again, from held-out rows and a network trained with the loss.

        EM (Dempster, Laird & Rubin 1977) increases the log posterior of the transition matrix M,
        :math:`\sum_i \log \sum_c p_{ic}^a M_{c y_i} / \sum_c p_{ic}^a + \log p(M)`. The power a at
        which labels are most probable corrects predictions that are too uncertain or too certain;
        `responsibility` uses it. Rates and flips then stay fixed. Call it after the last epoch.

        Args:
            logits: Predictions in evaluation mode, shapes as in `forward`, for rows that were not
                used for training, or predictions out of fold. A tenth of many rows is enough.
            target: Observed labels.
            contaminated: Verified switches, as in `forward`.
            true_label: Verified true labels, as in `forward`.

        Raises:
            DataError: `start_from` has not been called, or the data are invalid, as there.

        Warns:
            CannotTellWarning: Almost no row is predicted as a class that has labels.
            NothingLearnedWarning: The network predicts labels no better than frequencies do.

        Example:
            >>> logits, target = torch.eye(3).repeat(20, 1) * 4, torch.arange(3).repeat(20)
            >>> loss = NBAMLoss(3)
            >>> loss.start_from(logits, target, held_out=True)
            >>> target[::10] = (target[::10] + 1) % 3  # a tenth of the labels is wrong
            >>> loss.recount(logits, target)
            >>> loss.transition_matrix.diagonal().mean() < 0.95
            tensor(True)
        """
        self._check_started()
        target = self._checked(logits, target)
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        rows = elements_of(logits, target, None, verified, self.ignore_index).known
        adopt_precision(self, logits)
        power, found = recounted(rows, self.prior, self.transition_matrix)
        say_merged(rows)
        say_nothing_learned(rows.sharpened(power), found.matrix)
        self._set(found.rate, nf.off_diagonal(found.flip))
        self.fixed.fill_(True)
        self.power.fill_(power)
        self.held_out.copy_(self._summary(rows.sharpened(power)))

    @torch.no_grad()
    def responsibility(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        switch_logits: Tensor | None = None,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> Tensor:
        """Return the probability that each label is wrong, P(z=1 | x, y), in the shape of target.

        An element without a label has its prior probability P(z=1 | x).

        Warns:
            InSampleWarning: The network was trained after the last `recount` (or without one), so
                the loss cannot tell whether it has memorised labels. Or fewer labels are found
                wrong than in the rows of `recount` with the same labels, by more than four standard
                errors and a tenth. Verified rows and deviations g(x) are left out.

        Raises:
            DataError: `start_from` has not been called, or the data are invalid, as in `forward`.
        """
        target = self._checked(logits, target, switch_logits)
        self._check_started()
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        elements = elements_of(logits, target, switch_logits, verified, self.ignore_index)
        elements = elements.sharpened(float(self.power))
        r = nf.responsibility(*checked_pair(elements, self.rate_logits, self.flip_logits))
        if self._memorised.trained:
            self._memorised.unknown()
        elif self.held_out.any():
            self._memorised.compare(self.held_out, self._summary(elements))
        prior = nf.label_flip_switch_logits(
            elements.log_f, self.rate_logits, elements.deviation
        ).sigmoid()
        return torch.where(elements.labelled, r, prior).view(target.shape)

    @property
    def transition_matrix(self) -> Tensor:
        """Transition matrix M = p(observed | true) at g = 0, (K, K)."""
        flip = log_flip_of(self.flip_logits).exp()
        return nf.transition_matrix(self.rate_logits.sigmoid(), flip).detach()

    def _checked(self, logits: Tensor, target: Tensor, g: Tensor | None = None) -> Tensor:
        return checked_labels(logits, target, self.num_classes, g, self.ignore_index)

    def _check_started(self) -> None:
        if not self.num_data:
            raise DataError("The loss is still plain cross-entropy. Call start_from first.")

    def _set(self, rate: Tensor, flips: Tensor) -> None:
        """Set the parameters to rates, (K,), and rows of T over the other classes, (K, K-1)."""
        self.rate_logits.copy_(rate.logit())
        self.flip_logits.copy_(flips.log())
        self._movement, self._memorised = Movement(), Memorised()

    def _summary(self, elements: Elements) -> Tensor:
        """Return the `summary` of the elements' responsibilities given their labels alone."""
        rows = elements.unaided
        r = nf.responsibility(*checked_pair(rows, self.rate_logits, self.flip_logits))
        return summary(r, rows.labels, self.num_classes)


def _loaded(loss: NBAMLoss, _: object) -> None:
    """Note in the loss whether `recount` came after the last training step before saving."""
    loss._memorised = Memorised(trained=bool(loss.num_data) and not loss.held_out.any())
