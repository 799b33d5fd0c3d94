"""The contract of a story."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import ContractError, DataError, StoryError
from nbam_pyro.inference.variational.enumeration import (
    enumerate_states,
    log_joint,
    switch_logits,
)
from nbam_pyro.inference.variational.guides import Draw, guide_draws, make_guide, sample_guide
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.testing.contract import (
    check_close,
    check_learns,
    clone,
    one_and_all,
    part_of_a_user,
    rebuilt,
    require,
    verified_rows,
)
from nbam_pyro.testing.objectives import check_objectives
from nbam_pyro.training.tensors import precision_of

__all__ = ["check_story"]

# Number of batches in the data set that the check assumes.
_TIMES = 10


def check_story(
    story: Story,
    x: Tensor,
    y: Tensor,
    *,
    verified: bool = True,
    saved: bool = True,
    unused: Sequence[str] = (),
    seed: int = 0,
) -> None:
    r"""Check that a story works with all functions of the library that take a story.

    These properties are checked, on all rows and on a batch of the first row alone:

    * `forward` takes observed targets, draws targets of the same shape without them, and opens its
      plates with `num_data`.
    * The log joints a = log p(z=0, y | x) and b = log p(z=1, y | x), summed over the states of
      each row by enumeration, have the shape of y. They are finite or -inf, and never both -inf.
    * `contaminated` returns False for some states (clean) and True for others (contaminated).
    * A closed form equals the enumeration, in its log joints, its prior logits, and the value and
      gradients of the objective.
    * Verified rows rule out the states that contradict them.
    * A finite gradient reaches every parameter.
    * The clean predictor, if there is one, has a log probability for each target.
    * The story can be saved and loaded.

    Args:
        story: Story to check. It is not changed.
        x: Rows, (N, ...), at least two.
        y: Observed targets, (N, *dims).
        verified: Whether verified rows are checked. False for a story whose `forward` has no
            argument `verified`.
        saved: Whether saving and loading is checked. False for a story that is given to
            `load(..., story=...)`.
        unused: Names of parameters that may have no gradient.
        seed: Seed of all draws. The global random state of torch is not changed.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> from torch import nn
        >>> from nbam_pyro import LabelFlip
        >>> x, y = torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
        >>> check_story(LabelFlip(nn.Linear(2, 3), 3), x, y)
        >>> class Upside(LabelFlip):
        ...     def log_joint(self, x, y, latents, **known):
        ...         return super().log_joint(x, y, latents, **known)[::-1]
        >>> check_story(Upside(nn.Linear(2, 3), 3), x, y)
        Traceback (most recent call last):
        nbam_pyro.errors.ContractError: Upside.log_joint does not agree with Upside.forward: ...
    """
    with part_of_a_user(seed):
        story = clone(story).eval()
        _check_targets(story, x, y)
        for rows, targets in one_and_all(x, y):
            latents = _draw(story, rows, targets)
            with torch.no_grad():
                _check_shapes(story, rows, targets)
                _check_states(story, rows, targets, latents)
                _check_closed_form(story, rows, targets, latents)
                if verified:
                    _check_verified(story, rows, targets, latents)
                _check_predictor(story, rows, targets, latents)
            check_objectives(story, rows, targets, num_data=_TIMES * len(rows))
        if verified:
            known = verified_rows(story, y)
            check_objectives(story, x, y, num_data=len(x), verified=known)
        _check_gradients(story, x, y, unused)
        if saved:
            _check_rebuilt(story, x, y)


def _draw(story: Story, x: Tensor, y: Tensor) -> Draw:
    """Return one draw of the global latents, in the precision of the story."""
    draws = guide_draws(make_guide(story, x, y), 1)
    return {name: value[0].to(precision_of(story)) for name, value in draws.items()}


def _check_targets(story: Story, x: Tensor, y: Tensor) -> None:
    try:
        story.check_targets(x, y)
    except (DataError, StoryError) as error:
        raise ContractError(
            f"{type(story).__name__}.check_targets rejects the targets: {error} Pass targets that "
            "the story can produce, or correct check_targets."
        ) from error


def _check_shapes(story: Story, x: Tensor, y: Tensor) -> None:
    kind = type(story).__name__
    with local_parameters():
        observed, drawn = story(x, y), story(x)
    for name, targets in {"observed": observed, "drawn": drawn}.items():
        require(
            isinstance(targets, Tensor) and targets.shape == y.shape,
            f"{kind}.forward must return its targets, {name} here, in the shape {tuple(y.shape)} "
            f"of y; it returns {_shape(targets)}. Return pyro.sample(..., obs=y) of a distribution "
            "that has the batch shape of y inside self.plates(...).",
        )


def _shape(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _check_states(story: Story, x: Tensor, y: Tensor, latents: Draw) -> None:
    kind = type(story).__name__
    try:
        states = enumerate_states(story, x, y, latents)
    except StoryError as error:
        raise ContractError(f"The states of {kind} cannot be enumerated: {error}") from error
    shape = story.per_switch(y).shape
    for name, values in states._asdict().items():
        require(
            values.shape == shape,
            f"The {name} log weights of {kind} have shape {tuple(values.shape)}; expected "
            f"{tuple(shape)}. Give every site inside the plates one value for each switch.",
        )
        require(
            not bool(values.isnan().any() | (values == torch.inf).any()),
            f"The {name} log weights of {kind} are NaN or infinite: log probabilities must be "
            "finite, or -inf for states that are impossible.",
        )
    require(
        bool((states.clean > -torch.inf).logical_or(states.contaminated > -torch.inf).all()),
        f"A target is impossible under every state of {kind}: give the clean or the contaminated "
        "likelihood a support that covers all targets.",
    )
    for name, prior in {
        "clean": states.prior_clean,
        "contaminated": states.prior_contaminated,
    }.items():
        require(
            bool((prior > -torch.inf).any()),
            f"{kind}.contaminated marks no state as {name}: it must return True for the states "
            "that count as contaminated, and False for the others.",
        )


def _check_closed_form(story: Story, x: Tensor, y: Tensor, latents: Draw) -> None:
    if story.closed_form is None:
        return
    kind = type(story).__name__
    exact = enumerate_states(story, x, y, latents)
    a, b = story.closed_form.log_joint(x, y, latents)
    require(
        a.shape == b.shape == exact.clean.shape,
        f"{kind}.log_joint returns shapes {tuple(a.shape)} and {tuple(b.shape)}; expected "
        f"{tuple(exact.clean.shape)} twice, one value for each switch.",
    )
    mend = "derive it from the same distributions as forward, or derive the story from Story."
    says = f"{kind}.log_joint does not agree with {kind}.forward: {mend}"
    check_close(a, exact.clean, says)
    check_close(b, exact.contaminated, says)
    prior = exact.prior_contaminated - exact.prior_clean
    says = f"{kind}.switch_logits does not agree with the prior log odds in {kind}.forward: {mend}"
    check_close(switch_logits(story, x, y, latents), prior, says)


def _check_verified(story: Story, x: Tensor, y: Tensor, latents: Draw) -> None:
    kind = type(story).__name__
    known = verified_rows(story, y)
    try:
        exact = enumerate_states(story, x, y, latents, verified=known)
    except StoryError as error:
        raise ContractError(f"{error} Or pass verified=False to check_story.") from error
    switch = known.switch(story.per_switch(y))
    for name, log_weight, ruled_out in (
        ("clean", exact.clean, switch == 1),
        ("contaminated", exact.contaminated, switch == 0),
    ):
        require(
            torch.equal(log_weight == -torch.inf, ruled_out),
            f"{kind}.forward does not rule out exactly the {name} states that contradict verified "
            "rows: write observe_verified(site, contaminated, verified.contaminated) inside the "
            "plates, with a value that is 1 for contaminated states and 0 for clean ones.",
        )
    says = (
        f"{kind}.log_joint does not agree with {kind}.forward on verified rows: use "
        "nf.observe_switch."
    )
    a, b = log_joint(story, x, y, latents, verified=known)
    check_close(a, exact.clean, says)
    check_close(b, exact.contaminated, says)
    r = nf.responsibility(a, b)
    certain = switch >= 0
    says = f"Verified rows of {kind} do not have the responsibility that is verified, 0 or 1."
    require(torch.equal(r[certain], switch[certain].to(r)), says)
    unseen = enumerate_states(story, x, y, latents)
    says = f"Verified rows of {kind} change the log joint of states that agree with them."
    whole = (switch != 0) & (known.true_label < 0)
    check_close(a[switch < 1], unseen.clean[switch < 1], says)
    check_close(b[whole], unseen.contaminated[whole], says)
    prior = unseen.prior_contaminated - unseen.prior_clean
    says = f"The prior of the switch of {kind} must not depend on verified values."
    check_close(exact.prior_contaminated - exact.prior_clean, prior, says)


def _check_predictor(story: Story, x: Tensor, y: Tensor, latents: Draw) -> None:
    if not story.predicts:
        return
    name = f"{type(story).__name__}.clean_predictor"
    values = story.clean_predictor(x, latents).log_prob(y)
    shape = story.per_switch(y).shape
    require(
        values.shape == shape,
        f"{name} gives log probabilities of shape {tuple(values.shape)}; expected {tuple(shape)}, "
        "one for each switch: return a distribution of that batch shape.",
    )
    require(not bool(values.isnan().any()), f"{name} gives targets a log probability of NaN.")


def _check_gradients(story: Story, x: Tensor, y: Tensor, unused: Sequence[str]) -> None:
    guide = make_guide(story, x, y)
    latents, _ = sample_guide(guide, x, y, num_data=len(x))
    check_learns(story, nf.log_marginal(*log_joint(story, x, y, latents)).sum(), unused=unused)


def _check_rebuilt(story: Story, x: Tensor, y: Tensor) -> None:
    again, latents = rebuilt(story), _draw(story, x, y)
    says = (
        f"A {type(story).__name__} that is built again from its description has different log "
        "joints: keep everything that forward uses as an argument of the constructor, a parameter "
        "or a buffer."
    )
    with torch.no_grad():
        for ours, theirs in zip(
            log_joint(again, x, y, latents), log_joint(story, x, y, latents), strict=True
        ):
            check_close(ours, theirs, says)
