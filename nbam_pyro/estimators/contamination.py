"""The argument `contamination` of estimators: a prior of the share of wrong targets."""

from numbers import Real

from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive
from nbam_pyro.models.priors.pseudo_counts import Beta

__all__ = ["Contamination", "rate_prior"]

Contamination = float | Beta | None

# A contamination that is a number is the mean of a Beta prior with this sum of pseudo-counts.
_WORTH = 100


def rate_prior(contamination: Contamination) -> Beta | None:
    """Convert a `contamination` argument to a prior.

    Args:
        contamination: A share between 0 and 1, a `Beta`, or None for the default prior.

    Raises:
        DataError: The argument is neither None, nor strictly between 0 and 1, nor a `Beta`.
    """
    if contamination is None:
        return None
    if isinstance(contamination, tuple) and len(contamination) == 2:
        check_positive("Pseudo-count a of contamination", contamination[0])
        check_positive("Pseudo-count b of contamination", contamination[1])
        return Beta(*contamination)
    if isinstance(contamination, Real) and 0 < contamination < 1:
        return Beta(_WORTH * contamination, _WORTH * (1 - contamination))
    raise DataError(
        f"contamination is {contamination!r}. Give None, a share strictly between 0 and 1, or "
        "Beta(a, b)."
    )
