"""The pair (a, b) of any story, by Pyro's enumeration of its discrete sites.

Closed forms are tested against this route, and stories without one are fitted through it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.models import Latents, Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.verified import NOTHING, Verified


class Enumerated(NamedTuple):
    """Log weights of contaminated and clean states, each (N, *dims)."""

    clean: Tensor
    contaminated: Tensor
    prior_clean: Tensor
    prior_contaminated: Tensor


def enumerate_states(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> Enumerated:
    """Sum a story's states of every row into clean and contaminated, before and after seeing y.

    The log joint of all states is built explicitly, so that a batch of one is nothing special.

    Args:
        story: any story.
        x: rows, (N, ...).
        y: targets, (N, *dims).
        latents: one draw of its global latents by site name.
        verified: what is verified of the rows; states that contradict it have no weight.

    Raises:
        StoryError: a site of a datum is neither observed nor enumerated, none is enumerated
    """
    enumerated = poutine.enum(first_available_dim=first_enumerated_dim(story))
    with local_parameters(), enumerated, with_verified(story, verified):
        conditioned = poutine.condition(story, data=dict(latents))
        trace = poutine.trace(conditioned).get_trace(x, y, num_data=len(x), **verified.keyword)
    trace.compute_log_prob()
    joint = prior = torch.zeros(y.shape, device=x.device)
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
                f"Site {name!r} of a datum is neither observed nor enumerated: write "
                'infer={"enumerate": "parallel"} on every discrete site inside the plate.'
            )
    if not states:
        raise StoryError("The story has no enumerated site, hence no switch to infer.")
    flags = story.contaminated(states).expand(joint.shape)
    return Enumerated(
        *_split(joint, flags, y.ndim),
        *_split(prior.expand(joint.shape), flags, y.ndim),
    )


@contextmanager
def with_verified(story: Story, verified: Verified) -> Iterator[None]:
    """Run a story on verified rows inside the block.

    Args:
        story: Story that runs.
        verified: What is verified of the rows.

    Raises:
        StoryError: Rows are verified, and `forward` has no argument `verified`.
    """
    try:
        yield
    except TypeError as error:
        if not len(verified) or "argument 'verified'" not in str(error):
            raise
        raise StoryError(
            f"Rows are verified, but {type(story).__name__}.forward has no argument verified. Give "
            "it verified=NOTHING, and write observe_verified('switch', z, verified.contaminated) "
            "inside the plates, with both names from nbam_pyro and nbam_pyro.models."
        ) from error


def first_enumerated_dim(story: Story) -> int:
    """The first dimension left of the story's plates, counted from the right."""
    return -2 - len(story.dims)


def _split(log_weights: Tensor, flags: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    states = log_weights.flatten(end_dim=-1 - ndim)
    flagged = flags.flatten(end_dim=-1 - ndim)
    clean = states.masked_fill(flagged, -torch.inf).logsumexp(0)
    return clean, states.masked_fill(~flagged, -torch.inf).logsumexp(0)


def log_joint(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> tuple[Tensor, Tensor]:
    """The pair (a, b) of any story: its closed form where it has one, else by enumeration."""
    if (closed := story.closed_form) is not None:
        return closed.log_joint(x, y, latents, **verified.keyword)
    states = enumerate_states(story, x, y, latents, verified=verified)
    return states.clean, states.contaminated


def switch_logits(story: Story, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
    """Logit of the prior P(z=1 | x), (N, *dims); y only fills the observed site."""
    if (closed := story.closed_form) is not None:
        return closed.switch_logits(x, latents).expand(y.shape)
    states = enumerate_states(story, x, y, latents)
    return states.prior_contaminated - states.prior_clean


def check_closed_form(
    story: Story, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
) -> None:
    """Raise a `StoryError` where a closed form and the story's own `forward` disagree on rows."""
    exact = enumerate_states(story, x, y, latents, verified=verified)
    pair = torch.stack(log_joint(story, x, y, latents, verified=verified))
    if not torch.allclose(pair, torch.stack(exact[:2]), rtol=1e-3, atol=1e-3, equal_nan=True):
        worst = (pair - torch.stack(exact[:2])).abs().nan_to_num(0.0).max()
        raise StoryError(
            f"The closed form of {type(story).__name__} is not what its forward says (they differ "
            f"by up to {float(worst):.3g} nats): override log_joint beside forward, or derive the "
            "story from Story and fit it with objective='elbo'."
        )
