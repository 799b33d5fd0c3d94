"""Markov chains grouped by the modes of the posterior that they sample."""

import warnings
from dataclasses import dataclass

import arviz_stats
import numpy as np
import torch
import xarray as xr
from torch import Tensor

from nbam_pyro.inference.posterior.latents_tree import named_numbers
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.inference.variational.modes_guide import ModesGuide

__all__ = ["ChainGroups", "group_chains"]

# Limits of convergence within a group of chains.
_R_HAT, _ESS, _DIVERGING = 1.05, 100, 0.01
# A chain samples a mode if at least this share of its draws lies there.
_VISITED = 0.05
# Modes of this weight that no chain samples are named.
_MISSED = 0.05


@dataclass(frozen=True, eq=False)
class ChainGroups:
    """Chains grouped by the modes that they sample. Chains that move between modes are one group.

    Attributes:
        of_chain: Index of the group of each chain, (C,).
        weights: Probability of each group, (G,), which sum to 1.
        missed: Probability of the modes that no chain samples.
        known: Whether the modes were searched. If it is False, all chains are one group.
    """

    of_chain: np.ndarray
    weights: np.ndarray
    missed: float = 0.0
    known: bool = True

    def choose(self, samples: int, *, seed: int) -> np.ndarray | None:
        """Return which draws represent the posterior, as (C, S) positions in the flat draws.

        Every group is drawn in proportion to its weight, and draws are in random order. The result
        is None if there is one group, whose chains need no weights.

        Args:
            samples: Number of draws of each chain, S.
            seed: Seed of the choice.
        """
        if len(self.weights) == 1:
            return None
        chains = len(self.of_chain)
        members = np.bincount(self.of_chain, minlength=len(self.weights))
        each = np.repeat((self.weights / members)[self.of_chain] / samples, samples)
        rng = np.random.default_rng(seed)
        count = chains * samples
        places = (np.arange(count) + rng.random()) / count
        index = np.searchsorted(each.cumsum() / each.sum(), places).clip(max=count - 1)
        return rng.permutation(index).reshape(chains, samples)

    def convergence(self, posterior: xr.Dataset, diverging: np.ndarray) -> xr.Dataset:
        """Judge the chains of each group.

        Args:
            posterior: Draws of all chains in their original order, chain by chain.
            diverging: Booleans that mark divergent transitions, (C, S).

        Returns:
            "r_hat" and "ess" of every number that varies, (group, number); "divergences", "chains"
            and "weight", (group,). The attribute "sentence" of this result states which diagnostics
            fail, or that none fails; "converged" is 1 if none fails, and 0 otherwise.
        """
        names = [str(name) for name in posterior.data_vars]
        groups = range(len(self.weights))
        own = [posterior.isel(chain=np.flatnonzero(self.of_chain == g)) for g in groups]
        spread = dict(named_numbers(posterior.std(["chain", "draw"]), names))
        varies = [name for name, value in spread.items() if float(value) > 0]
        judged = [_diagnosed(_halved(one), names) for one in own]
        members = [self.of_chain == g for g in groups]
        found = xr.Dataset(
            {
                "r_hat": (["group", "number"], [[r[n] for n in varies] for r, _ in judged]),
                "ess": (["group", "number"], [[e[n] for n in varies] for _, e in judged]),
                "divergences": (["group"], [int(diverging[rows].sum()) for rows in members]),
                "chains": (["group"], [int(rows.sum()) for rows in members]),
                "weight": (["group"], self.weights),
            },
            coords={"group": list(groups), "number": varies},
        )
        faults = self._faults(found, diverging.shape[1])
        unknown = "" if self.known else " Chains may sample modes of unknown probability."
        sentence = (
            f"The chains have not converged: {'; '.join(faults)}. Take more samples (num_samples, "
            f"num_warmup), more chains, or a target_accept nearer to 1.{unknown}"
        )
        return found.assign_attrs(
            converged=int(not faults),
            sentence=sentence if faults else "The chains have converged.",
        )

    def _faults(self, found: xr.Dataset, samples: int) -> list[str]:
        """Return what fails, in the words of one sentence."""
        faults = []
        several = len(self.weights) > 1
        for g in found["group"].values:
            one = found.sel(group=g)
            where = f" in group {g} (weight {float(one['weight']):.2g})" if several else ""
            # Chains without any scatter have no r-hat.
            r_hat = one["r_hat"].fillna(np.inf).to_series()
            ess = one["ess"].fillna(0).to_series()
            if r_hat.max() > _R_HAT:
                faults.append(f"r-hat of {r_hat.idxmax()} is {r_hat.max():.2f}{where}")
            if ess.min() < _ESS:
                faults.append(f"{ess.idxmin()} has {ess.min():.0f} effective draws{where}")
            if int(one["divergences"]) > _DIVERGING * int(one["chains"]) * samples:
                faults.append(f"{int(one['divergences'])} transitions diverge{where}")
        if self.missed > _MISSED:
            faults.append(f"no chain samples modes of weight {self.missed:.2g}")
        return faults


def group_chains(guide: ModesGuide | None, draws: Draw) -> ChainGroups:
    """Group chains by the modes that they sample.

    A draw belongs to the mode of the nearest draw of the guide, in free coordinates that are scaled
    by the scatter within modes.

    Args:
        guide: The modes of the posterior; None if they were not searched.
        draws: Draws of all chains by site name, (C, S, ...).
    """
    chains = next(iter(draws.values())).shape[0]
    if guide is None or len(guide.weights) == 1:
        return ChainGroups(np.zeros(chains, dtype=int), np.ones(1), known=guide is not None)
    flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
    nearest = _nearest(guide, guide.space.free(flat)).reshape(chains, -1)
    count = len(guide.weights)
    shares = torch.stack([(nearest == mode).double().mean(1) for mode in range(count)], 1)
    visited = ((shares >= _VISITED) | (shares == shares.amax(1, keepdim=True))).numpy()
    # Modes that one chain visits are joined.
    group = np.arange(count)
    for row in visited:
        joined = group[row]
        group[np.isin(group, joined)] = joined.min(initial=count)
    first = np.array([group[row].min(initial=count) for row in visited])
    kept, of_chain = np.unique(first, return_inverse=True)
    weights = np.array([float(guide.weights[group == g].sum()) for g in kept])
    return ChainGroups(of_chain, weights / weights.sum(), missed=max(0.0, 1 - weights.sum()))


def _nearest(guide: ModesGuide, points: Tensor) -> Tensor:
    """Return the mode of the draw of the guide that is nearest to each point, (P,)."""
    free = guide.free.double()
    middles = [free[guide.mode == mode].mean(0) for mode in range(len(guide.weights))]
    away = free - torch.stack(middles)[guide.mode]
    values, vectors = torch.linalg.eigh(torch.cov(away.mT).reshape(free.shape[1], -1))
    scale = vectors / values.clamp_min(1e-12 * float(values.max())).sqrt()
    index = torch.cat(
        [torch.cdist(part @ scale, free @ scale).argmin(1) for part in points.split(4096)]
    )
    return guide.mode[index]


def _halved(posterior: xr.Dataset) -> xr.Dataset:
    """Return both halves of every chain as chains of their own, so that one chain has an r-hat."""
    half = posterior.sizes["draw"] // 2
    parts = [posterior.isel(draw=slice(half)), posterior.isel(draw=slice(half, 2 * half))]
    parts = [part.assign_coords(draw=np.arange(half)) for part in parts]
    joined = xr.concat(parts, "chain")
    return joined.assign_coords(chain=np.arange(joined.sizes["chain"]))


def _diagnosed(
    posterior: xr.Dataset, names: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return r-hat and the number of effective draws of every number, by its name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of numbers that are constant, such as a diagonal of 0
        measures = [arviz_stats.rhat(posterior), arviz_stats.ess(posterior)]
    r_hat, ess = ({n: float(v) for n, v in named_numbers(m, names)} for m in measures)
    return r_hat, ess
