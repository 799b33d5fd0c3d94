"""The default recipes: the steps that `fit` runs if the caller gives no steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.by_rows import ByRows, UseAll
from nbam_pyro.inference.steps.cross_fit import CrossFit
from nbam_pyro.inference.steps.distil import Distil
from nbam_pyro.inference.steps.explore import Explore
from nbam_pyro.inference.steps.joint import Joint, Spread
from nbam_pyro.inference.steps.pace import Pace
from nbam_pyro.inference.steps.recount import Recount
from nbam_pyro.inference.steps.restarts import Restarts
from nbam_pyro.inference.steps.robust_start import RobustStart, Settle
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.starts import Anchors, Vertices
from nbam_pyro.inference.steps.step import Reinitialise, Step
from nbam_pyro.inference.steps.warm_up import WarmUp
from nbam_pyro.models import Recipe, Story

# Training budget of the recipe for labels before `Distil`, in plain training runs, without
# predictions.
_BUDGET = 2.1
# From this number of training rows, `Distil` has more rounds: networks still learn from them.
_MANY = 4000


def default_steps(
    story: Story,
    *,
    epochs: int | None = None,
    lr: float = 2e-3,
    weight_decay: float = 1e-2,
    one_cycle: bool = False,
    class_prior: float | None = None,
) -> list[Callable[[Run], None]]:
    """Return the default steps of `fit` for a story, its recipe.

    **Labels** (`LabelFlip`). First `CrossFit` estimates the contamination rates and the flip matrix
    T from several starts, on rows that are predicted out of fold (by networks that did not see the
    row's label). Then two steps are run twice. First, the network is fitted to all training rows
    with fixed rates and T. Second, `Recount` estimates rates, T and the deviation g(x) of each
    row's rate again, with the network's predictions as additional evidence. At the end `Spread`
    fits the width of the posterior of these numbers. The network starts from a copy that `CrossFit`
    has fitted, because a network with fresh weights may merge a mutual pair (two classes that are
    mistaken for each other) at a high rate into one class. The rates are fixed while the network is
    trained. Rates that are estimated on the network's own training rows are biased towards no
    contamination. A network that learns fast still memorises labels. For this reason new networks
    then learn the posterior of the true label twice, out of fold (`Distil`), and their predictions
    replace the others, unless they are worse. With 4,000 training rows or more they do so four
    times, and the predictions of the last two times are averaged. With fewer than a thousand
    training rows, `Distil` directly follows `CrossFit`.

    **Measurements** (a `LatentSwitch` whose clean likelihood has a location and a scale). Several
    short attempts start from robust fits (`RobustStart`), and the best attempt continues with a
    joint fit, a joint fit with small steps, and a last fit of the rate and the anomaly likelihood
    (`Settle`). If the anomaly likelihood is shifted from the clean mean, the attempts assume
    errors upwards, errors on both sides and errors downwards.

    Both recipes begin with `Pace`, which finds the step size and the number of passes at which the
    network learns, unless `epochs` are given.

    **Any other story**, and a `LabelFlip` whose last layer has a posterior: one joint fit. Such a
    `LabelFlip` should have frozen features, and a `StartFrom` step with the latents of an earlier
    fit should come before the joint fit.

    Args:
        story: Story to fit.
        epochs: Epochs of one plain training run of the network. The epochs of all steps are in
            proportion to this number. None means 100 for labels, 190 for measurements and 80 for
            other stories. The recipe for labels costs 2.1 to 3.3 plain runs, or about 2.8 plain
            runs with fewer than a thousand rows, and up to 0.6 plain runs more if all three starts
            have different values.
        lr: Step size of AdamW for the networks.
        weight_decay: Weight decay of AdamW for the networks.
        one_cycle: Whether the step size of the long joint fit first rises and then falls (one-cycle
            schedule). This is useful for runs of few epochs.
        class_prior: Pseudo-count of each class in a Dirichlet prior on the frequencies of true
            labels. Give it only if you know that classes are about equally frequent. The report of
            the fit then states this assumption. None for no prior.

    Returns:
        The steps in their order.

    Raises:
        DataError: `class_prior` is not positive.
        StoryError: `class_prior` is given, and the story is not a `LabelFlip` whose network is
            trained.

    Example:
        >>> from torch import nn
        >>> from nbam_pyro.models import LabelFlip
        >>> steps = default_steps(LabelFlip(nn.Linear(4, 3), 3), epochs=20)
        >>> [type(step).__name__ for step in steps]
        ['ByRows', 'Spread']
    """
    recipes = _Recipes(epochs, lr, weight_decay, one_cycle, class_prior)
    return list(story.default_steps(recipes))


@dataclass(frozen=True)
class _Recipes:
    """The library's recipes, in proportion to epochs and step size (see `models.Recipes`).

    Args:
        epochs: Epochs of one plain training run; None for the default of each recipe.
        lr: Step size of AdamW for the networks.
        weight_decay: Weight decay of AdamW for the networks.
        one_cycle: Whether the step size of the long joint fit rises and falls.
        class_prior: Pseudo-count of each class; None for no prior on class frequencies.
    """

    epochs: int | None
    lr: float
    weight_decay: float
    one_cycle: bool
    class_prior: float | None

    def joint(self) -> Recipe:
        self._no_class_prior()
        return [self._joint(self.epochs or 80, one_cycle=self.one_cycle)]

    def modes(self) -> Recipe:
        self._no_class_prior()
        return [Explore()]

    def labels(self, num_classes: int) -> Recipe:
        epochs = self.epochs or 100

        def share(part: float) -> int:
            return max(1, round(part * epochs))

        def joint(part: int) -> Joint:
            fixed = self._joint(max(1, part), one_cycle=self.one_cycle)
            return replace(fixed, guide_lr=0.0, spread_lr=0.0)

        first = share(0.2)
        # k-means costs N K^2 operations per restart, so many classes get fewer restarts.
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
        rounds = Distil(
            rounds=2,
            calibrate=False,
            compare=True,
            fold_epochs=share(0.2),
            epochs=share(0.5),
            patience=share(0.05),
            **adamw,
        )
        more = replace(rounds, rounds=4, averaged=2)
        longer = replace(joint(share(0.7) - first), budget=_BUDGET * epochs)
        return [
            *self._pace(),
            ByRows(
                few=[UseAll(), cross_fit, distil],
                many=[
                    *(cross_fit, joint(first), Recount(), longer, Recount()),
                    ByRows(few=[rounds], many=[more], limit=_MANY),
                ],
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
                "class_prior is an option of the recipe for a LabelFlip whose network is trained. "
                "Leave class_prior out for this story."
            )
