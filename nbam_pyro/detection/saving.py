"""Saving and loading of detectors as JSON and safetensors. Loading runs no code of the files."""

from collections.abc import Collection
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

from nbam_pyro.detection.file_names import PATCHES, ROWS
from nbam_pyro.detection.patches import PatchDetector
from nbam_pyro.detection.saved_patches import files_of, read_patches, write_patches
from nbam_pyro.detection.saved_rows import RowDetector, read_rows, write_rows
from nbam_pyro.storage import check_files, new_folder, write_manifest

__all__ = ["AnyDetector", "load_detector", "save_detector"]

AnyDetector = RowDetector | PatchDetector


def save_detector(detector: AnyDetector, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a fitted detector to a folder, completely or not at all.

    The folder of a detector of rows has three files. `detector.json` has the settings, the verdict,
    and the classes and arguments of the backbone and the assignment, of the kinds of scores, or of
    the encoder of a `Representation`. `detector.safetensors` has the networks or other arrays, and
    the scores of the training rows; of a `Representation` also the nuisance weights of these rows.
    `manifest.json` has checksums. Features, `random_state` and `trainer` are not stored.

    A `PatchDetector` has `patches.json` and `patches.safetensors` instead, with the random cells
    from which it learned and the maps of the training images. If it was given a detector of rows,
    this detector is in the folder `cells`.

    Args:
        detector: Fitted detector.
        folder: Folder to write. Its parents are made if they do not exist.
        overwrite: True to replace a folder that an earlier call wrote.

    Raises:
        NotFittedError: The detector is not fitted.
        StoryError: The class of the backbone, of the encoder or of the assignment does not keep its
            arguments as attributes of the same names; or a `PatchDetector` was given a detector
            that is neither an `AnomalyDetector` nor a `MixedDetector`.
        FolderError: The folder exists and may not be overwritten, or cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nbam_pyro.detection import AnomalyDetector, AutoEncoder
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=2).fit(x)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     save_detector(detector, f"{parent}/detector")
        ...     sorted(path.name for path in Path(parent, "detector").iterdir())
        ['detector.json', 'detector.safetensors', 'manifest.json']
    """
    check_is_fitted(detector)
    with new_folder(Path(folder), overwrite=overwrite) as draft:
        if isinstance(detector, PatchDetector):
            write_patches(draft, detector)
        else:
            write_rows(draft, detector)
        write_manifest(draft)


def load_detector(folder: str | Path, *, allow: Collection[str] = ()) -> AnyDetector:
    """Read a detector that `save_detector` or `nbam detect` wrote.

    On a CPU the loaded detector gives the same scores as the saved one.

    Args:
        folder: Folder of the detector.
        allow: Import paths of classes or packages of your own that may be imported to build the
            backbone or the assignment. Importing runs code, so allow only what you trust.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
        StoryError: A class is not in `allow`, or its tensors do not match the saved ones.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nbam_pyro.detection import AnomalyDetector, AutoEncoder
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=2).fit(x)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     save_detector(detector, f"{parent}/detector")
        ...     again = load_detector(f"{parent}/detector")
        >>> bool((again.decision_function(x) == detector.decision_function(x)).all())
        True
    """
    folder = Path(folder)
    if (folder / PATCHES[0]).exists():
        check_files(folder, files_of(folder))
        return read_patches(folder, allow)
    check_files(folder, ROWS)
    return read_rows(folder, allow)
