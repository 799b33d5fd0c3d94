"""A fit on disk: JSON, safetensors and NetCDF; nothing in it is executed when it is read."""

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
from pydantic import Field
from pyro.infer import autoguide
from torch import Tensor, nn

from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.identifiability import Identifiability
from nbam_pyro.inference.posterior.datatree import posterior_tree
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.row_posteriors import responsibilities
from nbam_pyro.inference.posterior.training_rows import SavedRows, TrainingRows
from nbam_pyro.inference.variational.guides import make_guide
from nbam_pyro.models import Story
from nbam_pyro.storage import (
    Finite,
    Saved,
    check_files,
    new_folder,
    write_json,
    write_manifest,
)
from nbam_pyro.storage.budget import building
from nbam_pyro.storage.description import Module, build, describe
from nbam_pyro.storage.model_file import (
    as_description,
    fill,
    read_described,
    rehearsed,
    tensors_of,
    versions,
)
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.row_kind import RowKind

__all__ = ["load", "save", "write_fit"]

FORMAT_VERSION = 6


class _Described(Saved):
    description: Module


class _Unknown(Saved):
    unknown: str


class _Copy(Saved):
    """A fitted copy of a story: its tensors are named after its place in the list."""

    story: _Described | _Unknown
    guide: str


class _Model(Saved):
    """The content of model.json."""

    format_version: int
    copies: Annotated[list[_Copy], Field(min_length=1, max_length=1)]
    rows: RowKind
    training_rows: SavedRows
    collapse: CollapseReport | None
    identifiability: Identifiability | None
    history: list[dict[str, str | int | Finite]]
    versions: dict[str, str]


def save(fit: Fit, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a fit to a folder of its own, whole or not at all.

    `model.json` (the story by class and arguments, history, reports, versions),
    `model.safetensors` (networks, guide, posteriors of the training rows), `posterior.nc` (draws of
    the global latents, for ArviZ) and `manifest.json` (checksums). Features are not stored.

    Args:
        fit: a fit.
        folder: to write; its parents are made.
        overwrite: replace a folder that a fit was saved to.

    Raises:
        FolderError: the folder exists and may not be overwritten, or cannot be written.
    """
    with new_folder(Path(folder), overwrite=overwrite) as draft:
        write_fit(draft, fit)
        write_manifest(draft)


def write_fit(folder: Path, fit: Fit) -> None:
    """The files of a fit, in a folder that exists; `write_manifest` is the caller's to call."""
    tensors = tensors_of("copies.0.story", fit.story) | tensors_of("copies.0.guide", fit.guide)
    tensors["held_out"] = torch.as_tensor(fit.held_out)
    write_tensors(folder / "model.safetensors", tensors | fit.training_rows.tensors())
    posterior_tree(fit).to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    write_json(
        folder / "model.json",
        {
            "format_version": FORMAT_VERSION,
            "copies": [{"story": _described(fit.story), "guide": _guide_name(type(fit.guide))}],
            "rows": vars(fit.kind),
            "training_rows": fit.training_rows.to_json(),
            "collapse": None if fit.collapse is None else vars(fit.collapse),
            "identifiability": (
                None if fit.identifiability is None else dataclasses.asdict(fit.identifiability)
            ),
            "history": _records(fit.history),
            "versions": versions(),
        },
        _Model,
    )


def load(
    folder: str | Path,
    *,
    story: Story | None = None,
    guide: Callable[..., nn.Module] | None = None,
    allow: Collection[str] = (),
) -> Fit:
    """Read a fit that `save` or the command line wrote; on CPU it scores the same bit for bit.

    Args:
        folder: where it is.
        story: made as it was for the fit, where its classes cannot be built from their names; its
            weights are overwritten.
        guide: the guide's family, where it is none of Pyro's or took arguments of its own.
        allow: import paths of classes or packages of your own ("my_project.stories") that may be
            imported to build the story. Importing runs code: allow what you trust.

    Raises:
        FolderError: a file is missing or was changed, or another version wrote it.
        StoryError: the story needs `allow` or `story`, or the one given has other tensors.

    Example:
        >>> import tempfile
        >>> from nbam_pyro import LabelFlip, fit, responsibilities, save
        >>> from nbam_pyro.inference import WarmUp
        >>> x = torch.linspace(-1, 1, 40)[:, None]
        >>> y = (x[:, 0] > 0).long()
        >>> story = LabelFlip(nn.Linear(1, 2), 2)
        >>> fitted = fit(story, (x, y), steps=[WarmUp(epochs=20, lr=0.2)])
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     save(fitted, f"{parent}/fit")
        ...     again = load(f"{parent}/fit")
        >>> bool((responsibilities(again, x, y) == responsibilities(fitted, x, y)).all())
        True
    """
    folder = Path(folder)
    check_files(folder, ["model.json", "model.safetensors", "posterior.nc"])
    model = read_described(folder / "model.json", _Model, format_version=FORMAT_VERSION)
    tensors = read_tensors(folder / "model.safetensors")
    with exclusive():  # the guide uses Pyro's stack of handlers
        if story is None:
            with building(tensors):
                story = _story(model.copies[0].story, allow)
        return _loaded(folder, model, tensors, story, guide or _family(model.copies[0].guide))


def _loaded(
    folder: Path,
    model: _Model,
    tensors: dict[str, Tensor],
    story: Story,
    family: Callable[..., nn.Module],
) -> Fit:
    fill(story, "copies.0.story", tensors)
    with rehearsed(folder):
        blank = model.rows.blank(2, torch.float32)
        posterior = make_guide(story.float(), *blank, family=family)
    fill(story, "copies.0.story", tensors)  # in the precision it was saved in
    fill(posterior, "copies.0.guide", tensors)
    story.eval()
    posterior.eval()
    fit = Fit(
        story=story,
        guide=posterior,
        history=pd.DataFrame(model.history),
        held_out=saved_tensor(tensors, "held_out").numpy().astype(bool),
        kind=model.rows,
        training_rows=TrainingRows.from_saved(model.training_rows, tensors),
        collapse=model.collapse,
        identifiability=model.identifiability,
    )
    _check_rows(folder, fit)
    with rehearsed(folder):
        responsibilities(
            fit, *(part.numpy() for part in model.rows.blank(2, torch.float32)), num_draws=2
        )
    return fit


def _check_rows(folder: Path, fit: Fit) -> None:
    """Refuse posteriors of training rows whose shapes contradict each other."""
    rows, true_label = fit.training_rows.responsibility, fit.training_rows.true_label
    same = rows.ndim >= 1 and fit.held_out.shape == rows.shape[:1]
    if true_label is not None:
        same = same and true_label.shape[:-1] == rows.shape
        labels = fit.story.latent_label
        same = same and labels is not None and true_label.shape[-1:] == (labels.num_classes,)
    if not same:
        raise FolderError(
            f"{folder} has posteriors of training rows of different shapes. Restore its files or "
            "fit again."
        )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON; what is missing is left out."""
    rows = frame.astype(object).iterrows()
    return [{str(key): value for key, value in row.dropna().items()} for _, row in rows]


def _described(story: Story) -> dict[str, Any]:
    """The story's description, or why there is none; it can then still be given when loading."""
    try:
        return {"description": describe(story)}
    except StoryError as error:
        return {"unknown": str(error)}


def _story(saved: _Described | _Unknown, allow: Collection[str]) -> Story:
    if isinstance(saved, _Unknown):
        raise StoryError(f"The story could not be described ({saved.unknown}): pass story=.")
    try:
        story = build(as_description(saved.description), allow=allow)
    except StoryError as error:
        raise StoryError(f"{error} Or pass story=.") from error
    if not isinstance(story, Story):
        raise StoryError("The description is of no story; pass story=.")
    return story


def _guide_name(family: type) -> str:
    """The public name of one of Pyro's guides; the import path of another."""
    name = family.__qualname__
    if getattr(autoguide, name, None) is family:
        return f"{autoguide.__name__}.{name}"
    return f"{family.__module__}.{name}"


def _family(path: str) -> Callable[..., nn.Module]:
    module, _, name = path.rpartition(".")
    family: Any = getattr(autoguide, name, None)
    guides = module == autoguide.__name__ and isinstance(family, type)
    if not (guides and issubclass(family, autoguide.AutoGuide)):
        raise StoryError(f"The guide {path!r} is none of Pyro's: pass guide=.")
    found: Callable[..., nn.Module] = family
    return found
