"""The group of every row (source, annotator, batch), carried beside its features."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.errors import DataError


def with_groups(x: Any, group: Any, *, names: Any = None) -> tuple[Tensor, np.ndarray]:
    """Append the code of its group to every row, as its last column or channel.

    For stories with groups: `GroupSwitch` and `LabelFlip(..., groups=...)`.

    Args:
        x: rows, (N, D), or images (N, C, H, W), where the code fills a channel.
        group: of every row, (N,), of any kind; missing where unknown.
        names: of all groups in the order of their codes, as a fit knows them; None for those that
            occur, sorted. A group that is not among them is unknown, code -1.

    Returns:
        The rows with one more column or channel, as floats, and the names. Integers of four bytes
            and more come back in double precision, which holds all of them up to 2^53.

    Raises:
        DataError: lengths differ, x has neither columns nor channels, or a name occurs twice.

    Example:
        >>> x, names = with_groups(torch.zeros(3, 1), ["b", "a", "b"])
        >>> x[:, -1], names.tolist()
        (tensor([1., 0., 1.]), ['a', 'b'])
        >>> with_groups(torch.zeros(1, 1), ["c"], names=names)[0][:, -1]
        tensor([-1.])
    """
    rows = x if isinstance(x, Tensor) else torch.as_tensor(as_numbers(x, "x"))
    if not rows.is_floating_point():
        rows = rows.to(torch.float32 if rows.element_size() <= 2 else torch.float64)
    # NumPy would write a missing value among texts as a text.
    values = pd.Series(group if isinstance(group, pd.Series) else list(group)).reset_index(
        drop=True
    )
    if rows.ndim < 2 or len(values) != len(rows):
        raise DataError(
            f"x has shape {tuple(rows.shape)} and there are {len(values)} groups: x needs a column "
            "or channel, and every row a group."
        )
    known = np.sort(values.dropna().unique()) if names is None else np.asarray(names)
    if len(set(known.tolist())) < len(known):
        raise DataError("A name occurs twice among the names of groups: each needs its own.")
    codes = torch.as_tensor(pd.Index(known).get_indexer(values))
    shape = (len(rows), 1, *rows.shape[2:])
    column = codes.to(rows).reshape(-1, *[1] * (rows.ndim - 1)).expand(shape)
    return torch.cat([rows, column], 1), known
