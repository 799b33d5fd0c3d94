"""What `fit` does with a story when it is not told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.basic import Joint, Reinitialise, Restarts, Spread, Step, WarmUp
from nbam_pyro.inference.steps.by_rows import ByRows, UseAll
from nbam_pyro.inference.steps.cross_fit import CrossFit
from nbam_pyro.inference.steps.distil import Distil
from nbam_pyro.inference.steps.pace import Pace
from nbam_pyro.inference.steps.recount import Recount
from nbam_pyro.inference.steps.robust_start import RobustStart, Settle
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.starts import Anchors, Vertices
from nbam_pyro.models import Recipe, Story

# Epochs of training that labels may cost, in plain runs; predictions come on top.
_BUDGET = 2.1


def default_steps(
    story: Story,
    *,
    epochs: int | None = None,
    lr: float = 2e-3,
    weight_decay: float = 1e-2,
    one_cycle: bool = False,
    class_prior: float | None = None,
) -> list[Callable[[Run], None]]:
    """The recipe of `fit` for a story.

    For `LabelFlip`: rates and T cross-fitted from several starts, then twice the network fitted to
    all rows with them, and rates, T and a deviation g(x) again, with the network among the
    evidence, and the spread of their posterior. The network goes on from a copy of the cross-fit:
    from fresh weights a mutual pair at a high rate may be merged into one class. Nothing of the
    switch moves while the network is trained, because rows that are trained on are biased towards
    no contamination. With fewer than a thousand training rows such a network learns labels by
    heart: there networks learn the posterior of true labels instead (`Distil`).

    For measurements (a `LatentSwitch` whose clean likelihood has a location and a scale): short
    attempts from robust fits, a joint fit, small steps at its end, and rate and anomaly once more.
    Where the anomaly is shifted from the clean mean the attempts suppose errors upwards, to both
    sides and downwards.

    Unless `epochs` are given, both begin by finding the `Pace` at which the network learns.

    For any other story, and a `LabelFlip` whose last layer has a posterior: a joint fit. Give the
    latter frozen features, and `StartFrom` what a fit of theirs came to before it.

    Args:
        story: what to fit.
        epochs: of one plain training run of its network; all steps are in proportion. None for 100
            for labels, 190 for measurements, 80 for others. The recipe for labels then costs
            about 2.1 plain runs (2.8 with fewer than a thousand rows), and up to 0.6 more where
            three starts differ, and some predictions.
        lr: step size of AdamW for the networks.
        weight_decay: of AdamW.
        one_cycle: let the step size of the long joint fit rise and fall, for runs of few epochs.
        class_prior: pseudo-count of each class of a Dirichlet prior on the frequencies of true
            labels, for those who know that classes are about equally frequent; the fit says that
            it was supposed. None, the default, for no prior.

    Raises:
        DataError: `class_prior` is not positive.
        StoryError: there is a `class_prior`, and no `LabelFlip` whose network is trained.
    """
    recipes = _Recipes(epochs, lr, weight_decay, one_cycle, class_prior)
    return list(story.default_steps(recipes))


@dataclass(frozen=True)
class _Recipes:
    """The library's recipes, in proportion to epochs and step size; `models.Recipes` describes it.

    Args are those of `default_steps`.
    """

    epochs: int | None
    lr: float
    weight_decay: float
    one_cycle: bool
    class_prior: float | None

    def joint(self) -> Recipe:
        self._no_class_prior()
        return [self._joint(self.epochs or 80, one_cycle=self.one_cycle)]

    def labels(self, num_classes: int) -> Recipe:
        epochs = self.epochs or 100

        def share(part: float) -> int:
            return max(1, round(part * epochs))

        def joint(part: int) -> Joint:
            fixed = self._joint(max(1, part), one_cycle=self.one_cycle)
            return replace(fixed, guide_lr=0.0, spread_lr=0.0)

        first = share(0.2)
        # Distances of all rows to K centres in K dimensions: fewer restarts where there are many.
        restarts = max(1, min(20, 400 // num_classes))
        adamw: Any = {"lr": self.lr, "weight_decay": self.weight_decay}
        cross_fit = CrossFit(
            warm_up=WarmUp(epochs=share(0.2), one_cycle=True, **adamw),
            skip=share(0.05),
            starts=(Anchors(), Vertices(), Vertices(restarts=restarts)),
            epochs=share(0.16),
            rounds=1,
            class_prior=self.class_prior,
            **adamw,
        )
        distil = Distil(fold_epochs=share(0.5), epochs=share(0.7), **adamw)
        longer = replace(joint(share(0.7) - first), budget=_BUDGET * epochs)
        return [
            *self._pace(),
            ByRows(
                few=[UseAll(), cross_fit, distil],
                many=[cross_fit, joint(first), Recount(), longer, Recount()],
            ),
            Spread(),
        ]

    def measurements(self, *, one_sided: bool) -> Recipe:
        self._no_class_prior()
        epochs = self.epochs or 190

        def joint(part: int, lr: float) -> Joint:
            return replace(self._joint(max(1, round(part / 190 * epochs))), lr=lr)

        robust = RobustStart(
            epochs=max(1, round(15 / 190 * epochs)), lr=self.lr, weight_decay=self.weight_decay
        )
        attempts = [
            [Reinitialise(), replace(robust, share=share), joint(25, self.lr)]
            for share in ((0.0, 0.1, -0.1, 0.4, -0.4) if one_sided else (0.0,))
        ]
        restarts = Restarts(attempts=attempts, all_rows=True)
        long = [joint(110, self.lr), joint(40, self.lr / 10)]
        return [*self._pace(), restarts, *long, Settle()]

    def _joint(self, epochs: int, *, one_cycle: bool = False) -> Joint:
        return Joint(epochs=epochs, lr=self.lr, weight_decay=self.weight_decay, one_cycle=one_cycle)

    def _pace(self) -> list[Step]:
        return [Pace(lr=self.lr, weight_decay=self.weight_decay)] if self.epochs is None else []

    def _no_class_prior(self) -> None:
        if self.class_prior is not None:
            raise StoryError(
                "class_prior is for the recipe of a LabelFlip that trains its network: leave it "
                "out for this story."
            )
