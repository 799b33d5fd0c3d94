"""What `fit` does with a story when it is not told."""

from nbam_pyro.inference.anchoring import Anchors
from nbam_pyro.inference.robust import RobustStart
from nbam_pyro.inference.steps import Joint, Reinitialise, Restarts, Spread, Step, WarmUp
from nbam_pyro.models import LabelFlip, LatentSwitch, LocationScale, ShiftedComponent, Story


def default_steps(story: Story) -> list[Step]:
    """The recipe of `fit` for a story.

    For `LabelFlip`: anchors out of fold, three short restarts, a joint fit, and the
    spread of the posterior. Each restart begins with a few epochs of its own warm-up: from fresh
    weights a mutual pair at a high rate may be merged into one class. In the joint fit rates and T
    move slowly, because the evidence of rows that are trained on is biased towards no
    contamination.

    For measurements (a `LatentSwitch` whose clean likelihood has a location and a scale): short
    attempts from robust fits, a joint fit, and small steps at its end. Where the anomaly is shifted
    from the clean mean the attempts suppose errors upwards, to both sides and downwards.

    For any other story: a joint fit.
    """
    if isinstance(story, LabelFlip):
        short, long = (Joint(epochs=n, guide_lr=6e-4, spread_lr=0.0) for n in (10, 70))
        return [
            Anchors(),
            Restarts(attempts=[[Reinitialise(), WarmUp(), short]] * 3),
            long,
            Spread(),
        ]
    if isinstance(story, LatentSwitch) and isinstance(story.clean, LocationScale):
        one_sided = (0.1, -0.1, 0.4, -0.4) if isinstance(story.anomaly, ShiftedComponent) else ()
        shares = (0.0, *one_sided)
        attempts = [[Reinitialise(), RobustStart(share=s), Joint(epochs=25)] for s in shares]
        restarts = Restarts(attempts=attempts, all_rows=True)
        return [restarts, Joint(epochs=110), Joint(epochs=40, lr=2e-4)]
    return [Joint()]
