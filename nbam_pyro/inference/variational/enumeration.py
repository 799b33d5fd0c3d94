"""The log joints (a, b) of any story, computed with Pyro's enumeration of its discrete sites.

a is log p(y, z=0 | x) and b is log p(y, z=1 | x) at one draw of the global latents. Stories without
a closed form are fitted with these functions, and closed forms are tested against them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.functional import responsibility
from nbam_pyro.models import Latents, Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.verified import NOTHING, Verified


class Enumerated(NamedTuple):
    """Log weights of the clean and of the contaminated states of rows.

    Each attribute is a tensor of shape (N, *dims).

    Attributes:
        clean: log p(y, z=0 | x), the log joint of y and the clean states.
        contaminated: log p(y, z=1 | x), the log joint of y and the contaminated states.
        prior_clean: log P(z=0 | x), the log prior probability of the clean states, without y.
        prior_contaminated: log P(z=1 | x), the log prior probability of the contaminated states,
            without y.
    """

    clean: Tensor
    contaminated: Tensor
    prior_clean: Tensor
    prior_contaminated: Tensor


def enumerate_states(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> Enumerated:
    """Sum the weights of the clean and of the contaminated states of every row, with and without y.

    The log joint of all states is built explicitly, so a batch of one row needs no special case.

    Args:
        story: Story of any kind.
        x: Rows, (N, ...).
        y: Targets, (N, *dims).
        latents: One draw of the global latents of the story, by site name.
        verified: Verified switches and true labels of the rows. States that contradict them have
            weight 0.

    Returns:
        The log weights of clean and contaminated states.

    Raises:
        StoryError: A site inside the plate is neither observed nor enumerated, or no site is
            enumerated.
    """
    enumerated = poutine.enum(first_available_dim=first_enumerated_dim(story))
    with local_parameters(), enumerated, with_verified(story, verified):
        conditioned = poutine.condition(story, data=dict(latents))
        trace = poutine.trace(conditioned).get_trace(x, y, num_data=len(x), **verified.keyword)
    trace.compute_log_prob()
    joint = prior = torch.zeros(story.per_switch(y).shape, device=x.device)
    states: dict[str, Tensor] = {}
    sites: dict[str, Any] = trace.nodes
    for name, site in sites.items():
        if site["type"] != "sample" or not site["cond_indep_stack"] or site_is_subsample(site):
            continue
        joint = joint + site["log_prob"]
        if site["infer"].get("_enumerate_dim") is not None:
            states[name] = site["value"]
            prior = prior + site["log_prob"]
        elif not site["is_observed"]:
            raise StoryError(
                f"Site {name!r} inside the plate is neither observed nor enumerated. Write "
                'infer={"enumerate": "parallel"} on every discrete site inside the plate.'
            )
    if not states:
        raise StoryError(
            "The story has no enumerated site, so there is no switch to infer. Write "
            'infer={"enumerate": "parallel"} on the switch.'
        )
    flags = story.contaminated(states).expand(joint.shape)
    return Enumerated(
        *_split(joint, flags, 1 + len(story.dims)),
        *_split(prior.expand(joint.shape), flags, 1 + len(story.dims)),
    )


@contextmanager
def with_verified(story: Story, verified: Verified) -> Iterator[None]:
    """Run a method of a story on verified rows inside the block.

    Args:
        story: Story that runs.
        verified: Verified switches and true labels of the rows.

    Raises:
        StoryError: Rows are verified, and the method has no argument `verified`.
    """
    try:
        yield
    except TypeError as error:
        if not len(verified) or "argument 'verified'" not in str(error):
            raise
        method = str(error).partition("(")[0].rpartition(".")[2]
        raise StoryError(
            f"Rows are verified, but {type(story).__name__}.{method} has no argument verified. "
            "Give it verified=NOTHING, from nbam_pyro. In forward, also write "
            "observe_verified('switch', z, verified.contaminated), from nbam_pyro.models, inside "
            "the plates."
        ) from error


def first_enumerated_dim(story: Story) -> int:
    """Return the first dimension left of the story's plates, a negative number."""
    return -2 - len(story.dims)


def _split(log_weights: Tensor, flags: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    """Return the log-sum over the clean states and over the contaminated states of each row.

    Args:
        log_weights: Log weights by state, (*states, N, *dims).
        flags: Booleans of the same shape that are True for contaminated states.
        ndim: Number of dimensions of the targets, (N, *dims).
    """
    states = log_weights.flatten(end_dim=-1 - ndim)
    flagged = flags.flatten(end_dim=-1 - ndim)
    clean = states.masked_fill(flagged, -torch.inf).logsumexp(0)
    return clean, states.masked_fill(~flagged, -torch.inf).logsumexp(0)


def log_joint(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> tuple[Tensor, Tensor]:
    """Return log p(y, z=0 | x) and log p(y, z=1 | x) for any story, two tensors (N, *dims).

    The function uses the closed form of the story if there is one, and enumeration otherwise.

    Args:
        story: Story of any kind.
        x: Rows, (N, ...).
        y: Targets, (N, *dims).
        latents: One draw of the global latents of the story, by site name.
        verified: Verified switches and true labels of the rows.
    """
    if (closed := story.closed_form) is not None:
        with with_verified(story, verified):
            pair: tuple[Tensor, Tensor] = closed.log_joint(x, y, latents, **verified.keyword)
        return pair
    states = enumerate_states(story, x, y, latents, verified=verified)
    return states.clean, states.contaminated


def switch_logits(story: Story, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
    """Return the logit of the prior P(z=1 | x), (N, *dims).

    Args:
        story: Story of any kind.
        x: Rows, (N, ...).
        y: Targets, (N, *dims). They fill the observed site and do not change the result.
        latents: One draw of the global latents of the story, by site name.
    """
    if (closed := story.closed_form) is not None:
        return closed.switch_logits(x, latents).expand(story.per_switch(y).shape)
    states = enumerate_states(story, x, y, latents)
    return states.prior_contaminated - states.prior_clean


def responsibility_and_prior(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> tuple[Tensor, Tensor]:
    """Return P(z=1 | x, y) given verified values, and the prior P(z=1 | x), each (N, *dims).

    A story without a closed form is enumerated once for both.

    Args:
        story: Story of any kind.
        x: Rows, (N, ...).
        y: Targets, (N, *dims).
        latents: One draw of the global latents of the story, by site name.
        verified: Verified switches and true labels of the rows. They do not change the prior.
    """
    if story.closed_form is not None:
        pair = log_joint(story, x, y, latents, verified=verified)
        return responsibility(*pair), switch_logits(story, x, y, latents).sigmoid()
    states = enumerate_states(story, x, y, latents, verified=verified)
    prior = states.prior_contaminated - states.prior_clean
    return responsibility(states.clean, states.contaminated), prior.sigmoid()


def check_closed_form(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> None:
    """Raise a `StoryError` if the closed form of a story does not agree with its method `forward`.

    Args:
        story: Story with a closed form.
        x: Rows, (N, ...).
        y: Targets, (N, *dims).
        latents: One draw of the global latents of the story, by site name.
        verified: Verified switches and true labels of the rows.

    Raises:
        StoryError: The closed form and `forward` differ by more than rounding errors.
    """
    exact = enumerate_states(story, x, y, latents, verified=verified)
    pair = torch.stack(log_joint(story, x, y, latents, verified=verified))
    if not torch.allclose(pair, torch.stack(exact[:2]), rtol=1e-3, atol=1e-3, equal_nan=True):
        worst = (pair - torch.stack(exact[:2])).abs().nan_to_num(0.0).max()
        raise StoryError(
            f"The closed form log_joint() of {type(story).__name__} does not agree with its method "
            f"forward(): their log probabilities differ by up to {float(worst):.3g} nats. Override "
            "log_joint together with forward, or derive the story from Story and fit it with "
            "objective='elbo'."
        )
