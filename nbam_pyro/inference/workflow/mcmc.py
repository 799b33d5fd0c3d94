"""Markov chains of a fitted story by the No-U-Turn Sampler (NUTS), to check its guide."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
import xarray as xr
from pyro.infer import MCMC, NUTS
from pyro.infer.autoguide import init_to_value

from nbam_pyro import functional as nf
from nbam_pyro.errors import ConvergenceWarning, DataError, StoryError
from nbam_pyro.inference.posterior.datatree import tree_of_draws
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.latents_tree import latents_dataset
from nbam_pyro.inference.posterior.scoring import scored_rows
from nbam_pyro.inference.variational.enumeration import log_joint, with_verified
from nbam_pyro.inference.variational.guides import Draw, each_draw, guide_draws, guide_median
from nbam_pyro.inference.variational.modes_guide import ModesGuide
from nbam_pyro.inference.variational.search import search_modes
from nbam_pyro.inference.workflow.chain_groups import group_chains
from nbam_pyro.models import ClosedStory, Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import evaluated, seeded
from nbam_pyro.training.parallel import independent
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["nuts", "sample_chains"]

# Most numbers of a posterior whose modes are searched, most modes, and draws of all modes.
_NUMBERS, _MODES, _DRAWS = 60, 4, 1000


def nuts(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    verified: Verified = NOTHING,
    num_samples: int = 500,
    num_warmup: int = 500,
    chains: int = 4,
    workers: int = 1,
    target_accept: float = 0.8,
    class_names: Sequence[Any] | None = None,
    row_ids: Sequence[Any] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """Sample the global latents of a fitted story by the No-U-Turn Sampler (NUTS).

    The global latents are contamination rates, the flip matrix T, and others such as the weights of
    a `LinearNormal`. The networks do not change. The switch is summed out, in closed form or by
    Pyro's enumeration.

    Chains start in all modes of the posterior. The modes are those of `Explore`, which runs here if
    the fit had other steps, the story has a closed form, and it has at most 60 unknown numbers;
    otherwise chains start from draws of the guide. Chains that sample the same modes form a group.
    Each group is judged by r-hat (at most 1.05), effective draws (at least 100) and divergent
    transitions (at most 1 %) of its own chains. If there are several groups, the posterior of the
    tree has draws of each group in proportion to the probability of its modes, in random order. The
    number of chains that sample a mode is not an estimate of the probability of this mode.

    The chains sample the posterior that a guide approximates when it is fitted by `Joint` to the
    same rows, each counted once. The default recipe for labels estimates rates and T from
    predictions out of fold instead. For rows that a network was trained on, chains find rates that
    are too low, because the network may have memorised wrong labels.

    Each step evaluates all rows in Python. With some thousand rows and some hundred latents, the
    chains take minutes.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        num_samples: Number of samples of each chain, at least four.
        num_warmup: Number of steps of each chain that adapt the sampler and are discarded.
        chains: Number of chains.
        workers: Number of processes in which chains run.
        target_accept: Acceptance probability to which step sizes are adapted. Raise it towards 1
            if some transitions diverge.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
        row_ids: Names of the rows in the tree, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension, such as `{"clinic": ["A", "B"]}`.
        dims: Names of the dimensions of a site, such as `{"group": ["clinic"]}`.
        seed: Seed of the chains. Torch's global random state is not changed.

    Returns:
        A tree with the groups of `to_datatree`; `sample_stats` with "diverging", which marks
        divergent transitions, (chains, num_samples); and `convergence`, with r-hat, effective
        draws, divergences, the number of chains and the weight of every group of chains. The
        attribute "sentence" of `convergence` states which diagnostics fail, and a
        `ConvergenceWarning` repeats this sentence. With several groups, `chains` has the draws in
        their original order, chain by chain.

    Raises:
        DataError: The rows have another shape or type than those of the fit, `num_samples` is below
            four, or `chains` or `workers` is below one.
        StoryError: The story has no global latents.

    Source: Hoffman & Gelman (2014), by Pyro.
    """
    if chains < 1:
        raise DataError(f"chains is {chains}, but it must be at least 1.")
    rows = scored_rows(fit, x, y, verified)
    modes = _modes(fit, rows, seed=seed)
    draws, diverging = sample_chains(
        fit.story,
        rows,
        _starts(fit, modes, chains, seed=seed),
        num_samples=num_samples,
        num_warmup=num_warmup,
        workers=workers,
        target_accept=target_accept,
        seed=seed,
    )
    groups = group_chains(modes, draws)
    chosen = groups.choose(num_samples, seed=seed)
    kept = draws if chosen is None else {n: v.flatten(end_dim=1)[chosen] for n, v in draws.items()}
    tree = tree_of_draws(
        fit.story,
        kept,
        rows,
        class_names=class_names,
        row_ids=row_ids,
        coords=coords,
        dims=dims,
        sample_stats={"diverging": diverging if chosen is None else diverging.ravel()[chosen]},
        seed=seed,
    )
    fell = latents_dataset(fit.story, draws, class_names, coords=coords, dims=dims)
    if chosen is not None:
        tree["chains"] = xr.DataTree(fell)
    convergence = groups.convergence(fell, diverging)
    tree["convergence"] = xr.DataTree(convergence)
    if not convergence.attrs["converged"]:
        warnings.warn(convergence.attrs["sentence"], ConvergenceWarning, stacklevel=2)
    return tree


def _modes(fit: Fit, rows: Scored, *, seed: int) -> ModesGuide | None:
    """Return the modes of the posterior; None if they cannot be searched in reasonable time."""
    if isinstance(fit.guide, ModesGuide):
        return fit.guide
    story, small = _frozen(fit.story, rows)
    count = sum(value.numel() for value in guide_median(fit.guide).values())
    if story.closed_form is None or not 0 < count <= _NUMBERS:
        return None
    batch = Batch(small.x, small.y, torch.ones(len(small.y)), small.verified)
    with seeded(seed), torch.enable_grad():
        found = search_modes(story, batch, most=_MODES, draws=_DRAWS, seed=seed)
    return None if found is None else found.guide


def _starts(fit: Fit, modes: ModesGuide | None, chains: int, *, seed: int) -> list[Draw]:
    """Return the first values of each chain: a draw of each mode in turn, by falling weight."""
    if modes is None:
        return each_draw(guide_draws(fit.guide, chains, seed=seed), chains)
    rng = np.random.default_rng(seed)
    every = [mode.draws for mode in modes.modes if len(next(iter(mode.draws.values())))]
    dtype = precision_of(fit.story)
    starts = []
    for number in range(chains):
        draws = every[number % len(every)]
        row = int(rng.integers(len(next(iter(draws.values())))))
        starts.append({name: value[row].to(dtype) for name, value in draws.items()})
    return starts


def sample_chains(
    story: Story,
    rows: Scored,
    starts: list[Draw],
    *,
    num_samples: int = 500,
    num_warmup: int = 500,
    workers: int = 1,
    target_accept: float = 0.8,
    seed: int = 0,
) -> tuple[Draw, np.ndarray]:
    """Sample chains of the global latents of a story, one chain from each start.

    Args:
        story: Any story. Its parameters do not change.
        rows: All rows.
        starts: First values of the global latents of each chain, by site name.
        num_samples: Number of samples of each chain, at least four.
        num_warmup: Number of steps of each chain that adapt the sampler and are discarded.
        workers: Number of processes in which chains run.
        target_accept: Acceptance probability to which step sizes are adapted.
        seed: Seed of the chains.

    Returns:
        Draws by site name, (chains, num_samples, ...), and booleans that mark divergent
        transitions, (chains, num_samples).

    Raises:
        DataError: `num_samples` is below four, or `workers` is below one.
        StoryError: The story has no global latents.
    """
    if num_samples < 4 or workers < 1:
        raise DataError(
            f"num_samples is {num_samples} and workers is {workers}. Give at least four samples "
            "and one process."
        )
    if not starts or not starts[0]:
        raise StoryError(
            f"{type(story).__name__} has no global latents, so there is nothing to sample."
        )
    small = _frozen(story, rows)
    settings = _Settings(num_samples, num_warmup, target_accept)
    seeds = [seed + 1000 * number for number in range(len(starts))]
    calls = [(*small, one, settings, own) for one, own in zip(starts, seeds, strict=True)]
    results = independent(_chain, calls, n_jobs=min(workers, len(starts)), seeds=seeds)
    draws = {name: torch.stack([chain[name] for chain, _ in results]) for name in starts[0]}
    return draws, np.stack([diverging for _, diverging in results])


def _frozen(story: Story, rows: Scored) -> tuple[Story, Scored]:
    """Replace networks by their predictions for the rows, if these do not depend on latents."""
    story = evaluated(story)
    with torch.no_grad():
        parts = [story.on_predictions(part.x) for part in rows.parts()]
    return parts[0][0], rows._replace(x=torch.cat([x for _, x in parts]))


class _Settings(NamedTuple):
    """Settings that all chains share."""

    num_samples: int
    num_warmup: int
    target_accept: float


def _chain(
    story: Story, rows: Scored, start: Draw, settings: _Settings, seed: int
) -> tuple[Draw, np.ndarray]:
    """Sample one chain, in a separate process or in this one."""

    def closed(form: ClosedStory) -> None:
        latents = form.sample_latents()
        pair = log_joint(form, rows.x, rows.y, latents, verified=rows.verified)
        pyro.factor("log_marginal", nf.log_marginal(*pair).sum())

    def enumerated() -> None:
        with with_verified(story, rows.verified):
            story(rows.x, rows.y, num_data=len(rows.x), **rows.verified.keyword)

    # The story may be in use in another thread, so a copy without gradients is sampled.
    story = copy.deepcopy(story).eval().requires_grad_(False)
    form = story.closed_form
    with _one_thread(seed):
        kernel = NUTS(
            enumerated if form is None else partial(closed, form),
            target_accept_prob=settings.target_accept,
            init_strategy=init_to_value(values=start),
            max_plate_nesting=1 + len(story.dims) if form is None else 0,
        )
        mcmc = MCMC(
            kernel,
            num_samples=settings.num_samples,
            warmup_steps=settings.num_warmup,
            disable_progbar=True,
        )
        mcmc.run()
    diverging = np.zeros(settings.num_samples, dtype=bool)
    diverging[mcmc.diagnostics()["divergences"]["chain 0"]] = True
    return mcmc.get_samples(), diverging


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """Use one thread of torch and random numbers from a seed inside the block."""
    with seeded(seed), local_parameters(), pyro.validation_enabled(False):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # tensors are small, and threads would wait for each other
        try:
            yield
        finally:
            torch.set_num_threads(threads)
