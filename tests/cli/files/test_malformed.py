"""Tables that are broken in every way: each gives a run or one line, never a traceback.

Twenty tables are tried. `NBAM_MALFORMED=300 pytest tests/cli/files/test_malformed.py` tries three
hundred.
"""

import datetime
import decimal
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.cli.helpers import nbam

EXAMPLES = int(os.environ.get("NBAM_MALFORMED", "20"))

ROWS = st.sampled_from([24, 24, 24, 30, 30, 11, 3, 2, 1, 0])
NAMES = st.sampled_from(
    ["y", "a", "b", "id", "ID", "Unnamed: 0", "", " ", "é\x1b[31m", "a,b", '"', "0", "X", "-x"]
)
WORDS = st.sampled_from(["cat", "dog", "", "NA", "001", "01", " x ", "nan", "True", "inf", "-inf"])
NUMBERS = st.one_of(
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["1e400", "99999", "9007199254740993", "18446744073709551616", "1e5", "0x1A"]),
)
LABELS = st.sampled_from(["cat", "dog"])
SELDOM = st.sampled_from([False] * 6 + [True])
DAMAGE = st.sampled_from(["none"] * 15 + ["cut", "flip", "zeros", "empty", "twice"])


@st.composite
def csv_tables(draw):
    """Cells of all kinds under names of all kinds; some rows too long or too short."""
    odd = draw(SELDOM)
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=not odd))
    text = st.text(max_size=3) if odd else WORDS
    kinds = [draw(st.sampled_from([LABELS, WORDS, NUMBERS, NUMBERS, text])) for _ in names]
    if not odd and "y" not in names:
        names, kinds = [*names, "y", "size"], [*kinds, LABELS, st.floats(-9, 9).map(repr)]
    rows = draw(ROWS)
    lines = [names, *([draw(kind) for kind in kinds] for _ in range(rows))]
    if odd:
        lines[-1] = lines[-1][1:]
    quote = draw(st.booleans()) or not odd
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    text = ends.join(
        ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if quote else cell for cell in line)
        for line in lines
    )
    encoding = draw(st.sampled_from(["utf-8-sig", "latin-1", "utf-16"])) if odd else "utf-8"
    return ".csv", text.encode(encoding, "replace"), names


DAY = datetime.date(2020, 2, 29)
COLUMNS = [
    lambda n: pa.array(np.linspace(-1, 1, n)),
    lambda n: pa.array([None if i % 4 == 1 else i for i in range(n)], pa.int64()),
    lambda n: pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()),
    lambda n: pa.array([2**60 + i if i else None for i in range(n)], pa.int64()),
    lambda n: pa.array([i % 2 == 0 for i in range(n)]),
    lambda n: pa.array(["cat" if i % 2 else "dog" for i in range(n)]),
    lambda n: pa.array([f"row {i}" for i in range(n)], pa.large_string()),
    lambda n: pa.array(["b" if i % 3 else None for i in range(n)], pa.string()).dictionary_encode(),
    lambda n: pa.array([decimal.Decimal(i) / 10 for i in range(n)], pa.decimal128(30, 20)),
    lambda n: pa.array([DAY] * n),
    lambda n: pa.array([0] * n, pa.timestamp("us", tz="UTC")),
    lambda n: pa.array([0] * n, pa.duration("s")),
    lambda n: pa.array([datetime.time(1)] * n),
    lambda n: pa.array([[1, 2]] * n),
    lambda n: pa.array([[1, 2]] * n, pa.list_(pa.int8(), 2)),
    lambda n: pa.array([{"a": 1}] * n),
    lambda n: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int8())),
    lambda n: pa.array([b"\xff"] * n),
    pa.nulls,
    lambda n: pa.array([1.0, np.inf, np.nan, *[0.0] * n][:n]),
    lambda n: pa.array(np.arange(n) % 3, pa.int8()),
    lambda n: pa.array(np.zeros(n, np.float16)),
]


@st.composite
def parquet_tables(draw):
    """Columns of every type that Arrow has, some of them twice."""
    n = draw(ROWS)
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=not draw(SELDOM)))
    columns = [draw(st.sampled_from(COLUMNS))(n) for _ in names]
    if not draw(SELDOM):
        names, columns = [*names, "z", "w"], [*columns, COLUMNS[0](n), COLUMNS[5](n)]
    file = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), file)
    return ".parquet", file.getvalue(), names


ARRAYS = [
    lambda n: np.random.default_rng(0).normal(size=(n, 2)),
    lambda n: np.arange(n) % 2,
    lambda n: np.array([f"{i % 2:03d}" for i in range(n)]),
    lambda n: np.linspace(0, 1, n),
    lambda n: np.full((n, 1), np.nan),
    lambda n: np.arange(2 * n, dtype=np.uint64).reshape(n, 2) + 2**63,
    lambda n: np.zeros((n, 1, 4, 4), np.uint8),
    lambda n: np.zeros((n, 2), np.longdouble) + np.arange(2),
    lambda n: np.zeros((n, 2), "M8[s]"),
    lambda n: np.zeros((n, 2), complex),
    lambda n: np.array([None] * n, object),
    lambda n: np.zeros((0, 2)),
    lambda n: np.zeros((n, 0)),
    lambda n: np.zeros(()),
    lambda n: np.zeros(n, [("a", "f4")]),
    lambda n: np.array([b"a"] * n, "S3"),
]


@st.composite
def archives(draw):
    """Arrays of every type and of shapes that do not agree."""
    names = draw(st.lists(st.sampled_from("Xyab"), max_size=4, unique=True))
    n = draw(ROWS)
    arrays = {name: draw(st.sampled_from(ARRAYS))(n) for name in names}
    if not draw(SELDOM):
        wanted = {"X": ARRAYS[0](n), "y": ARRAYS[1](n)}
        arrays = wanted | arrays if draw(SELDOM) else arrays | wanted
    file = io.BytesIO()
    np.savez(file, **arrays)
    return ".npz", file.getvalue(), list(arrays) or ["y"]


def damaged(data, damage):
    middle = len(data) // 2
    match damage:
        case "cut":
            return data[:middle]
        case "flip":
            return (
                data[:middle]
                + bytes(255 - byte for byte in data[middle : middle + 3])
                + data[middle + 3 :]
            )
        case "zeros":
            return data[:middle] + b"\0" * 8 + data[middle:]
        case "empty":
            return b""
        case "twice":
            return data + data
    return data


def one_line_or_a_run(*arguments):
    result = nbam(*arguments)
    assert result.exit_code in (0, 2), (arguments, result.output, result.exception)
    said = result.stderr.strip().splitlines()
    if result.exit_code == 2:
        assert said[-1].startswith("nbam: "), result.stderr
        assert all(line.startswith("nbam: warning: ") for line in said[:-1]), result.stderr
    assert "Traceback" not in result.output
    return result.exit_code == 0


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
@given(
    table=st.one_of(csv_tables(), parquet_tables(), archives()),
    damage=DAMAGE,
    command=st.sampled_from(["fit", "fit", "detect"]),
    task=st.sampled_from(["auto", "auto", "classification", "regression"]),
    others=st.sampled_from(
        [[], [], [], ["--drop"], ["--keep"], ["--contaminated"], ["--true-label", "--drop"]]
    ),
    data=st.data(),
)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    derandomize=EXAMPLES == 20,
    suppress_health_check=list(HealthCheck),
)
def test_a_malformed_table_gives_a_run_or_one_line(
    quick, table, damage, command, task, others, data
):
    ending, content, names = table
    name = st.sampled_from([*names, *names, *names, "nothing"])
    usual = {"y", "w"}.intersection(names) or {"nothing"}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / f"data{ending}", Path(folder) / "run"
        path.write_bytes(damaged(content, damage))
        arguments = [command, path, "--out", out]
        if command == "fit":
            label = data.draw(name) if data.draw(SELDOM) else max(usual)
            arguments += [f"--label={label}", "--task", task]
            arguments += [f"{option}={data.draw(name)}" for option in others]
        else:
            neural = st.sampled_from([["--backbone", "ae", "--epochs", 1], []])
            arguments += ["--contamination", 0.1, *data.draw(neural)]
            arguments += [
                f"{one}={data.draw(name)}" for one in others if one in ("--drop", "--keep")
            ]
        ran = one_line_or_a_run(*arguments)
        event(f"{ending}: {'a run' if ran else 'one line'}")
        if ran:
            assert one_line_or_a_run("show", out)
            one_line_or_a_run("score", out, path, "--out", Path(folder) / "scores.csv")
        else:
            assert not out.exists()
