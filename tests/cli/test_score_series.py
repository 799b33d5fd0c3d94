"""`nbam score --series --order`: rows of bursts are judged together."""

import numpy as np
import pandas as pd
import pytest

from tests.cli.helpers import nbam, refused


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Two series of a meter whose zero is shifted in bursts of twenty rows."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    place = np.tile(np.arange(200), 2)
    burst = place // 20 % 5 == 3
    x = rng.uniform(-1, 1, 400)
    table = pd.DataFrame(
        {
            "meter": np.repeat(["a", "b"], 200),
            "time": pd.Timestamp("2026-01-01") + pd.to_timedelta(place, unit="min"),
            "x": x,
            "y": 2 * x + 0.3 * rng.normal(size=400) + 1.2 * burst,
        }
    ).sample(frac=1, random_state=0)
    table.to_csv(folder / "m.csv", index=False)
    run = folder / "run"
    options = ("--drop", "meter", "--drop", "time", "--epochs", 40, "--out", run)
    assert nbam("fit", folder / "m.csv", "--label", "y", *options).exit_code == 0
    return folder, run, burst[table.index]


def scored(folder, run, *options):
    out = folder / "scores.csv"
    done = nbam("score", run, folder / "m.csv", "--out", out, "--overwrite", *options)
    assert done.exit_code == 0, done.output
    return done.output, pd.read_csv(out).sort_values("row")


def test_neighbours_help(fitted):
    folder, run, burst = fitted
    said, table = scored(folder, run, "--series", "meter", "--order", "time")
    assert "contamination comes in bursts" in said
    alone = (table["alone"].to_numpy() > 0.5) == burst
    together = (table["responsibility"].to_numpy() > 0.5) == burst
    assert together.mean() > max(0.97, alone.mean())
    _, single = scored(folder, run)
    assert np.allclose(table["alone"], single["responsibility"])
    _, live = scored(folder, run, "--series", "meter", "--order", "time", "--filter")
    assert not np.allclose(live["responsibility"], table["responsibility"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--order", "meter"), "neither a number nor a time"),
        (("--order", "hour"), "no column 'hour'"),
        (("--order", "time", "--out", "s.parquet"), "a CSV file as --out"),
    ],
)
def test_orders_that_are_none_are_refused(fitted, tmp_path, options, words):
    folder, run, _ = fitted
    said = refused("score", run, folder / "m.csv", "--out", tmp_path / "s.csv", *options)
    assert words in said
