"""The work of `nbam review`: a table of rows of a run that a person fills in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.results import read_report
from nbam_pyro.cli.runs.tables import write_csv
from nbam_pyro.decisions import review_queue
from nbam_pyro.decisions.goals import GOALS, Posteriors
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.storage import check_file

__all__ = ["Reviewable", "check_outside", "draw_review"]

DESIGNS = ("random", "sorted")
# Columns of flags.csv that help a person to judge a row, in the order of the table to fill in.
_SHOWN = (
    "row",
    "label",
    "suggested_label",
    "suggested_probability",
    "prediction",
    "score",
    "picture",
    "responsibility",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reviewable:
    """Rows of a run that have a target, and which of them somebody has verified already.

    Attributes:
        run: Run folder.
        task: "classification", "regression" or "detection".
        table: Rows of flags.csv that have a target, the most suspicious first, N of them.
        known: Whether each row was verified when the run was made, (N,).
        share: Contaminated share of the rows as the run estimates it.
    """

    run: Path
    task: str
    table: pd.DataFrame
    known: np.ndarray
    share: float

    @classmethod
    def of(cls, run: Path) -> "Reviewable":
        """Read the rows of a run.

        Args:
            run: Run folder that a command wrote.

        Raises:
            FolderError: The folder is not a run folder, or one of its files is missing or was
                changed.
        """
        summary, table = read_report(run)
        detected = summary["task"] == "detection"
        if not detected:
            table = table[table["label"].astype(str) != ""]
            if len(table) != summary["labelled"]:
                raise FolderError(
                    f"'{run / 'flags.csv'}' has {len(table)} rows with a label, but the run has "
                    f"{summary['labelled']}. Give labels that are empty texts a name, and fit "
                    "again."
                )
        name, unknown = ("verified_anomaly", -1) if detected else ("verified", 0)
        known = table.get(name)
        return cls(
            run=run,
            task=summary["task"],
            table=table.reset_index(drop=True),
            known=np.zeros(len(table), bool) if known is None else known.to_numpy() > unknown,
            share=summary["contamination"],
        )

    @property
    def answer(self) -> str:
        """Name of the column that a person fills in."""
        return "anomaly" if self.task == "detection" else "wrong"

    def posteriors(self, goal: str | None) -> Posteriors:
        """Return the posteriors of the open rows, as far as a goal needs them.

        Args:
            goal: Goal of a queue, or None.

        Raises:
            DataError: The goal needs a model, and the run has none.
            FolderError: The model and flags.csv are of different runs.
        """
        if goal in (None, "flags"):
            return Posteriors.of(self.open["responsibility"])
        if self.task == "detection" or not (self.run / "model.json").exists():
            raise DataError(
                f"--for {goal} needs a run of nbam fit on labels with a model, and '{self.run}' "
                "has none. Use --for flags."
            )
        fit, _ = read_run(self.run)
        r = fit.training_rows.responsibility
        order = (-r).argsort(kind="stable")  # that of flags.csv
        if len(r) != len(self.table) or not np.allclose(r[order], self.table["responsibility"]):
            raise FolderError(
                f"The model of '{self.run}' is not the one of its flags.csv. Restore the folder or "
                "fit again."
            )
        return Posteriors.of(fit).rows(order[~self.known])

    @property
    def open(self) -> pd.DataFrame:
        """Rows that nobody has verified, with a new index."""
        return self.table[~self.known].reset_index(drop=True)


def draw_review(
    run: Path,
    out: Path,
    *,
    budget: int,
    design: str | None = None,
    goal: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> pd.DataFrame:
    """Draw rows of a run for a review, and write the table that a person fills in.

    Rows without a target and rows that are verified already are not drawn.

    Args:
        run: Run folder.
        out: CSV file to write. It is written completely or not at all.
        budget: Number of rows to review. If there are fewer rows, all are drawn.
        design: "random" for a sample from which `correct_run` can correct the share, "sorted" for
            the rows that are worth most. None for "random" without a goal, "sorted" with one.
        goal: What the answers are for, as in `decisions.review_queue`: "flags", "verdict" or
            "rates". None for the rows with the largest responsibilities.
        seed: Seed of the sample.
        overwrite: True to replace an existing file.

    Returns:
        The table that was written: the number of each row in the order of review, what flags.csv
        says about the row, inclusion_probability (random design only), with a goal an empty column
        true_label for labels, and an empty column for the answers.

    Raises:
        DataError: There is no row to review, the design or the goal is unknown, the run has no
            model that the goal needs, a random sample has a goal, or the file is in the run folder.
        FolderError: The run is incomplete or was changed; or the file exists and `overwrite` is
            False, or it cannot be written.
    """
    check_outside(out, run)
    check_file(out, overwrite=overwrite)
    design = design or ("random" if goal is None else "sorted")
    if design not in DESIGNS:
        raise DataError(f"--design is {design!r}. Give {' or '.join(DESIGNS)}.")
    if goal is not None and goal not in GOALS:
        raise DataError(f"--for is {goal!r}. Give {', '.join(GOALS)}.")
    if goal is not None and design == "random":
        raise DataError(
            "--for chooses rows in the order of what they are worth, and a random sample corrects "
            "the share whatever it is for. Leave out --for or --design random."
        )
    rows = Reviewable.of(run)
    if not len(rows.open):
        raise DataError(f"'{run}' has no row to review: every row is verified already.")
    queue = review_queue(
        rows.posteriors(goal),
        budget=budget,
        goal=goal,  # type: ignore[arg-type]
        design="random" if design == "random" else "sorted",
        seed=seed,
    )
    drawn = rows.open.loc[queue["row"], [name for name in _SHOWN if name in rows.open]]
    drawn.insert(0, "order", np.arange(1, len(drawn) + 1))
    if design == "random":
        drawn["inclusion_probability"] = queue["inclusion_probability"].to_numpy()
    if goal is not None and rows.task == "classification":
        drawn["true_label"] = ""
    drawn[rows.answer] = ""
    write_csv(drawn, out, overwrite=overwrite)
    return drawn


def check_outside(out: Path, run: Path) -> None:
    """Raise an error if a file or folder to write is the run folder, or is inside it.

    Args:
        out: File or folder to write.
        run: Run folder.

    Raises:
        DataError: It is.
    """
    if out.resolve().is_relative_to(run.resolve()):
        raise DataError(
            f"--out '{out}' is in the run folder '{run}', which does not change. Choose a place "
            "outside of it."
        )
