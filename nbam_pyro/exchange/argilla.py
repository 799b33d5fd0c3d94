"""Argilla: records with suggestions."""

from typing import Any

from nbam_pyro.exchange.run_rows import AGENT, TRUE_LABEL, VERDICT, VERDICTS, RunRows

__all__ = ["argilla_records"]


def argilla_records(rows: RunRows) -> list[dict[str, Any]]:
    """Return records with suggestions, as `argilla.Record.from_dict` takes them.

    The id of a record is the name of the row. It has the field `text` (and `image` for pictures),
    what the run says as metadata, and a suggestion to the question `true_label` (labels) or
    `verdict` (measurements and anomalies). The text also has the columns of the data, one in each
    line. The data set in Argilla needs these fields and questions. Both questions are label
    questions; the answers to `verdict` are right, wrong and unsure.

    Args:
        rows: Rows of a run.

    Source: `Record.from_dict` and `Suggestion` of argilla 2.8.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"row": [4], "score": [2.5], "responsibility": [0.9]})
        >>> record = argilla_records(RunRows(task="detection", table=table))[0]
        >>> record["id"], record["suggestions"]["verdict"]["value"]
        ('4', 'wrong')
    """
    return [_record(rows, line) for line in rows.lines()]


def _record(rows: RunRows, line: dict[str, Any]) -> dict[str, Any]:
    media = rows.media.get(line["row"])
    if "suggested_label" in line:
        name, value, score = TRUE_LABEL, line["suggested_label"], line["suggested_probability"]
    else:
        r = line["responsibility"]
        name, value, score = VERDICT, VERDICTS[int(r > 0.5)], max(r, 1 - r)
    cells = rows.contents.get(line["row"], {})
    told = [rows.described(line), *(f"{name}: {cell}" for name, cell in cells.items())]
    return {
        "id": line["row"],
        "fields": {
            "text": "\n".join(told),
            **({} if media is None else {"image": media}),
        },
        "metadata": line,
        "suggestions": {name: {"value": value, "score": score, "agent": AGENT, "type": "model"}},
        "responses": {},
        "vectors": {},
    }
