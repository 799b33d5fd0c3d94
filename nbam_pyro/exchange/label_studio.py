"""Label Studio: tasks with predictions, and the labelling interface that belongs to them."""

from typing import Any
from xml.sax.saxutils import quoteattr

from nbam_pyro.exchange.run_rows import AGENT, TRUE_LABEL, VERDICT, VERDICTS, RunRows, shown

__all__ = ["label_studio_config", "label_studio_tasks"]

_ITEM = "item"


def label_studio_tasks(rows: RunRows) -> list[dict[str, Any]]:
    """Return tasks with predictions in Label Studio's JSON format.

    `data` of a task has the name of the row, its label, the probability that the label is wrong
    (responsibility) and a line of text that says the same; pictures are in `image`, and columns of
    the data in `cells`. The prediction is the suggested label with its probability as the score.
    For measurements and anomalies it is the verdict "wrong" if the responsibility exceeds one half,
    else "right". The tasks need the labelling interface of `label_studio_config`.

    Args:
        rows: Rows of a run.

    Source: https://labelstud.io/guide/predictions (format of pre-annotations).

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"row": [4], "score": [2.5], "responsibility": [0.9]})
        >>> task = label_studio_tasks(RunRows(task="detection", table=table))[0]
        >>> task["data"]["row"], task["predictions"][0]["score"]
        ('4', 0.9)
    """
    return [_task(rows, line) for line in rows.lines()]


def label_studio_config(rows: RunRows) -> str:
    """Return the labelling interface for the tasks, as XML.

    It has two questions: `true_label` with the classes (labels only), and `verdict` with the
    answers right, wrong and unsure.

    Args:
        rows: Rows of a run.

    Source: https://labelstud.io/tags/choices and https://labelstud.io/tags/table

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"row": [4], "score": [2.5], "responsibility": [0.9]})
        >>> print(label_studio_config(RunRows(task="detection", table=table)))
        <View>
          <Text name="item" value="$text"/>
          <Header value="Is the row normal (right) or an anomaly (wrong)?"/>
          <Choices name="verdict" toName="item" choice="single">
            <Choice value="right"/>
            <Choice value="wrong"/>
            <Choice value="unsure"/>
          </Choices>
        </View>
    """
    lines = [f'  <Text name="{_ITEM}" value="$text"/>']
    if rows.media:
        lines = [
            f'  <Image name="{_ITEM}" value="$image"/>',
            '  <Text name="told" value="$text"/>',
        ]
    if rows.contents:
        lines += ['  <Table name="cells" value="$cells"/>']
    if rows.classes:
        lines += ['  <Header value="What is the true label?"/>']
        lines += _choices(TRUE_LABEL, rows.spelled)
    lines += [f"  <Header value={quoteattr(rows.question)}/>", *_choices(VERDICT, VERDICTS)]
    return "\n".join(["<View>", *lines, "</View>"])


def _choices(name: str, values: Any) -> list[str]:
    return [
        f'  <Choices name="{name}" toName="{_ITEM}" choice="single">',
        *(f"    <Choice value={quoteattr(value)}/>" for value in values),
        "  </Choices>",
    ]


def _task(rows: RunRows, line: dict[str, Any]) -> dict[str, Any]:
    media = rows.media.get(line["row"])
    data = {**line, "text": rows.described(line), **({} if media is None else {"image": media})}
    if rows.contents:
        data["cells"] = rows.contents[line["row"]]
    if "suggested_label" in line:
        name, value = TRUE_LABEL, shown(line["suggested_label"])
        score = line["suggested_probability"]
    else:
        r = line["responsibility"]
        name, value, score = VERDICT, VERDICTS[int(r > 0.5)], max(r, 1 - r)
    result = {
        "id": name,
        "from_name": name,
        "to_name": _ITEM,
        "type": "choices",
        "value": {"choices": [value]},
    }
    prediction = {"model_version": AGENT, "score": score, "result": [result]}
    return {"data": data, "predictions": [prediction]}
