"""`nbam fit`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import (
    Cache,
    Download,
    Drop,
    ImageScale,
    ImageSize,
    Jobs,
    Keep,
    Network,
    ReplaceRun,
    Restart,
    RunOut,
    mistakes,
    progress_wanted,
)
from nbam_pyro.cli.devices import one_writer
from nbam_pyro.errors import DataError


def fit(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="CSV, Parquet or NPZ file (with an array X), or a folder that contains one folder "
            "of images per label.",
        ),
    ],
    *,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or array that holds the labels or measurements. Not used for image "
            "folders.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet file of labels of several annotators, instead of --label: the "
            "columns item, annotator and label; or item and one column per annotator. Items are "
            "row numbers of DATA from 0 on, or paths of images in the folder.",
        ),
    ] = None,
    true_label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or array that holds verified true labels. An empty cell means that the "
            "true label is unknown.",
        ),
    ] = None,
    contaminated: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or array that says which labels or measurements are verified: 1 or true "
            "means wrong, 0 or false means right, an empty cell means unknown.",
        ),
    ] = None,
    verified: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="File of verified rows that nbam verify wrote, instead of such columns. Repeat "
            "the option for several files.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            help="classification, regression, or auto. With auto, texts and up to 20 different "
            "whole numbers are labels; everything else is a measurement."
        ),
    ] = "auto",
    contamination: Annotated[
        str | None,
        typer.Option(
            metavar="PRIOR",
            help="Prior of the share of wrong labels or measurements: a number such as 0.05 (a "
            "beta prior with this mean, whose pseudo-counts sum to 100), or beta:2,8 for the prior "
            "Beta(2, 8). Without this option, the prior is wide.",
        ),
    ] = None,
    clean_error: Annotated[
        str | None,
        typer.Option(
            metavar="PRIOR",
            help="For labels: which part of the rows on which held-out predictions and labels "
            "disagree is the network's own error: two numbers such as 0.2,0.5, or beta:2,6, or "
            "open if nothing is known. Without this option, it depends on what can be seen.",
        ),
    ] = None,
    difficulty: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="For labels: how much more often they are wrong where the network hesitates, as "
            "people's labels are. 1 fits labels that people gave to images. Without this option, 0 "
            "is used unless verified rows show otherwise.",
            min=0,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="For labels of a table or of features: linear, spline or network, or auto for the "
            "simplest one that predicts labels out of fold as well as the best. Default: network.",
        ),
    ] = None,
    pred_probs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet file of probabilities by any classifier, one column per class, "
            "rows in the order of DATA. They must be out of sample. Nothing is trained.",
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet file of predictions by any regressor, rows in the order of DATA: "
            "columns mean and scale, or q0.05, q0.5, ..., or draw_1, draw_2, .... They must be "
            "out of sample. Nothing is trained.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of epochs of one ordinary training run. The whole fit takes about twice "
            "as long.",
            min=1,
        ),
    ] = None,
    features: Network = None,
    image_size: ImageSize = None,
    image_scale: ImageScale = None,
    download: Download = False,
    cache: Cache = None,
    drop: Drop = None,
    keep: Keep = None,
    out: RunOut = Path("nbam-run"),
    overwrite: ReplaceRun = False,
    restart: Restart = False,
    seed: Annotated[
        int, typer.Option(help="Seed for weights, folds and batches.", min=0, max=2**32 - 1)
    ] = 0,
    jobs: Jobs = None,
    devices: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of GPUs, or of processes on a CPU, that share each training run. 1 by "
            "default.",
            min=1,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="Use only algorithms of torch that give the same bits in every run. With --jobs, "
            "every process then uses all threads of torch.",
        ),
    ] = False,
) -> None:
    """Find wrong labels or measurements in DATA and write a run folder.

    If the command is interrupted, the same command continues after the last finished epoch.
    """
    with mistakes(), one_writer(out, devices) as (own, tell):
        from nbam_pyro.storage import check_folder

        check_folder(own, overwrite=overwrite)  # before the slow imports
        from nbam_pyro.cli.runs import (
            check_alone,
            feature_options,
            fit_file,
            fit_outputs,
            parse_clean_error,
            parse_contamination,
            show_lines,
        )

        network = feature_options(
            features, size=image_size, pixels=image_scale, download=download, cache=cache
        )
        if pred_probs is not None or predictions is not None:
            both = pred_probs is not None and predictions is not None
            if annotations is not None:
                raise DataError(
                    "--annotations beside --pred-probs or --predictions is the work of nbam "
                    "annotators: nothing is trained. Use nbam annotators FILE --pred-probs P."
                )
            check_alone(
                epochs=epochs,
                difficulty=difficulty,
                head=head,
                drop=drop or (),
                keep=keep or (),
                features=features,
                jobs=jobs,
                devices=devices,
                deterministic=deterministic,
                both=both,
            )
            summary = fit_outputs(
                data,
                own,
                pred_probs=pred_probs,
                predictions=predictions,
                label=label,
                true_label=true_label,
                contaminated=contaminated,
                verified=verified or (),
                task=task,
                contamination=parse_contamination(contamination),
                clean_error=parse_clean_error(clean_error),
                overwrite=overwrite,
                restart=restart,
                seed=seed,
            )
        else:
            summary = fit_file(
                data,
                own,
                label=label,
                annotations=annotations,
                true_label=true_label,
                contaminated=contaminated,
                verified=verified or (),
                task=task,
                contamination=parse_contamination(contamination),
                clean_error=parse_clean_error(clean_error),
                difficulty=difficulty,
                head=head,
                features=network,
                epochs=epochs,
                drop=drop or (),
                keep=keep or (),
                overwrite=overwrite,
                restart=restart,
                seed=seed,
                n_jobs=jobs,
                devices=devices,
                deterministic=deterministic,
                progress=progress_wanted(),
                say=tell,
            )
        for line in show_lines(summary):
            tell(line)
        tell(f"The run is in {out}/. flags.csv has every row; nbam show {out} shows a summary.")
