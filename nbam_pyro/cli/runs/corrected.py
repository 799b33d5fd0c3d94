"""The work of `nbam review --answers`: shares and responsibilities after a random review."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbam_pyro.cli.files.messages import counted
from nbam_pyro.cli.runs.answers import Answers
from nbam_pyro.cli.runs.reviewing import Reviewable, check_outside
from nbam_pyro.cli.runs.schema import ReviewedShare
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.decisions import Reviewed, reviewed
from nbam_pyro.storage import new_folder, write_json, write_manifest

__all__ = ["correct_run"]


def correct_run(run: Path, answers: Path, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Correct the share and the responsibilities of a run by a random review, and write both.

    The run folder does not change. The order of the sample is random. If the review stopped early,
    the rows up to the last answer are therefore a smaller random sample. Rows without an answer
    before the last one were skipped: the share takes them to be like the others, and its interval
    contains what it would be if all of them were contaminated, or none of them.

    Rows that were verified when the run was made count as they are. The sample is about the others.

    Args:
        run: Run folder.
        answers: Table of `draw_review`, filled in.
        out: Folder to write. It is written completely or not at all.
        overwrite: True to replace an existing folder that this library wrote.

    Returns:
        The content of reviewed.json. reviewed.csv has one line for each row with a target: row,
        label or score, responsibility (corrected), responsibility_before, and verified (True if
        the row has an answer or was verified before).

    Raises:
        DataError: The answers cannot be used, or the folder is in the run folder.
        FolderError: The run is incomplete or was changed; or the folder exists and `overwrite` is
            False, or it cannot be written.
    """
    check_outside(out, run)
    with new_folder(out, overwrite=overwrite) as draft:
        rows = Reviewable.of(run)
        given = Answers.read(answers, rows)
        found = _Review.of(given, rows.open["responsibility"].to_numpy())
        r = rows.table["responsibility"].to_numpy()
        known, settled = rows.known, r.astype(float)
        settled[~known] = found.main.responsibility
        wrong, count = r[known].sum(), len(r)
        share, low, high = (
            float(wrong + one * (count - known.sum())) / count
            for one in (found.main.contamination, found.low, found.high)
        )
        summary = {
            "run": str(run),
            "answers": str(answers),
            "task": rows.task,
            "rows": count,
            "contamination": share,
            "contamination_low": low,
            "contamination_high": high,
            "contamination_probability": found.main.probability,
            "contamination_before": rows.share,
            "drawn": len(given.code),
            "reviewed": int((given.code >= 0).sum()),
            "contaminated": int((given.code == 1).sum()),
            "skipped": found.skipped,
            "verified_before": int(known.sum()),
            "note": " ".join(_note(found, given, known)),
        }
        verified = known.copy()
        verified[np.flatnonzero(~known)[given.place[given.code >= 0]]] = True
        shown = [name for name in ("row", "label", "score") if name in rows.table]
        table = rows.table[shown].assign(
            responsibility=settled, responsibility_before=r, verified=verified
        )
        write_table(
            table.sort_values("responsibility", ascending=False, kind="stable"),
            draft / "reviewed.csv",
        )
        write_json(draft / "reviewed.json", summary, ReviewedShare)
        write_manifest(draft)
        return summary


@dataclass(frozen=True, kw_only=True, eq=False)
class _Review:
    """Result of a review of the rows that were not verified before.

    Attributes:
        main: Result in which skipped rows are like the others.
        low: Lower end of the interval of the share, whatever the skipped rows are.
        high: Upper end of this interval.
        reached: Number of rows up to the last answer.
        skipped: Number of rows without an answer among them.
    """

    main: Reviewed
    low: float
    high: float
    reached: int
    skipped: int

    @classmethod
    def of(cls, given: Answers, r: np.ndarray) -> "_Review":
        """Correct responsibilities by answers.

        Args:
            given: Answers.
            r: Responsibilities of the rows that were not verified before, (N,).
        """
        drawn = len(given.code)
        reached = int(np.flatnonzero(given.code >= 0)[-1]) + 1
        code = np.where(np.arange(drawn) < reached, given.code, -1).astype(float)
        skipped = (code < 0) & (np.arange(drawn) < reached)

        def result(code: np.ndarray) -> Reviewed:
            seen = code >= 0
            verified, inclusion = np.full((2, len(r)), np.nan)
            verified[given.place[seen]] = code[seen]
            inclusion[given.place[seen]] = given.inclusion[seen] * seen.sum() / drawn
            return reviewed(r, verified, inclusion_probability=inclusion)

        main = result(code)
        ends = [main.contamination_interval]
        if skipped.any():
            ends += [result(np.where(skipped, z, code)).contamination_interval for z in (0.0, 1.0)]
        return cls(
            main=main,
            low=min(low for low, _ in ends),
            high=max(high for _, high in ends),
            reached=reached,
            skipped=int(skipped.sum()),
        )


def _note(found: _Review, given: Answers, known: np.ndarray) -> Iterator[str]:
    """Yield sentences that say what the share and its interval rest on."""
    yield found.main.note
    if found.reached < len(given.code):
        yield (
            f"The answers end with row {found.reached} of {len(given.code)}, in the order of "
            "review. Rows up to there are a random sample, too, unless the review stopped because "
            "of the answers."
        )
    if found.skipped:
        yield (
            f"{counted(found.skipped, 'row', were=('was', 'were'))} skipped. The share takes them "
            "to be like the others, and the interval contains both answers for each of them."
        )
    if known.any():
        yield (
            f"{counted(int(known.sum()), 'row', were=('was', 'were'))} verified before. They count "
            "as they are, and the sample is about the other rows."
        )
