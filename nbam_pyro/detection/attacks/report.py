"""`AttackReport`: how the scores of a detector change under attack, and how far to trust that."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from nbam_pyro.detection.attacks.checks import Check
from nbam_pyro.detection.attacks.moving import auroc

__all__ = ["AttackReport"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class AttackReport:
    """Scores of a detector under attack, and checks of the attack.

    An AUROC under attack is the lowest that was found. A stronger attack may find a lower one. The
    checks look for signs that the attack was too weak. `str()` states the result in sentences, and
    `table` has one row for each eps.

    Attributes:
        detector: Name of the detector.
        eps: Largest change of a value, from small to large, (E,).
        auroc: AUROC where normal rows and anomalies are attacked, for each eps, (E,). It does not
            increase with eps.
        clean: Scores without an attack, (N,).
        scores: Worst score of each row for each eps, (E, N).
        anomaly: Whether each row is an anomaly, (N,).
        x: Worst row for each row at the largest eps, (N, ...).
        random_signs: AUROC where each value is changed by eps in a random direction, (E,).
        threshold: Score above which a row is flagged. It is not changed under attack.
        chosen: How the threshold was chosen, in words.
        method: How rows were attacked, in words.
        by_gradients: Whether the scores of the detector itself were differentiated.
        checks: Checks of the attack.
    """

    detector: str
    eps: tuple[float, ...]
    auroc: np.ndarray
    clean: np.ndarray
    scores: np.ndarray
    anomaly: np.ndarray
    x: np.ndarray
    random_signs: np.ndarray
    threshold: float
    chosen: str
    method: str
    by_gradients: bool
    checks: tuple[Check, ...]

    @property
    def masked(self) -> bool:
        """Whether a check failed: the true AUROC under attack may then be lower."""
        return any(check.passed is False for check in self.checks)

    @property
    def clean_auroc(self) -> float:
        """AUROC without an attack."""
        return auroc(self.clean, self.anomaly)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each eps.

        Columns: "eps"; "auroc" where all rows are attacked; "normals_only" and "anomalies_only",
        the AUROC where only these rows are attacked; "random_signs", the AUROC under random
        changes; "false_alarms" and "missed", the share of normal rows above and of anomalies not
        above the threshold.
        """
        return pd.DataFrame([self._line(at) for at in range(len(self.eps))])

    def __str__(self) -> str:
        last = self.table.iloc[-1]
        before = float((self.clean[~self.anomaly] > self.threshold).mean())
        found = ", ".join(
            f"{value:.3f} at eps {eps:.4g}" for eps, value in zip(self.eps, self.auroc, strict=True)
        )
        lines = [
            f"{self.detector}: the AUROC is {self.clean_auroc:.3f} without an attack, and {found}.",
            f"{self.method}",
            f"At the threshold {self.threshold:.4g} ({self.chosen}), {before:.1%} of the normal "
            f"rows are flagged without an attack, and {last['false_alarms']:.1%} at eps "
            f"{self.eps[-1]:.4g}.",
            *(str(check) for check in self.checks),
        ]
        if not self.by_gradients:
            lines.append(
                "The detector was not attacked by gradients. An attacker who knows it may find "
                "worse rows: these figures are no evidence that it withstands attacks."
            )
        if self.masked:
            lines.append(
                "The result may be masked: a check failed, so the true AUROC under attack may be "
                "lower."
            )
        return "\n".join(lines)

    def _line(self, at: int) -> dict[str, float]:
        scores, odd = self.scores[at], self.anomaly
        return {
            "eps": self.eps[at],
            "auroc": float(self.auroc[at]),
            "normals_only": auroc(np.where(odd, self.clean, scores), odd),
            "anomalies_only": auroc(np.where(odd, scores, self.clean), odd),
            "random_signs": float(self.random_signs[at]),
            "false_alarms": float((scores[~odd] > self.threshold).mean()),
            "missed": float((scores[odd] <= self.threshold).mean()),
        }
