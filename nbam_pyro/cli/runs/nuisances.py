"""The work of `nbam detect --nuisance`: anomalies in features that do not contain a nuisance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files.labels import as_numbers
from nbam_pyro.cli.runs.detected_run import DetectOptions, training_table, write_detected
from nbam_pyro.cli.runs.detecting import picture, row_settings
from nbam_pyro.cli.runs.features import learn, named
from nbam_pyro.detection.representations import Representation
from nbam_pyro.detection.saved_rows import write_rows
from nbam_pyro.errors import DataError
from nbam_pyro.storage import new_folder, write_manifest

__all__ = ["Told", "check_nuisance", "detect_nuisance"]

_EPOCHS = 30


@dataclass(frozen=True, kw_only=True)
class Told:
    """Names of the columns or arrays that are not features.

    Attributes:
        nuisance: Column of the nuisance of each row.
        label: Column of the class of each row.
    """

    nuisance: str
    label: str


def check_nuisance(
    nuisance: str | None, label: str | None, *, others: Mapping[str, object]
) -> Told | None:
    """Return the columns of `--nuisance` and `--class`, or None if neither is given.

    Args:
        nuisance: Value of `--nuisance`.
        label: Value of `--class`.
        others: Values of options that do not go with these two, by name; None if not given.

    Raises:
        DataError: Only one of the two is given, both name the same column, or another option does
            not go with them.

    Example:
        >>> check_nuisance("colour", "kind", others={})
        Told(nuisance='colour', label='kind')
    """
    if nuisance is None and label is None:
        return None
    if nuisance is None or label is None:
        raise DataError("--nuisance and --class belong together. Give both columns, or neither.")
    if nuisance == label:
        raise DataError(f"--nuisance and --class are both '{label}'. Give two different columns.")
    for name, value in others.items():
        if value is not None:
            raise DataError(
                f"--nuisance trains a network of its own and does not go with {name}. Leave one of "
                "them out."
            )
    return Told(nuisance=nuisance, label=label)


def detect_nuisance(options: DetectOptions, *, told: Told) -> dict[str, Any]:
    """Find anomalies with a `Representation` and write a run folder.

    Args:
        options: Options of the command. Images need `features`.
        told: Columns of the nuisance and of the class, which are not used as features.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    with new_folder(options.out, overwrite=options.overwrite) as draft:
        source = options.read(label=told.label, others=[told.nuisance])
        source = options.with_features(source)
        learned = learn(source, data=options.data.name, drop=options.drop, keep=options.keep)
        if learned.x.ndim != 2:
            raise DataError(
                f"'{options.data}' has images, but --nuisance needs a table or an array (N, D) of "
                "features. Add --features with a pretrained network."
            )
        codes = options.codes(source)
        options.say(f"Training on {len(learned.x)} rows ...")
        detector = Representation(
            contamination=options.contamination,
            epochs=_EPOCHS if options.epochs is None else options.epochs,
            random_state=options.seed,
            progress=options.progress,
            trainer={"default_root_dir": draft},
        )
        detector.fit(
            named(learned.encoding, learned.x),
            _present(source.y, told.label),
            nuisance=_present(as_numbers(source.beside[told.nuisance]), told.nuisance),
            verified=codes,
        )
        columns = {"nuisance": told.nuisance, "class": told.label}
        summary = write_detected(
            draft,
            options,
            detector,
            training_table(source.rows, detector, codes),
            sha256=source.sha256,
            encoding=learned.encoding,
            features=learned.x.shape[1],
            notes=[*learned.notes, *_notes(detector)],
            settings=row_settings(options, backbone=None) | columns,
            summary={"backbone": None, **columns},
            ignored=[told.nuisance, told.label],
        )
        write_rows(draft, detector)
        picture(draft, detector)
        write_manifest(draft)
        return summary


def _present(values: np.ndarray, name: str) -> np.ndarray:
    """Return the values of a column that has a value in every row."""
    column = Column.of(values)
    if not column.present.all():
        row = int((~column.present).argmax())
        raise DataError(
            f"Column '{name}' has no value in row {row}. Leave out rows without a class or "
            "nuisance."
        )
    return column.values


def _notes(detector: Representation) -> list[str]:
    """Return what the fit says about weights, erasure and the probe, without full stops."""
    found = [detector.weights_, detector.learned_.erased, detector.probe_]
    return [str(one).removesuffix(".") for one in found if one is not None]
