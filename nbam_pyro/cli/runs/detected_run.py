"""The options of `nbam detect`, and the run folder that it writes, whatever finds the anomalies."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import Encoding, Source, read
from nbam_pyro.cli.runs.continuing import continuing
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.info_schema import DetectedInfo
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.scores import share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.verified_rows import verified_codes, verified_column
from nbam_pyro.detection import ScoredDetector
from nbam_pyro.detection.saving import AnyDetector
from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.storage import Command, Progress, write_json

__all__ = ["DetectOptions", "flagged", "ordered", "training_table", "write_detected"]


@dataclass(frozen=True, kw_only=True)
class DetectOptions:
    """Options of `nbam detect` that all ways to find anomalies share.

    Attributes:
        data: CSV or Parquet file, NPZ file with an array X, or a folder of images. All columns are
            features except identifiers and those that other options name.
        out: Run folder to write. It is written completely or not at all.
        verified: Name of the column or array that says which rows somebody has verified: 1 or true
            for an anomaly, 0 or false for a normal row, empty where nothing is verified; or a file
            that `nbam verify` wrote. None if no row is verified.
        contamination: Share of anomalies, up to 0.5. With "auto", it is estimated.
        features: Network that computes features of images; None to use the rows as they are.
        epochs: Number of training epochs of a neural model. None for the default.
        drop: Columns not to use as features. Columns that have a typical identifier name (such as
            `id`) and a different value in every row are also left out.
        keep: Columns to use as features although they look like identifiers.
        overwrite: True to replace an existing run folder.
        restart: True to throw away the progress of an interrupted command.
        seed: Seed for weights and batches, or for random parts of the rows.
        n_jobs: Number of processes in which the fits of a `Representation` run.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.
        started: When the command started, in seconds of `time.perf_counter`.
    """

    data: Path
    out: Path
    verified: str | None = None
    contamination: float | Literal["auto"] = "auto"
    features: FeatureOptions | None = None
    epochs: int | None = None
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    overwrite: bool = False
    restart: bool = False
    seed: int = 0
    n_jobs: int | None = None
    progress: bool = False
    say: Callable[[str], None]
    started: float = field(default_factory=time.perf_counter)

    def read(self, *, label: str | None = None, others: Sequence[str] = ()) -> Source:
        """Read the data.

        Args:
            label: Name of the column or array of classes; None if there is none.
            others: Names of further columns or arrays that are not features.

        Raises:
            DataError: The data cannot be read, or a column is missing.
        """
        column = verified_column(self.verified)
        beside = [*others, *([] if column is None else [column])]
        return read(self.data, label=label, beside=beside, labelled=label is not None)

    def with_features(self, source: Source, *, pool: bool = True) -> Source:
        """Replace images by the features of the network, if one is given.

        Args:
            source: Rows of the data.
            pool: False for the grid of features of each image, before its mean.

        Raises:
            DataError: The data are no images, or the network cannot be used.
        """
        return with_features(
            source,
            self.features,
            data=self.data.name,
            pool=pool,
            progress=self.progress,
            say=self.say,
        )

    def codes(self, source: Source) -> np.ndarray | None:
        """Return the codes of verified rows, (N,), as `verified_codes` does.

        Args:
            source: Rows of the data.

        Raises:
            DataError: A value is not one of those that `--verified` takes, or the file is about
                other data.
        """
        return verified_codes(source, self.verified)

    def given(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of settings.json without the hash of the data.

        Args:
            settings: Entries that only one way to find anomalies has.
        """
        return {
            "data": str(self.data),
            "verified": self.verified,
            "contamination": self.contamination,
            "features": None if self.features is None else self.features.to_json(),
            "seed": self.seed,
            **settings,
        }

    def continuing(self, settings: Mapping[str, Any]) -> AbstractContextManager[Progress]:
        """Create the draft of the run folder, for a command that continues after an interruption.

        Args:
            settings: Entries of settings.json that only this way to find anomalies has.

        Raises:
            FolderError: As for the function `continuing`.
        """
        return continuing(
            self.out,
            Command(["nbam", "detect", str(self.data)], self.given(settings)),
            overwrite=self.overwrite,
            restart=self.restart,
            say=self.say,
        )


def write_detected(
    draft: Path,
    options: DetectOptions,
    detector: AnyDetector,
    table: pd.DataFrame,
    *,
    sha256: str | None,
    encoding: Encoding,
    features: int,
    notes: Sequence[str],
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
    ignored: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the tables and JSON files of a run of `nbam detect`, without its detector.

    Args:
        draft: Folder to write to.
        options: Options of the command.
        detector: Fitted detector.
        table: One row per training row, as `training_table` makes it.
        sha256: Hash of the data file, as `Source` has it.
        encoding: Encoding of new rows.
        features: Number of features, or of channels of images.
        notes: Notes on the data and the fit, without full stops.
        settings: Entries of settings.json that only this way to find anomalies has.
        summary: Entries of summary.json that only this way has.
        ignored: Columns that new rows may have, and that are not features.

    Returns:
        The content of summary.json.
    """
    described = {
        "data": options.data.name,
        "task": "detection",
        "rows": len(table),
        "features": features,
        **summary,
        **share_entries(detector.report_),
        "flagged": int(table["flagged"].sum()),
        "threshold": detector.threshold_,
        "notes": [*notes, *_on_given_share(options.contamination)],
        "seconds": round(time.perf_counter() - options.started, 1),
    }
    given = {"sha256": sha256, **options.given(settings)}
    info = {
        "verified": verified_column(options.verified),
        "encoding": asdict(encoding),
        "ignored": list(ignored),
    }
    write_table(ordered(table), draft / "flags.csv")
    write_json(draft / "summary.json", described, Summary)
    write_json(draft / "settings.json", given, Settings)
    write_json(draft / "run.json", info, DetectedInfo)
    return described


def _on_given_share(share: float | Literal["auto"]) -> list[str]:
    """Return a note on what a given share decides and what it does not, if a share is given."""
    if share == "auto":
        return []
    return [
        f"the threshold flags the {percent(share)} of the rows that --contamination gives; the "
        "estimated share and the responsibilities come from the scores alone"
    ]


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its rows sorted by score, the highest score first.

    Args:
        table: Table with a column "score".
    """
    return table.sort_values("score", ascending=False, kind="stable")


def flagged(
    rows: np.ndarray, scores: np.ndarray, detector: AnyDetector | ScoredDetector
) -> pd.DataFrame:
    """Return a table of new rows, with flags and responsibilities by their scores.

    Args:
        rows: Names of the rows, (N,).
        scores: Scores of the rows by this detector, (N,).
        detector: Fitted detector.
    """
    return pd.DataFrame(
        {
            "row": rows,
            "score": scores,
            "flagged": scores > detector.threshold_,
            "responsibility": detector.report_.responsibility_of(scores),
        }
    )


def training_table(
    rows: np.ndarray, detector: AnyDetector, codes: np.ndarray | None
) -> pd.DataFrame:
    """Return the table of training rows. Verified rows have a responsibility of 0 or 1.

    Args:
        rows: Names of the rows, (N,).
        detector: Fitted detector.
        codes: Codes of verified rows, (N,); None if no row is verified.
    """
    table = flagged(rows, detector.decision_scores_, detector)
    table["responsibility"] = detector.report_.rows["responsibility"].to_numpy()
    return table if codes is None else table.assign(verified_anomaly=codes)
