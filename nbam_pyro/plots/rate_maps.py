"""Plot of the contamination over time or over a map."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from nbam_pyro.errors import DataError
from nbam_pyro.inference import RateMap

__all__ = ["rate_map"]


def rate_map(rates: RateMap, *, ax: Axes | None = None) -> Axes:
    """Draw the contamination over one coordinate with its interval, or over two as colours.

    Over two coordinates, small marks have a wide interval and large marks a narrow one, so that
    places without evidence do not look like places without contamination.

    Args:
        rates: Result of `nbam_pyro.inference.rate_map`.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The places have more than two coordinates.

    Example:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> hours, rate = np.arange(3.0)[:, None], np.full(3, 0.2)
        >>> rates = RateMap(hours, rate, rate - 0.1, rate + 0.1, 0.9)
        >>> rate_map(rates, ax=Figure().subplots()).get_ylabel()
        'contamination, 90 % interval'
    """
    places = rates.places
    if places.shape[1] > 2:
        raise DataError(
            f"The places have {places.shape[1]} coordinates; a picture can show one or two. Vary "
            "two of them and keep the others fixed, and draw with matplotlib."
        )
    ax = ax or plt.gca()
    said = f"contamination, {100 * rates.probability:g} % interval"
    if places.shape[1] == 1:
        order = places[:, 0].argsort(kind="stable")
        at = places[order, 0]
        ax.fill_between(at, rates.low[order], rates.high[order], color="tab:blue", alpha=0.25)
        ax.plot(at, rates.mean[order], color="tab:blue")
        ax.set_ylim(0, 1)
        ax.set_xlabel("coordinate")
        ax.set_ylabel(said)
    else:
        size = 40 * (1 - (rates.high - rates.low)).clip(0.05, 1)
        drawn = ax.scatter(places[:, 0], places[:, 1], c=rates.mean, s=size, vmin=0, cmap="viridis")
        ax.figure.colorbar(drawn, ax=ax, label="contamination (larger mark: narrower interval)")
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate")
    ax.set_title("Where rows are contaminated")
    return ax
