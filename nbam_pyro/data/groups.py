"""Groups of rows (source, annotator, batch) as a column of the features."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.errors import DataError


def with_groups(x: Any, group: Any, *, names: Any = None) -> tuple[Tensor, np.ndarray]:
    """Append a column or channel with the code of each row's group.

    Stories with groups take such rows: `GroupSwitch` and `LabelFlip(..., groups=...)`.

    Args:
        x: Rows, (N, D), or images, (N, C, H, W), to which a constant channel is appended.
        group: Group of each row, (N,), numbers or texts; a missing value if it is unknown.
        names: Names of all groups in the order of their codes, as in the fit; None for the sorted
            groups that occur. The code of a group that is not among them is -1, which means
            unknown.

    Returns:
        The rows with one more column or channel, as floats, and the names of the groups. Integers
        of four bytes or more are returned in double precision, which represents integers up to 2^53
        exactly.

    Raises:
        DataError: Lengths differ, x has neither columns nor channels, or a name occurs twice.

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
    # NumPy would convert a missing value among texts to a text.
    values = pd.Series(group if isinstance(group, pd.Series) else list(group)).reset_index(
        drop=True
    )
    if rows.ndim < 2 or len(values) != len(rows):
        raise DataError(
            f"x has shape {tuple(rows.shape)} and there are {len(values)} groups. x needs at least "
            "two dimensions, (N, D) or more, and one group for each row."
        )
    known = np.sort(values.dropna().unique()) if names is None else np.asarray(names)
    if len(set(known.tolist())) < len(known):
        raise DataError(
            "A name occurs twice among the names of groups. Give each group a different name."
        )
    codes = torch.as_tensor(pd.Index(known).get_indexer(values))
    shape = (len(rows), 1, *rows.shape[2:])
    column = codes.to(rows).reshape(-1, *[1] * (rows.ndim - 1)).expand(shape)
    return torch.cat([rows, column], 1), known
