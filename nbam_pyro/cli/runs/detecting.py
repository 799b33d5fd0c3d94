"""The work of `nbam detect`, and the scoring of new rows with its runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbam_pyro.cli.files import Source
from nbam_pyro.cli.runs.detected_run import (
    DetectOptions,
    flagged,
    training_table,
    write_detected,
)
from nbam_pyro.cli.runs.detector_options import BackboneName
from nbam_pyro.cli.runs.features import learn, named, oddities
from nbam_pyro.cli.runs.folder import shape_of
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.info_schema import DetectedInfo
from nbam_pyro.cli.runs.scorer import Scorer
from nbam_pyro.detection import AnomalyDetector, MixedDetector, ScoredDetector
from nbam_pyro.detection.file_names import ROWS
from nbam_pyro.detection.saved_rows import RowDetector, read_rows, write_rows
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.storage import check_files, read_json, write_manifest

__all__ = ["detect_file", "detected_scorer", "picture", "row_settings"]


def detect_file(options: DetectOptions, *, backbone: BackboneName | None = None) -> dict[str, Any]:
    """Find anomalies in a data file and write a run folder.

    Args:
        options: Options of the command. Images need `features`, unless the backbone takes images.
        backbone: Neural model of normal rows. None to average scores of several kinds instead.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    epochs = options.epochs
    if backbone is None and epochs is not None:
        raise DataError("--epochs is for neural models. Leave it out, or add --backbone.")
    name = None if backbone is None else backbone.value
    settings = row_settings(options, backbone=name)
    with options.continuing(settings) as place:
        source = options.with_features(options.read())
        _check_kind(source, backbone, data=options.data)
        learned = learn(source, data=options.data.name, drop=options.drop, keep=options.keep)
        codes = options.codes(source)
        options.say(f"Training on {len(learned.x)} rows ...")
        detector: RowDetector
        if backbone is None:
            detector = MixedDetector(contamination=options.contamination, random_state=options.seed)
        else:
            detector = AnomalyDetector(
                backbone.backbone,
                contamination=options.contamination,
                random_state=options.seed,
                progress=options.progress,
                progress_folder=place.folder,
                **(backbone.settings | ({} if epochs is None else {"epochs": epochs})),
            )
        detector.fit(named(learned.encoding, learned.x), verified=codes)
        summary = write_detected(
            place.draft,
            options,
            detector,
            training_table(source.rows, detector, codes),
            sha256=source.sha256,
            encoding=learned.encoding,
            features=learned.x[0].size,
            notes=learned.notes,
            settings=settings,
            summary={"backbone": name},
        )
        write_rows(place.draft, detector)
        picture(place.draft, detector)
        write_manifest(place.draft)
        return summary


def row_settings(options: DetectOptions, *, backbone: str | None) -> dict[str, Any]:
    """Return the entries of settings.json that detectors of rows have.

    Args:
        options: Options of the command.
        backbone: Name of the neural model; None if there is none.
    """
    return {
        "command": "detect",
        "backbone": backbone,
        "drop": list(options.drop),
        "keep": list(options.keep),
        "epochs": options.epochs,
    }


def detected_scorer(
    run: Path,
    data: Path,
    *,
    features: FeatureOptions | None = None,
    progress: bool = False,
    say: Callable[[str], None],
) -> Scorer:
    """Return what scores new rows with the detector of a run.

    Args:
        run: Run folder that `detect_file` or `detect_nuisance` wrote.
        data: File of the new rows, for messages.
        features: Network that computed the features of the training images; None if there is none.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Raises:
        FolderError: The run is incomplete or was changed.
    """
    check_files(run, ["run.json", *ROWS])
    info = read_json(run / "run.json", DetectedInfo)
    detector = read_rows(run, allow=())
    encoding = info.encoding
    # For images, the number of features is that of the channels.
    if shape_of(encoding)[0] != detector.n_features_in_:
        raise FolderError(
            f"'{run / 'run.json'}' describes other data than the detector in this folder. Restore "
            "the file or detect again."
        )

    def table(source: Source) -> tuple[pd.DataFrame, list[str]]:
        source = with_features(
            source, features, data=data.name, trained=encoding, progress=progress, say=say
        )
        encoded = encoding.encode(source.x)
        scores = detector.decision_function(named(encoding, encoded.x))
        notes = [*encoded.notes, *oddities(encoding, source, encoded.x, data=data.name)]
        return flagged(source.rows, scores, detector), notes

    beside = [*([] if info.verified is None else [info.verified]), *info.ignored]
    return Scorer(
        label=None, beside=beside, labelled=False, encoding=encoding, table=table, by="score"
    )


def _check_kind(source: Source, backbone: BackboneName | None, *, data: Path) -> None:
    """Raise a `DataError` if a model of tables gets images, or the reverse."""
    images = isinstance(source.x, list) or (isinstance(source.x, np.ndarray) and source.x.ndim > 2)
    wanted = backbone is not None and backbone.of_images
    if images and not wanted:
        raise DataError(
            f"'{data}' has images, but this model needs a table or an array (N, D) of features. "
            "Add --features with a pretrained network, or use --backbone cobra, which takes images."
        )
    if wanted and not images:
        raise DataError(
            f"'{data}' is a table of features, but --backbone cobra takes images: a folder of "
            "images without --features, or an NPZ file with an array X of shape (rows, channels, "
            "height, width). For tables, give ntl, icl, svdd or ae."
        )


def picture(folder: Path, detector: ScoredDetector) -> None:
    """Draw the scores of the training rows into the folder `plots` of a run.

    Args:
        folder: Run folder.
        detector: Fitted detector.
    """
    (folder / "plots").mkdir()
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    ax = figure.subplots()
    ax.hist(detector.decision_scores_, bins=60, color="tab:blue")
    ax.axvline(detector.threshold_, color="black", linestyle=":", label="flagged above")
    ax.set_yscale("log")
    ax.set_xlabel("score")
    ax.set_ylabel("rows")
    ax.set_title("Scores of the training rows")
    ax.legend()
    figure.savefig(folder / "plots" / "scores.png", dpi=150)
