"""`LabelTables`, the tables of a report that exist only for labels."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["LabelTables"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelTables:
    """Tables about classes in a `ContaminationReport` of labels.

    Attributes:
        rates: Table with one row per class: class, rate, low, high. The rate is the share of wrong
            labels among the rows that truly belong to the class.
        transition_matrix: M = p(observed | true), one row per true class.
        transition_low: Lower end of the interval of each entry of M, (K, K). Like the intervals of
            rates, it takes the observed information of M as exact (a Laplace approximation).
        transition_high: Upper end of the interval of each entry of M, (K, K).
        flip_matrix: T = p(observed | true, wrong), one row per true class, with a zero diagonal.
        sharpness: Table with one row per sharpness, the power to which predicted probabilities are
            raised: sharpness, weight (its posterior probability), contamination, log_marginal
            (nats), flagged (number of responsibilities above one half).
        all_right: Posterior probability that no label is wrong. This probability and the weights in
            the table `sharpness` sum to one.
        class_prior: Pseudo-count of each class in the prior that class frequencies are about equal.
            None without this prior; the frequencies are then those of the predicted probabilities.
    """

    rates: pd.DataFrame
    transition_matrix: pd.DataFrame
    transition_low: pd.DataFrame
    transition_high: pd.DataFrame
    flip_matrix: pd.DataFrame
    sharpness: pd.DataFrame
    all_right: float
    class_prior: float | None
