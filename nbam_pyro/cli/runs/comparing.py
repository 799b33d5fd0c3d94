"""What `nbam compare` does: the priors of several runs on the same data, folds and weights."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nbam_pyro.cli.files import Columns, read
from nbam_pyro.cli.runs.features import named
from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.folders import check_files, read_json
from nbam_pyro.inference import Comparison, compare_priors
from nbam_pyro.priors import Beta

__all__ = ["compare_runs"]

# What must be the same for densities to be comparable, and what the fits share.
_SHARED = ("data", "label", "true_label", "contaminated", "epochs", "seed")


def compare_runs(
    runs: Sequence[Path],
    *,
    folds: int = 5,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare the priors of runs by what they predict of rows held out.

    Every run is fitted again, once for each fold, on the data file that it names.

    Args:
        runs: Run folders of one data file, which differ in `--contamination`.
        folds: The number of folds.
        say: Takes sentences on what is done.

    Raises:
        DataError: There are fewer than two runs, they are not of the same data and settings, or
            the file has other rows now.
        FolderError: A run is incomplete, was changed, or was not written by `nbam fit`.
    """
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise DataError("There is nothing to compare: name at least two different runs.")
    settings = {str(run): _settings(run) for run in runs}
    first = settings[str(runs[0])]
    for name, one in settings.items():
        for key in _SHARED:
            if one.get(key) != first.get(key):
                raise DataError(
                    f"{runs[0]} has {key} {first.get(key)!r}, {name} has {one.get(key)!r}: "
                    "densities are compared on the same data only, priors with the same settings."
                )
    fits = [read_run(run) for run in runs]
    fit, info = fits[0]
    if any((one.classes is None) != (info.classes is None) for _, one in fits):
        raise DataError("Some of the runs are of labels and some of measurements.")
    for run, (_, its_info) in zip(runs, fits, strict=True):
        if _features(its_info) != _features(info):
            raise DataError(
                f"{run} has other features than {runs[0]}: fit both with the same --drop and "
                "--keep."
            )
    source = read(Path(first["data"]), label=info.label, beside=info.beside, spelling=info.spelling)
    encoded = info.encoding.encode(source.x)
    targets = info.targets(source)
    if len(targets.codes) != len(fit.held_out):
        raise DataError(
            f"{first['data']} has {len(targets.codes)} targets now and had {len(fit.held_out)} "
            f"when {runs[0]} was written. Fit the runs again."
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
    )


def _settings(run: Path) -> dict[str, Any]:
    check_files(run, ["settings.json"])
    settings = read_json(run / "settings.json", Settings).model_dump()
    if settings["command"] != "fit":
        raise FolderError(
            f"{run} was not written by nbam fit: there is no data file to go back to."
        )
    return settings


def _features(info: RunInfo) -> object:
    return info.encoding.feature_names if isinstance(info.encoding, Columns) else info.encoding


def _contamination(value: Any) -> Any:
    return Beta(*value) if isinstance(value, tuple) else value
