"""Answers of people, from Label Studio, Argilla or a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from nbam_pyro.errors import DataError
from nbam_pyro.exchange.run_rows import TRUE_LABEL, VERDICT, as_text

__all__ = ["Answer", "answers_from_argilla", "answers_from_label_studio", "answers_from_table"]

_ROW, _DRAWN = "row", "inclusion_probability"
# Columns that name who answered: ours, and those of Label Studio's tables.
_BY = ("answered_by", "annotator", "completed_by")
# Columns of the tables of `nbam review`: 1 or true is wrong, 0 or false is right.
_FILLED = ("wrong", "anomaly")
_T = TypeVar("_T")
_SUBMITTED, _COMPLETED = "submitted", "completed"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer of one person about one row. An answer that says nothing was skipped.

    Attributes:
        row: Name of the row.
        verdict: "right", "wrong", "unsure" or another word; an empty text if none was given.
        true_label: True label; an empty text if none was given.
        by: Name of the person; an empty text if it is unknown.
        inclusion: Probability with which the row was drawn, as text; empty if it is unknown.
    """

    row: str
    verdict: str = ""
    true_label: str = ""
    by: str = ""
    inclusion: str = ""

    @property
    def skipped(self) -> bool:
        """Whether the person has said nothing."""
        return not self.verdict and not self.true_label


def answers_from_table(table: pd.DataFrame) -> list[Answer]:
    """Return the answers in a table, one for each line.

    Args:
        table: Table with the column row, and one or more of the columns verdict (right, wrong or
            unsure), true_label, and wrong or anomaly (1 or true, 0 or false; tables of `nbam
            review`). Optional: answered_by (or annotator, completed_by), inclusion_probability.
            Empty cells are no answer.

    Raises:
        DataError: The row or every column of answers is missing.

    Example:
        >>> answers_from_table(pd.DataFrame({"row": [3], "verdict": ["wrong"]}))[0].verdict
        'wrong'
    """
    names = [str(name) for name in table.columns]
    filled = [name for name in _FILLED if name in names]
    if _ROW not in names or not {VERDICT, TRUE_LABEL, *filled} & set(names):
        raise DataError(
            f"The columns are {', '.join(map(repr, names))}. Answers need the column 'row', and "
            "'verdict' (right, wrong or unsure) or 'true_label' (or 'wrong', as nbam review "
            "writes it)."
        )
    return [_of_line(line, filled) for line in table.to_dict("records")]


def _of_line(line: Mapping[Any, Any], filled: Sequence[str]) -> Answer:
    cells = {str(name): as_text(cell).strip() for name, cell in line.items()}
    verdict = cells.get(VERDICT, "")
    for name in filled:
        verdict = verdict or _switch(cells[name])
    return Answer(
        row=cells[_ROW],
        verdict=verdict,
        true_label=cells.get(TRUE_LABEL, ""),
        by=next((cells[name] for name in _BY if cells.get(name)), ""),
        inclusion=cells.get(_DRAWN, ""),
    )


def _switch(cell: str) -> str:
    words = {"1": "wrong", "true": "wrong", "0": "right", "false": "right"}
    return words.get(cell.lower().removesuffix(".0"), cell)


def answers_from_label_studio(tasks: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Return the answers in an export of Label Studio (JSON), one for each annotation.

    Cancelled annotations were skipped. Tasks without annotations give no answer.

    Args:
        tasks: Exported tasks, made by `label_studio_tasks`.

    Raises:
        DataError: The values are not such tasks, or a task has no row.

    Source: https://labelstud.io/guide/task_format

    Example:
        >>> result = {"from_name": "verdict", "value": {"choices": ["wrong"]}}
        >>> task = {"data": {"row": "3"}, "annotations": [{"result": [result]}]}
        >>> answers_from_label_studio([task])[0].verdict
        'wrong'
    """
    return [one for task in _checked(_TASKS, tasks, "tasks of Label Studio") for one in _said(task)]


def _said(task: "_Task") -> Iterator[Answer]:
    if _ROW not in task.data:
        raise DataError("A task has no 'row' in its data. Export the tasks that nbam export wrote.")
    for annotation in task.annotations:
        said = {} if annotation.was_cancelled else _choices(annotation.result or [])
        yield Answer(
            row=as_text(task.data[_ROW]),
            verdict=said.get(VERDICT, ""),
            true_label=said.get(TRUE_LABEL, ""),
            by=_person(annotation.completed_by),
            inclusion=as_text(task.data.get(_DRAWN)),
        )


def _choices(results: Sequence["_Result"]) -> dict[str, str]:
    found: dict[str, str] = {}
    for result in results:
        chosen = result.value.get("choices") or []
        if not isinstance(chosen, list) or len(chosen) > 1:
            raise DataError(
                f"An annotation has several answers to {result.from_name!r}. Let people choose one."
            )
        if chosen:
            found[result.from_name] = as_text(chosen[0])
    return found


def _person(by: Any) -> str:
    if isinstance(by, Mapping):
        return as_text(by.get("email") or by.get("id"))
    return as_text(by)


def answers_from_argilla(records: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Return the answers in records of Argilla, one for each record and person.

    Only submitted responses count; drafts and discarded ones were skipped. `records.to_list()` and
    `records.to_json()` leave out the status of responses. Then the responses of one person to a
    completed record count, and others were skipped: give `records.to_list(flatten=True)`, which has
    the status.

    Args:
        records: Records as dictionaries, made by `argilla_records`.

    Raises:
        DataError: The values are not such records, or a record has no id.

    Source: `DatasetRecords.to_list` of argilla 2.8.

    Example:
        >>> responses = {"verdict": [{"value": "wrong", "user_id": "ann"}]}
        >>> record = {"id": "3", "status": "completed", "responses": responses}
        >>> answers_from_argilla([record])[0].verdict
        'wrong'
    """
    checked = _checked(_RECORDS, records, "records of Argilla")
    return [one for record in checked for one in _of_record(record)]


def _of_record(record: "_Record") -> Iterator[Answer]:
    if not record.id:
        raise DataError("A record has no id. Export the records that nbam export wrote.")
    found: dict[str, dict[str, str]] = {}
    statuses: dict[str, str] = {}
    for question in (VERDICT, TRUE_LABEL):
        for one in _responses(record, question):
            person = as_text(one.user_id)
            found.setdefault(person, {})[question] = as_text(one.value)
            statuses[person] = one.status or statuses.get(person, "")
    flat = record.model_extra or {}
    drawn = flat.get(_DRAWN) or (record.metadata or {}).get(_DRAWN)
    alone = len(found) == 1 and record.status == _COMPLETED
    for person, said in found.items():
        counts = statuses[person] == _SUBMITTED or (not statuses[person] and alone)
        kept = said if counts else {}
        yield Answer(
            row=as_text(record.id),
            by=person,
            inclusion=as_text(drawn),
            verdict=kept.get(VERDICT, ""),
            true_label=kept.get(TRUE_LABEL, ""),
        )


def _responses(record: "_Record", question: str) -> list["_Response"]:
    """Return the responses to a question, nested or flattened."""
    nested = (record.responses or {}).get(question) or []
    parts = ("value", ""), ("user_id", ".users"), ("status", ".status")
    flat = record.model_extra or {}
    columns = {name: flat.get(f"{question}.responses{part}") or [] for name, part in parts}
    lines = pd.DataFrame(columns).to_dict("records")
    return [*nested, *(_Response.model_validate(line) for line in lines)]


def _checked(schema: TypeAdapter[list[_T]], values: Any, what: str) -> list[_T]:
    try:
        return schema.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"These are not {what}: {place}: {first['msg']}.") from error


class _Result(BaseModel):
    from_name: str = ""
    value: dict[str, Any] = {}


class _Annotation(BaseModel):
    result: list[_Result] | None = None
    was_cancelled: bool | None = None
    completed_by: Any = None


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation] = []


class _Response(BaseModel):
    value: Any = None
    user_id: Any = None
    status: str | None = None


class _Record(BaseModel, extra="allow"):
    id: str | int | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
    responses: dict[str, list[_Response]] | None = None


_TASKS = TypeAdapter(list[_Task])
_RECORDS = TypeAdapter(list[_Record])
