"""The errors and warnings of the library.

Every error derives from `NBAMError`, and every warning from `NBAMWarning`.
"""


class NBAMError(Exception):
    """Base class of the library's errors. The message states the cause and what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


class DataError(NBAMError, ValueError):
    """The data are not valid: a wrong shape, a wrong type, an unknown label or a missing value."""


class SupportError(DataError):
    """A target is outside the support of the anomaly likelihood, so it cannot be fitted."""


class StoryError(NBAMError, TypeError):
    """The story lacks something that the call needs, such as a closed form or a true label."""


class FolderError(NBAMError, OSError):
    """A file or a run folder exists already, cannot be read or cannot be written."""


class ContractError(NBAMError, AssertionError):
    """A part that you wrote lacks a property that the library needs; see `nbam_pyro.testing`."""


class NBAMWarning(UserWarning):
    """Base class of the library's warnings."""


class CannotTellWarning(NBAMWarning):
    """The data do not identify the contamination: the verdict of the fit is "cannot tell"."""


class CollapseWarning(CannotTellWarning):
    """The responsibilities of a fit mean nothing. Each cause has its own subclass."""


class VanishedWarning(CollapseWarning):
    """The fit finds almost no contamination, although many targets contradict its predictor."""


class ExchangedWarning(CollapseWarning):
    """The fit finds most rows contaminated: the anomaly likelihood explains the clean targets."""


class NothingLearnedWarning(CollapseWarning):
    """The network predicts labels no better than their frequencies do."""


class ConvergenceWarning(NBAMWarning):
    """Markov chains have not converged, so their draws may not represent the posterior."""


class OptimiserWarning(NBAMWarning):
    """Parameters of a loss did not change, probably because the optimiser does not have them."""


class InSampleWarning(NBAMWarning):
    """Responsibilities are too low, or may be: the network has memorised labels of these rows."""


class WildValueWarning(NBAMWarning):
    """Values extremely far from the rest of their column are replaced by less extreme values."""


class NuisanceWarning(NBAMWarning):
    """A nuisance can still be read from a representation, or too few rows show that it cannot."""


class SupportWarning(NBAMWarning):
    """Some scored targets lie outside the range of the story; they count as contaminated."""


def printable(text: str) -> str:
    r"""Return the text with every character that could control a terminal replaced by an escape.

    Control characters, characters that change the direction of writing, and invisible characters
    are escaped. Ends of lines are kept.

    Args:
        text: Text to show.

    Example:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return "".join(one if one == "\n" or one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
