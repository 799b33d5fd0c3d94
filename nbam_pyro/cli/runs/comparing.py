"""The work of `nbam compare`: compares the priors of several runs on the same data and folds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbam_pyro.cli.files import Columns, read
from nbam_pyro.cli.runs.features import named
from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.report_data import check_unchanged
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.cli.runs.verified_files import CONTAMINATED, TRUE_LABEL, with_verified
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.inference import Comparison, compare_priors
from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.storage import check_files, read_json

__all__ = ["compare_runs"]

# Settings that must be the same: densities can only be compared on the same data.
_SHARED = ("data", "label", "true_label", "contaminated", "verified", "epochs", "seed")


def compare_runs(
    runs: Sequence[Path],
    *,
    folds: int = 5,
    n_jobs: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare the priors of runs by how well they predict held-out rows.

    Every run is fitted again, once per fold, on the data file that its settings name.

    Args:
        runs: Run folders of one data file that differ in `--contamination`.
        folds: Number of folds.
        n_jobs: Number of processes in which fits run, as in `compare_priors`.
        say: Function that is called with each message about the progress.

    Returns:
        The comparison; its table has one row per run.

    Raises:
        DataError: There are fewer than two runs, their data or settings differ, or the data file
            has changed since.
        FolderError: A run is incomplete, was changed, or was not written by `nbam fit`.
    """
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise DataError("A comparison needs at least two different runs. Name them.")
    settings = {str(run): _settings(run) for run in runs}
    first = settings[str(runs[0])]
    for name, one in settings.items():
        for key in _SHARED:
            if one.get(key) != first.get(key):
                raise DataError(
                    f"'{runs[0]}' has {key} {first.get(key)!r}, but '{name}' has {one.get(key)!r}. "
                    "Only runs with the same data and settings can be compared. Fit them again."
                )
    fits = [read_run(run) for run in runs]
    fit, info = fits[0]
    if any((one.classes is None) != (info.classes is None) for _, one in fits):
        raise DataError(
            "Some of the runs have labels and some have measurements. Name runs of the same kind."
        )
    for run, (_, its_info) in zip(runs, fits, strict=True):
        if _features(its_info) != _features(info):
            raise DataError(
                f"'{run}' has other features than '{runs[0]}'. Fit both with the same --drop and "
                "--keep."
            )
    source = read(Path(first["data"]), label=info.label, beside=info.beside, spelling=info.spelling)
    for settings_of_run in settings.values():
        check_unchanged(source, settings_of_run)
    source = with_features(
        source,
        FeatureOptions.of_json(first["features"]),
        data=Path(first["data"]).name,
        trained=info.encoding,
        say=say,
    )
    if first.get("verified"):
        source = with_verified(source, [*map(Path, first["verified"])], task=first["task"])
        info = replace(info, true_label=TRUE_LABEL, contaminated=CONTAMINATED)
    encoded = info.encoding.encode(source.x)
    targets = info.targets(source)
    if len(targets.codes) != len(fit.held_out):
        raise DataError(
            f"'{first['data']}' has {len(targets.codes)} targets now, but had {len(fit.held_out)} "
            f"when '{runs[0]}' was written. Fit the runs again."
        )
    kind = NBAMRegressor if info.classes is None else NBAMClassifier
    estimators = {
        name: kind(contamination=_contamination(one["contamination"]), random_state=one["seed"])
        for name, one in settings.items()
    }
    x = named(info.encoding, encoded.x)
    prepared = {name: one.prepared(x, targets.column) for name, one in estimators.items()}
    stories = {name: story for name, (story, _, _) in prepared.items()}
    _, rows, codes = next(iter(prepared.values()))
    say(f"Fitting {len(stories)} runs to {folds} folds of {len(codes)} rows ...")
    return compare_priors(
        stories,
        rows,
        codes,
        verified=targets.verified_present,
        folds=folds,
        epochs=first["epochs"],
        seed=first["seed"],
        n_jobs=n_jobs,
    )


def _settings(run: Path) -> dict[str, Any]:
    check_files(run, ["settings.json"])
    settings = read_json(run / "settings.json", Settings).model_dump()
    if settings["command"] != "fit":
        raise FolderError(
            f"'{run}' was not written by nbam fit, so it has no data file. Name another run."
        )
    if settings["annotations"] is not None:
        raise FolderError(
            f"'{run}' has labels of several annotators, and priors of such runs cannot be compared."
            " Name another run."
        )
    return settings


def _features(info: RunInfo) -> object:
    return info.encoding.feature_names if isinstance(info.encoding, Columns) else info.encoding


def _contamination(value: Any) -> Any:
    return Beta(*value) if isinstance(value, tuple) else value
