"""Priors that are given as texts on the command line."""

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.contamination import rate_prior
from nbam_pyro.models import Beta, CleanError, CleanErrorLike

__all__ = ["check_label_options", "clean_error_text", "parse_clean_error", "parse_contamination"]

_BETA = "beta:"


def parse_contamination(text: str | None) -> float | Beta | None:
    """Read a prior of the share of wrong targets.

    Args:
        text: A share of wrong targets such as "0.05", or "beta:2,8"; None for the default prior.

    Raises:
        DataError: The text is neither of these.

    Example:
        >>> parse_contamination("beta:2,8")
        Beta(a=2.0, b=8.0)
    """
    if text is None:
        return None
    try:
        if text.startswith(_BETA):
            return rate_prior(Beta(*_pair(text.removeprefix(_BETA))))
        share = float(text)
        rate_prior(share)
    except ValueError as error:  # a DataError is one too
        raise DataError(
            f"--contamination is {text!r}. Give a share between 0 and 1 such as 0.05, or two "
            "positive numbers as in beta:2,8."
        ) from error
    return share


def parse_clean_error(text: str | None) -> CleanErrorLike:
    """Read a prior of the clean error.

    Args:
        text: Two numbers such as "0.2,0.5", or "beta:2,6", or "open"; None for the default prior.

    Raises:
        DataError: The text is none of these.

    Example:
        >>> parse_clean_error("0.2,0.5")
        (0.2, 0.5)
    """
    if text is None:
        return None
    try:
        prior: CleanErrorLike
        if text == "open":
            prior = "open"
        elif text.startswith(_BETA):
            prior = Beta(*_pair(text.removeprefix(_BETA)))
        else:
            prior = _pair(text)
        CleanError.of(prior)
    except ValueError as error:  # a DataError is one too
        raise DataError(
            f"--clean-error is {text!r}. Give two numbers between 0 and 1, the smaller one first, "
            "as in 0.2,0.5, or two positive numbers as in beta:2,6, or open."
        ) from error
    return prior


def clean_error_text(prior: CleanErrorLike) -> str | None:
    """Return a prior of the clean error as `parse_clean_error` reads it; None for the default.

    Args:
        prior: Prior of the clean error.

    Example:
        >>> clean_error_text(Beta(2, 6)), clean_error_text((0.2, 0.5))
        ('beta:2.0,6.0', '0.2,0.5')
    """
    if prior is None or isinstance(prior, str):
        return prior
    numbers = ",".join(str(float(number)) for number in prior)
    return f"{_BETA}{numbers}" if isinstance(prior, Beta) else numbers


def check_label_options(
    *,
    labels: bool,
    clean_error: CleanErrorLike = None,
    difficulty: float | None = None,
    head: str | None = None,
) -> None:
    """Raise a `DataError` if an option that is only for labels is given for measurements.

    Args:
        labels: Whether the targets are labels.
        clean_error: Prior of the clean error, or None.
        difficulty: Difficulty, or None.
        head: Kind of the classifier, or None.
    """
    options = {"--clean-error": clean_error, "--difficulty": difficulty, "--head": head}
    for name, given in options.items():
        if given is not None and not labels:
            raise DataError(
                f"{name} is for labels, but the targets are measurements. Leave it out, or use "
                "--task classification."
            )


def _pair(text: str) -> tuple[float, float]:
    first, second = (float(part) for part in text.split(","))
    return first, second
