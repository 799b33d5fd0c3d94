"""`nbam export`, `nbam verify` and `nbam fit --verified`: flags go to tools, answers come back."""

import json
import stat

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.decisions import review_queue
from nbam_pyro.exchange import Rule
from tests.cli.helpers import bugs, distances, nbam, refused

N = 300
NAMES = np.array(["01", "=CMD()", "\x1b[31m<b>x</b>"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run without training, with hostile labels; the first five rows have no label."""
    folder = tmp_path_factory.mktemp("exchange")
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 3
    codes = np.where(rng.random(N) < 0.2, (truth + 1) % 3, truth)
    easy = rng.random(N) < 0.7
    p = np.full((N, 3), 0.03)
    p[np.arange(N), np.where(easy, truth, codes)] = 0.94
    frame = pd.DataFrame({"species": NAMES[codes], "truth": NAMES[truth]})
    frame.loc[:4, "species"] = None
    frame.to_csv(folder / "data.csv", index=False)
    pd.DataFrame(p, columns=NAMES).to_csv(folder / "p.csv", index=False)
    refit(folder, folder / "run")
    return folder


def refit(folder, out, *more):
    arguments = ["--label", "species", "--pred-probs", folder / "p.csv", "--out", out]
    result = nbam("fit", folder / "data.csv", *arguments, *more)
    assert result.exit_code == 0, result.output
    return result


def exported(run, to, out, *more):
    result = nbam("export", run, "--to", to, "--out", out, *more)
    assert result.exit_code == 0, result.output
    return result.stdout


def verified(run, answers, out):
    result = nbam("verify", run, answers, "--out", out)
    assert result.exit_code == 0, result.output
    return result.stdout, pd.read_csv(out, dtype=str, keep_default_na=False)


def truth_of(folder):
    return pd.read_csv(folder / "data.csv", dtype=str)["truth"].to_numpy()


def label_studio(folder, path):
    """The tasks as Label Studio exports them after people have answered the first 60."""
    tasks, truth = json.loads(path.read_text()), truth_of(folder)
    for number, task in enumerate(tasks[:60]):
        row = int(task["data"]["row"])
        shown = {"\x1b[31m<b>x</b>": r"\x1b[31m<b>x</b>"}.get(truth[row], truth[row])
        result = {"from_name": "true_label", "type": "choices", "value": {"choices": [shown]}}
        task["annotations"] = [
            {"result": [result], "completed_by": 1, "was_cancelled": number % 10 == 9}
        ]
    path.with_name("answers.json").write_text(json.dumps(tasks))
    return path.with_name("answers.json")


def argilla(folder, path):
    records, truth = json.loads(path.read_text()), truth_of(folder)
    for number, record in enumerate(records[:60]):
        value = truth[int(record["id"])]
        record["responses"] = {"true_label": [{"value": value, "user_id": "ann"}]}
        record["status"] = "pending" if number % 10 == 9 else "completed"
    path.with_name("answers.json").write_text(json.dumps(records))
    return path.with_name("answers.json")


def table(folder, path):
    rows, truth = pd.read_csv(path, dtype=str, keep_default_na=False), truth_of(folder)
    rows = rows.sort_values("responsibility", ascending=False, kind="stable").head(60)
    rows = rows[rows["label"] != ""]
    rows["true_label"] = [truth[int(row)] for row in rows["row"]]
    rows.loc[rows.index[9::10], "true_label"] = ""
    rows.to_csv(path.with_name("answers.csv"), index=False)
    return path.with_name("answers.csv")


@pytest.mark.parametrize(
    ("to", "name", "answer"),
    [
        ("label-studio", "t.json", label_studio),
        ("argilla", "t.json", argilla),
        ("csv", "t.csv", table),
    ],
)
def test_a_round_trip(folder, tmp_path, to, name, answer):
    run, before = folder / "run", (folder / "run" / "flags.csv").read_bytes()
    queue = tmp_path / "queue.csv"
    assert nbam("review", run, "--budget", 70, "--design", "sorted", "--out", queue).exit_code == 0
    more = [] if to == "csv" else ["--rows", queue]
    exported(run, to, tmp_path / name, *more)
    said, rows = verified(run, answer(folder, tmp_path / name), tmp_path / "verified.csv")
    skipped = rows["answer"] == "skipped"
    assert skipped.sum() == len(rows) // 10
    assert "skipped" in said
    assert (rows.loc[skipped, ["contaminated", "true_label"]] == "").all(axis=None)
    assert (rows["problem"] == "").all()
    data = pd.read_csv(folder / "data.csv", dtype=str)
    known = rows[~skipped].set_index("row")
    wrong = (data["species"] != data["truth"]).to_numpy()
    assert (known["contaminated"].astype(int) == wrong[known.index.astype(int)]).all()
    result = refit(folder, tmp_path / "again", "--verified", tmp_path / "verified.csv")
    assert f"Verified: {len(known)} rows" in result.stdout
    flags = pd.read_csv(tmp_path / "again" / "flags.csv").set_index("row")
    seen = flags.loc[known.index.astype(int)]
    assert (seen["responsibility"] == known["contaminated"].astype(int).to_numpy()).all()
    assert seen["verified"].all()
    assert (run / "flags.csv").read_bytes() == before


def test_answers_that_disagree_or_have_a_problem_are_named(folder, tmp_path):
    lines = [
        ("20", "right", "ann"),
        ("20", "wrong", "bob"),
        ("21", "right", "ann"),
        ("999", "wrong", "ann"),
        ("2", "right", "ann"),
        ("22", "", "ann"),
        ("23", "unsure", "bob"),
    ]
    names = ["row", "verdict", "answered_by"]
    pd.DataFrame(lines, columns=names).to_csv(tmp_path / "a.csv", index=False)
    said, rows = verified(folder / "run", tmp_path / "a.csv", tmp_path / "v.csv")
    assert len(rows) == len(lines)
    assert "7 answers about 6 rows by 2 people: 3 right, 2 wrong, 1 unsure, 1 skipped." in said
    assert "disagree about 1 row: '20'" in said
    assert "row '999': the run does not have this row; row '2': the row has no label" in said
    assert "1 row is verified" in said
    result = refit(folder, tmp_path / "again", "--verified", tmp_path / "v.csv")
    assert "Verified: 1 rows, 1 of them right" in result.stdout.replace("1 row,", "1 rows,")
    assert "disagree about 1 row ('20')" in result.stdout
    assert "2 answers with a problem" in result.stdout
    pd.DataFrame([("22", "", "ann")], columns=names).to_csv(tmp_path / "b.csv", index=False)
    assert "No answer" in refused(
        "verify", folder / "run", tmp_path / "b.csv", "--out", tmp_path / "w.csv"
    )
    assert not (tmp_path / "w.csv").exists()


def test_a_table_of_a_review_is_read(folder, tmp_path):
    queue = tmp_path / "q.csv"
    assert nbam("review", folder / "run", "--budget", 30, "--out", queue).exit_code == 0
    filled = pd.read_csv(queue, dtype=str, keep_default_na=False).assign(wrong="0")
    filled.to_csv(queue, index=False)
    _, rows = verified(folder / "run", queue, tmp_path / "v.csv")
    assert (rows["inclusion_probability"] == filled["inclusion_probability"]).all()
    assert set(rows["contaminated"]) == {"0"}


def test_formulas_cannot_run_in_a_spreadsheet(folder, tmp_path):
    said = exported(folder / "run", "csv", tmp_path / "t.csv")
    assert "would run as a formula" in said
    cells = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False)
    texts = cells[["label", "suggested_label"]].to_numpy().ravel()
    assert not any(text[:1] in tuple("=+-@\t\r") for text in texts if text)
    assert (cells["label"] == "'=CMD()").any()
    exported(folder / "run", "parquet", tmp_path / "t.parquet")
    assert (pd.read_parquet(tmp_path / "t.parquet")["label"] == "=CMD()").any()
    assert "\x1b" not in said


def test_files_for_tools_contain_no_control_characters(folder, tmp_path):
    for to in ("label-studio", "argilla", "spotlight"):
        exported(folder / "run", to, tmp_path / f"{to}.json")
        assert b"\x1b" not in (tmp_path / f"{to}.json").read_bytes()
    assert "<b>" not in (tmp_path / "label-studio.xml").read_text()
    assert stat.S_IMODE((tmp_path / "label-studio.xml").stat().st_mode) & stat.S_IRUSR


def test_a_cleaned_table(folder, tmp_path):
    said = exported(folder / "run", "csv", tmp_path / "c.csv", "--rule", "budget:50")
    assert "no label is changed" in said
    assert f"{N - 55} rows of {N} are in" in said
    exported(folder / "run", "csv", tmp_path / "d.csv", "--rule", "fdr:0.3", "--flagged", "relabel")
    rows = pd.read_csv(tmp_path / "d.csv", dtype=str)
    changed = rows[rows["action"] == "relabel"]
    assert len(changed)
    assert (changed["label"] == changed["suggested_label"]).all()
    assert (changed["label"] != changed["old_label"]).all()
    assert {"old_label", "responsibility", "weight"} <= set(rows)
    assert Rule.parse("fdr:0.3").fdr == 0.3


def test_a_rule_is_refused_if_the_verdict_cannot_tell(folder, tmp_path):
    rng = np.random.default_rng(0)
    data, run = tmp_path / "data.csv", tmp_path / "run"
    pd.DataFrame({"y": rng.choice(["a", "b"], 200)}).to_csv(data, index=False)
    p = rng.dirichlet([1, 1], 200)
    pd.DataFrame(p, columns=["a", "b"]).to_csv(tmp_path / "p.csv", index=False)
    arguments = ["--label", "y", "--pred-probs", tmp_path / "p.csv", "--out", run]
    assert nbam("fit", data, *arguments).exit_code == 0
    asked = ["export", run, "--to", "csv", "--out", tmp_path / "c.csv", "--rule", "fdr:0.05"]
    assert "cannot tell" in refused(*asked)
    assert not (tmp_path / "c.csv").exists()
    result = nbam(*asked, "--anyway")
    assert result.exit_code == 0
    assert "Verdict: cannot tell" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "excel", "--out", "x.csv"], "--to is 'excel'"),
        (["--to", "csv", "--out", "x.json"], "ends in .csv"),
        (["--to", "argilla", "--out", "x.csv"], "ends in .json"),
        (["--to", "argilla", "--out", "x.json", "--rule", "fdr:0.1"], "cleaned table"),
        (["--to", "csv", "--out", "x.csv", "--anyway"], "Add --rule"),
        (["--to", "csv", "--out", "x.csv", "--rule", "fdr:7"], "must lie in"),
        (["--to", "csv", "--out", "x.csv", "--rule", "fdr:0.1", "--flagged", "no"], "flagged is"),
        (["--to", "fiftyone", "--out", "x.json"], "pictures"),
    ],
)
def test_options_that_are_refused(folder, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("export", folder / "run", *options)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_rows_and_files_that_are_refused(folder, tmp_path):
    run, out = folder / "run", tmp_path / "t.csv"
    asked = ["export", run, "--to", "csv", "--out", out, "--rows", tmp_path / "r.csv"]
    for text, said in [("row\n7\n7\n", "more than once"), ("row\n999\n", "does not have")]:
        (tmp_path / "r.csv").write_text(text)
        assert said in refused(*asked)
    inside = ["export", run, "--to", "csv", "--out", run / "t.csv"]
    assert "is in the run folder" in refused(*inside)
    exported(run, "csv", out)
    assert "exists already" in refused("export", run, "--to", "csv", "--out", out)
    exported(run, "csv", out, "--overwrite")
    for text in ("[", "{}", "[3]", '[{"annotations": [], "data": {}}]'):
        (tmp_path / "a.json").write_text(text)
        refused("verify", run, tmp_path / "a.json", "--out", tmp_path / "v.csv")
    assert "ends in .csv" in refused("verify", run, out, "--out", tmp_path / "v.txt")


def test_verified_files_that_do_not_belong_to_the_data_are_refused(folder, tmp_path):
    fit = ["fit", folder / "data.csv", "--label", "species", "--pred-probs", folder / "p.csv"]
    fit += ["--out", tmp_path / "run"]
    v = tmp_path / "v.csv"
    for line, said in [
        ("999,01,01,0,,", "that the data do not have"),
        ("20,elk,,1,,", "is about the label 'elk'"),
        ("20,,elk,1,,", "no such label"),
        ("20,,,,,", "verifies no row"),
    ]:
        v.write_text(f"row,label,true_label,contaminated,answered_by,problem\n{line}\n")
        assert said in refused(*fit, "--verified", v)
    assert "Give one of them" in refused(*fit, "--verified", v, "--true-label", "truth")
    assert not (tmp_path / "run").exists()


def test_networks_measurements_and_detectors_take_verified_files(quick, tmp_path):
    frame, _ = bugs(120)
    frame.to_csv(tmp_path / "b.csv", index=False)
    far, _ = distances(120)
    far.to_csv(tmp_path / "d.csv", index=False)
    first, v = tmp_path / "run", tmp_path / "v.csv"
    for data, label in (("b.csv", "species"), ("d.csv", "far")):
        fit = ["fit", tmp_path / data, "--label", label, "--overwrite"]
        assert nbam(*fit, "--out", first).exit_code == 0
        (tmp_path / "a.csv").write_text("row,verdict\n3,wrong\n40,right\n")
        verified(first, tmp_path / "a.csv", v)
        result = nbam(*fit, "--verified", v, "--out", tmp_path / "again")
        assert result.exit_code == 0, result.output
        flags = pd.read_csv(tmp_path / "again" / "flags.csv").set_index("row")
        assert flags.loc[[3, 40], "responsibility"].tolist() == [1, 0]
        v.unlink()
    detect = ["detect", tmp_path / "d.csv", "--overwrite", "--out", tmp_path / "found"]
    assert nbam(*detect).exit_code == 0
    (tmp_path / "a.csv").write_text("row,verdict\n3,anomaly\n40,normal\n")
    verified(tmp_path / "found", tmp_path / "a.csv", v)
    result = nbam(*detect, "--verified", v)
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "found" / "flags.csv").set_index("row")
    assert flags.loc[[3, 40], "verified_anomaly"].tolist() == [1, 0]
    exported(tmp_path / "found", "label-studio", tmp_path / "t.json")
    exported(tmp_path / "found", "cleanlab", tmp_path / "c.csv")
    scored = nbam("score", tmp_path / "found", tmp_path / "d.csv", "--out", tmp_path / "s.csv")
    assert scored.exit_code == 0, scored.output


def test_goals_of_a_review(fitted_bugs, folder, tmp_path):
    run = fitted_bugs[0] / "run"
    for goal in ("flags", "rates"):
        out = tmp_path / f"{goal}.csv"
        result = nbam("review", run, "--budget", 12, "--for", goal, "--out", out)
        assert result.exit_code == 0, result.output
        assert "or the column true_label" in result.stdout
        rows = pd.read_csv(out)
        assert list(rows)[-2:] == ["true_label", "wrong"]
        r = pd.read_csv(run / "flags.csv")["responsibility"].to_numpy()
        if goal == "flags":
            queue = review_queue(r, budget=12, goal="flags")
            assert rows["responsibility"].to_numpy() == pytest.approx(r[queue["row"]])
    review = ["review", folder / "run", "--budget", 5, "--out", tmp_path / "q.csv"]
    assert "has none. Use --for flags" in refused(*review, "--for", "verdict")
    assert "--for is 'fun'" in refused(*review, "--for", "fun")
    assert "Leave out --for" in refused(*review, "--for", "flags", "--design", "random")
