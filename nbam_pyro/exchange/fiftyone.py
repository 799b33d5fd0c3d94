"""FiftyOne: samples with label fields."""

from typing import Any

from nbam_pyro.errors import DataError
from nbam_pyro.exchange.run_rows import RunRows

__all__ = ["fiftyone_samples"]


def fiftyone_samples(rows: RunRows) -> list[dict[str, Any]]:
    """Return samples with fields, as `fiftyone.Sample.from_dict` takes them.

    Fields: `ground_truth` is the label, `suggestion` the suggested label with its probability as
    the confidence, and `mistakenness` the probability that the label is wrong. This is the name of
    the field in which FiftyOne's own tools store such a number. `nbam_row` is the name of the row.
    A sample has the tag "wrong" if this probability exceeds one half.

    Args:
        rows: Rows of a run on pictures.

    Raises:
        DataError: The rows are not pictures.

    Source: `Sample.from_dict` and `Classification` of FiftyOne 1.22.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"row": ["a/1.png"], "score": [2.5], "responsibility": [0.9]})
        >>> media = {"a/1.png": "images/a/1.png"}
        >>> sample = fiftyone_samples(RunRows(task="detection", table=table, media=media))[0]
        >>> sample["filepath"], sample["mistakenness"]
        ('images/a/1.png', 0.9)
    """
    lines = rows.lines()
    without = next((line["row"] for line in lines if line["row"] not in rows.media), None)
    if without is not None:
        raise DataError(
            f"FiftyOne shows pictures, but row '{without}' is not one. Use another --to, such as "
            "label-studio or csv."
        )
    return [_sample(rows, line) for line in lines]


def _sample(rows: RunRows, line: dict[str, Any]) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "filepath": rows.media[line["row"]],
        "tags": ["wrong"] if line["responsibility"] > 0.5 else [],
        "nbam_row": line["row"],
        "mistakenness": line["responsibility"],
    }
    if line.get("label"):
        sample["ground_truth"] = {"_cls": "Classification", "label": line["label"]}
    if "suggested_label" in line:
        sample["suggestion"] = {
            "_cls": "Classification",
            "label": line["suggested_label"],
            "confidence": line["suggested_probability"],
        }
    if "score" in line:
        sample["anomaly_score"] = line["score"]
    return sample
