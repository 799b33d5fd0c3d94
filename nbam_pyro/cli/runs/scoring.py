"""The work of `nbam score`: all rows in one CSV file, or any number of rows in Parquet files."""

import os
from collections.abc import Callable
from functools import reduce
from importlib.metadata import version
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nbam_pyro.cli.files import Source
from nbam_pyro.cli.files.parquet import parquet_files
from nbam_pyro.cli.runs.bursts import Bursts, with_bursts
from nbam_pyro.cli.runs.continuing import continuing
from nbam_pyro.cli.runs.features import oddities
from nbam_pyro.cli.runs.flags import row_table
from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.run_kinds import is_detected, is_mapped
from nbam_pyro.cli.runs.scored import Scored
from nbam_pyro.cli.runs.scorer import Scorer
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.errors import DataError
from nbam_pyro.storage import Command, new_file, write_manifest

__all__ = ["is_folder", "labelled_scorer", "score_file", "write_block"]

# Folder of the finished blocks.
_RESULTS = "results"
# Most notes on blocks of rows that are said.
_NOTES = 20


def score_file(
    run: Path,
    data: Path,
    out: Path,
    *,
    features: FeatureOptions | None = None,
    maps: Path | None = None,
    frames: bool = False,
    bursts: Bursts | None = None,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Score new rows with a saved run and write them.

    A CSV file has the most suspicious rows first, so that all rows are in memory. A folder of
    Parquet files has the order of the data: one block of rows after the other is read, scored and
    written. If the process is killed, the next call with the same arguments goes on after the last
    finished block.

    Args:
        run: Run folder.
        data: New rows, of the same kind as the training rows.
        out: File or folder to write (see `is_folder`). It is written completely or not at all.
        features: Network that computed the features of the training images; None if there is none.
        maps: Folder to write for pictures of suspicious places in images, for a run of
            `map_folder`. None to write no pictures.
        frames: True if the images are frames of videos in the order of their names.
        bursts: Columns of series whose rows are judged together; None to judge each row alone.
        overwrite: True to replace an existing file or folder, and an existing folder of pictures.
        restart: True to throw the unfinished blocks of an earlier call away.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Raises:
        DataError: The data are of another kind than the training data, or the run makes no
            pictures.
        FolderError: The run is incomplete or was changed; or the output exists and `overwrite` is
            False, it has unfinished blocks of other arguments, another process is writing it, or it
            cannot be written.
    """
    options: dict[str, Any] = {"features": features, "progress": progress, "say": say}
    if bursts is not None and (is_folder(out) or is_detected(run) or features is not None):
        raise DataError(
            "--series, --order and --filter need a run of nbam fit on a table, and a CSV file as "
            "--out, because all rows of a series are judged together. For detectors, use "
            "nbam_pyro.outputs.from_responsibilities."
        )
    if is_folder(out):
        if maps is not None or frames or is_mapped(run):
            raise DataError(
                "--maps, --frames and runs of nbam detect --maps give a CSV file. Give the name of "
                "a CSV file as --out."
            )
        command = _command(run, data, out, features)
        with continuing(out, command, overwrite=overwrite, restart=restart, say=say) as place:
            results = place.folder / _RESULTS
            results.mkdir(exist_ok=True)
            found = _blocks(results, _scorer(run, data, **options), data, say=say)
            place.draft.rmdir()
            results.rename(place.draft)
            return found
    with new_file(out, overwrite=overwrite) as draft:
        if is_mapped(run):
            from nbam_pyro.cli.runs.mapping import score_mapped

            options |= {"maps": maps, "frames": frames, "overwrite": overwrite}
            table = score_mapped(run, data, **options)
        elif maps is not None or frames:
            raise DataError(
                f"--maps and --frames are for runs of nbam detect --maps, and '{run}' is another "
                "run. Leave them out."
            )
        else:
            scorer = _scorer(run, data, **options)
            if bursts is None:
                source = scorer.read(data)
                table, notes = scorer.table(source)
                notes = [*source.notes, *notes]
            else:
                table, notes = with_bursts(data, scorer, bursts, say=say)
            for note in notes:
                say(f"Note: {note}.")
            table = scorer.ordered(table)
        write_table(table, draft)
    return Scored.of(table)


def is_folder(out: Path) -> bool:
    """Return whether scores are written as a folder of Parquet files, by the name of the output.

    Args:
        out: File or folder to write.

    Example:
        >>> is_folder(Path("scores.parquet")), is_folder(Path("scores.csv"))
        (True, False)
    """
    return out.suffix.lower() == ".parquet"


def _blocks(folder: Path, scorer: Scorer, data: Path, *, say: Callable[[str], None]) -> Scored:
    """Score the blocks that are not finished, and return the sums over all blocks."""
    done = 0
    while _part(folder, done).exists():
        done += 1
    if done:
        say(f"{done} blocks of rows are finished already.")
    said = 0
    for number, source in enumerate(scorer.blocks(data, skip=done), start=done):
        table, notes = scorer.table(source)
        if source.beside and scorer.by == "responsibility" and "verified" not in table:
            table["verified"] = False  # nothing is verified in this block
        write_block(table, _part(folder, number), scorer)
        for note in [*source.notes, *notes]:
            said += 1
            if said <= _NOTES:
                say(f"Note on rows {source.rows[0]} to {source.rows[-1]}: {note}.")
    if said > _NOTES:
        say(f"{said - _NOTES} more notes on other rows are left out.")
    found = reduce(add, map(_sums, parquet_files(folder)))
    write_manifest(folder, hidden=True)
    return found


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.parquet"


def write_block(table: pd.DataFrame, path: Path, scorer: Scorer) -> None:
    """Write the table of a block completely or not at all.

    Args:
        table: Rows of the block.
        path: Parquet file to write.
        scorer: What scored the block.
    """
    schema = pa.Schema.from_pandas(table, preserve_index=False)
    for name, values in scorer.kinds.items():
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.array(values).type))
    rows = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    draft = path.with_name(f".{path.name}")
    with draft.open("wb") as file:
        pq.write_table(rows.replace_schema_metadata(None), file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _sums(path: Path) -> Scored:
    """Sum up a finished block."""
    with pq.ParquetFile(path) as file:
        there = [name for name in ("responsibility", "flagged") if name in file.schema_arrow.names]
        return Scored.of(file.read(columns=there).to_pandas())


def _command(run: Path, data: Path, out: Path, features: FeatureOptions | None) -> Command:
    """Return the command, with what its result depends on."""
    files = parquet_files(data) if data.exists() else []
    manifest = run / "manifest.json"
    return Command(
        words=["nbam", "score", str(run), str(data), "--out", str(out)],
        settings={
            "version": version("nbam-pyro"),
            "run": manifest.read_text() if manifest.is_file() else None,
            "data": str(data.resolve()),
            "files": [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files],
            "features": None if features is None else features.to_json(),
        },
    )


def _scorer(run: Path, data: Path, **options: Any) -> Scorer:
    if is_detected(run):
        from nbam_pyro.cli.runs.detecting import detected_scorer

        return detected_scorer(run, data, **options)
    return labelled_scorer(run, data, **options)


def labelled_scorer(
    run: Path,
    data: Path,
    *,
    features: FeatureOptions | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Scorer:
    """Return what scores new rows with the fit of a run.

    Args:
        run: Run folder that `fit_file` wrote.
        data: File of the new rows, for messages.
        features: Network that computed the features of the training images; None if there is none.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Raises:
        FolderError: The run is incomplete or was changed.
    """
    fit, info = read_run(run)
    encoding = info.encoding

    def table(source: Source) -> tuple[pd.DataFrame, list[str]]:
        source = with_features(
            source, features, data=data.name, trained=encoding, progress=progress, say=say
        )
        encoded = encoding.encode(source.x)
        notes = [*encoded.notes, *oddities(encoding, source, encoded.x, data=data.name)]
        return row_table(fit, info, encoded.x, info.targets(source), source.rows), notes

    def prior(source: Source) -> np.ndarray:
        from nbam_pyro.inference import prior_contamination

        return prior_contamination(fit, encoding.encode(source.x).x)

    kinds = {"label": np.zeros(0) if info.classes is None else info.classes}
    if info.classes is not None:
        kinds["suggested_label"] = info.classes
    return Scorer(
        label=info.label,
        beside=info.beside,
        labelled=not info.annotated,
        spelling=info.spelling,
        encoding=encoding,
        table=table,
        by="responsibility",
        prior=prior,
        kinds=kinds,
    )
