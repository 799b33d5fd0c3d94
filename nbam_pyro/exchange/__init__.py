"""Exchange with tools in which people review data: flags go out, answers come back.

The functions convert tables and JSON values. They write no files and need none of the tools. On
the command line, `nbam export` and `nbam verify` use them.
"""

from nbam_pyro.exchange.answers import (
    Answer,
    answers_from_argilla,
    answers_from_label_studio,
    answers_from_table,
)
from nbam_pyro.exchange.argilla import argilla_records
from nbam_pyro.exchange.cleaned import Rule, cleaned
from nbam_pyro.exchange.columns import cleanlab_issues, spotlight_issues, spotlight_table
from nbam_pyro.exchange.fiftyone import fiftyone_samples
from nbam_pyro.exchange.label_studio import label_studio_config, label_studio_tasks
from nbam_pyro.exchange.run_rows import RunRows
from nbam_pyro.exchange.verified_table import VerifiedRows, verified_table

__all__ = [
    "Answer",
    "Rule",
    "RunRows",
    "VerifiedRows",
    "answers_from_argilla",
    "answers_from_label_studio",
    "answers_from_table",
    "argilla_records",
    "cleaned",
    "cleanlab_issues",
    "fiftyone_samples",
    "label_studio_config",
    "label_studio_tasks",
    "spotlight_issues",
    "spotlight_table",
    "verified_table",
]
