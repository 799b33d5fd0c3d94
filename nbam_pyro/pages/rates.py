"""Parts of findings about rates: the transition matrix, rates by class, prior and posterior."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from nbam_pyro.inference import Fit, transition_matrix
from nbam_pyro.inference.posterior.latents_tree import prior_and_posterior
from nbam_pyro.outputs import ContaminationReport
from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.pages.texts import short_names
from nbam_pyro.plots.class_rates import rates_table
from nbam_pyro.plots.sources import matrix_of

__all__ = ["parts_of_fit", "parts_of_report"]

_NO_RATE = (
    "The prior is not shown beside the posterior, because this model has no rate or share that all "
    "rows have in common."
)
_UNSEEN = (
    "These draws contain only anomalies that the scores show. The interval of the share above is "
    'wider, because the verdict is "cannot tell".'
)


def parts_of_fit(fit: Fit, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the attributes of `Findings` about rates: matrix, class_rates, tree and about_tree.

    Args:
        fit: Fit.
        names: Names of the classes, (K,); None without classes.
    """
    parts: dict[str, Any] = {}
    labels = fit.story.latent_label
    if labels is not None and not labels.deviates and names is not None:
        estimate = transition_matrix(fit)
        parts["matrix"] = matrix_of(estimate)._replace(names=list(names))
        parts["class_rates"] = rates_table(estimate).assign(**{"class": list(names)})
    short = None if labels is None or names is None else short_names(names)
    tree = prior_and_posterior(fit, class_names=short)
    if {"rate", "contamination"} & set(map(str, tree.posterior.data_vars)):
        return parts | {"tree": tree}
    return parts | {"about_tree": _NO_RATE}


def parts_of_report(report: ContaminationReport, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the same attributes of a report of `from_pred_probs` and others.

    Args:
        report: Report.
        names: Names of the classes, (K,); None without classes.
    """
    if report.labels is None or names is None:
        unseen = report.kind == "scores" and report.verdict.level == "cannot tell"
        return {"tree": _tree(report, "contamination"), "about_tree": _UNSEEN if unseen else ""}
    right = report.labels.all_right
    about = (
        "The prior of the rates is for the case that labels may be wrong. In the posterior, a rate "
        f"is 0 with a probability of {percent(right)}: that no label is wrong."
    )
    return {
        "matrix": matrix_of(report)._replace(names=list(names)),
        "class_rates": report.labels.rates.assign(**{"class": list(names)}),
        "tree": _tree(report, "rate", short_names(names)),
        "about_tree": about if right else "",
    }


def _tree(
    report: ContaminationReport, name: str, classes: Sequence[str] | None = None
) -> xr.DataTree:
    """Return posterior and prior of one variable, with names that a picture can show."""
    tree = report.to_datatree()
    groups = {group: tree[group].to_dataset()[[name]] for group in ("posterior", "prior")}
    if classes is not None:
        groups = {key: one.assign_coords({"class": list(classes)}) for key, one in groups.items()}
    return xr.DataTree.from_dict(groups)
