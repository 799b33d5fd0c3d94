"""Saved fits, as JSON, safetensors and NetCDF files. Nothing in the files is executed."""

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.label_evidence import LabelEvidence
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.latents_tree import posterior_tree
from nbam_pyro.inference.posterior.row_posteriors import responsibilities
from nbam_pyro.inference.posterior.saved_guides import blank_guide, guide_name
from nbam_pyro.inference.posterior.training_rows import SavedRows, TrainingRows
from nbam_pyro.inference.posterior.trust import NetworkTrust
from nbam_pyro.models import Story
from nbam_pyro.outputs.verdict import Verdict
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
    tensors_in,
    tensors_of,
    versions,
)
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.row_kind import RowKind

__all__ = ["load", "save", "write_fit"]

FORMAT_VERSION = 10


class _Described(Saved):
    """A story that can be built again from its description."""

    description: Module


class _Unknown(Saved):
    """The reason why a story could not be described."""

    unknown: str


class _Copy(Saved):
    """A fitted copy of a story and its guide.

    The tensors of the copy at place i of the list are in model.safetensors, under names that begin
    with "copies.i.story." and "copies.i.guide.".
    """

    story: _Described | _Unknown
    guide: str


class _Model(Saved):
    """Schema of model.json: a format version, a list of fitted copies, and the rest of a fit.

    The list has exactly one copy in this format version.
    """

    format_version: int
    copies: Annotated[list[_Copy], Field(min_length=1, max_length=1)]
    rows: RowKind
    training_rows: SavedRows
    collapse: CollapseReport | None
    verdict: Verdict
    label_evidence: LabelEvidence | None
    history: list[dict[str, str | int | Finite]]
    versions: dict[str, str]


def save(fit: Fit, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a fit to a new folder. If an error occurs, no partial folder is left.

    The folder has four files:

    * `model.json`: the version of the format ("format_version"), the list of fitted copies
      ("copies", each with the class and arguments of its story and the family of its guide; at
      present there is one copy), history, reports and versions of packages.
    * `model.safetensors`: networks, guides, posteriors of the training rows, and how far the
      network can be trusted (names that begin with "trust."). Tensors of the first copy have names
      that begin with "copies.0.".
    * `posterior.nc`: draws of the global latents, for ArviZ.
    * `manifest.json`: checksums of the other files.

    The features of the rows are not stored.

    Args:
        fit: Fitted story.
        folder: Folder to write. Its parent folders are created if they do not exist.
        overwrite: Whether to replace an existing folder that `save` wrote.

    Raises:
        FolderError: The folder exists and may not be overwritten, or cannot be written.
    """
    with new_folder(Path(folder), overwrite=overwrite) as draft:
        write_fit(draft, fit)
        write_manifest(draft)


def write_fit(folder: Path, fit: Fit) -> None:
    """Write the files of a fit to a folder that exists. The caller writes the manifest."""
    tensors = tensors_of("copies.0.story", fit.story) | tensors_of("copies.0.guide", fit.guide)
    tensors["held_out"] = torch.as_tensor(fit.held_out)
    tensors |= fit.training_rows.tensors()
    if fit.trust is not None:
        tensors |= fit.trust.tensors()
    write_tensors(folder / "model.safetensors", tensors)
    posterior = posterior_tree(fit)
    for node in posterior.subtree:
        node.attrs.pop("created_at", None)  # the same fit has the same bytes
    posterior.to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    write_json(
        folder / "model.json",
        {
            "format_version": FORMAT_VERSION,
            "copies": [{"story": _described(fit.story), "guide": guide_name(type(fit.guide))}],
            "rows": vars(fit.kind),
            "training_rows": fit.training_rows.to_json(),
            "collapse": None if fit.collapse is None else vars(fit.collapse),
            "verdict": dataclasses.asdict(fit.verdict),
            "label_evidence": (
                None if fit.label_evidence is None else dataclasses.asdict(fit.label_evidence)
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
    """Read a fit that `save` or the command line wrote.

    On CPU, the responsibilities of the loaded fit and of the saved fit are bit-identical.

    Args:
        folder: Folder of the fit.
        story: A story that was created with the same arguments as the story of the fit. It is
            needed if the story cannot be created from the names of its classes. Its weights are
            overwritten.
        guide: Family of the guide, the same value that was passed to `fit`. It is needed if the
            guide is not a guide of Pyro, or if its constructor has additional arguments.
        allow: Import paths of your own classes or packages, such as "my_project.stories", that may
            be imported to create the story. Importing runs code, so allow only code that you trust.

    Raises:
        FolderError: A file is missing or was changed, or the folder has another format version.
        StoryError: The story cannot be built without `allow` or `story`, or the given story has
            other tensors than the saved story.

    Example:
        >>> import tempfile
        >>> from nbam_pyro import FlipPrior, LabelFlip, fit, responsibilities, save
        >>> from nbam_pyro.inference import WarmUp
        >>> x = torch.linspace(-1, 1, 40)[:, None]
        >>> y = (x[:, 0] > 0).long()
        >>> story = LabelFlip(nn.Linear(1, 2), 2, prior=FlipPrior(rate=(1, 20)))
        >>> fitted = fit(story, (x, y), steps=[WarmUp(epochs=40, lr=0.2)])
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
    with exclusive():  # making a guide uses Pyro's global stack of handlers
        if story is None:
            with building(tensors):
                story = _story(model.copies[0].story, allow)
        return _loaded(folder, model, tensors, story, guide)


def _loaded(
    folder: Path,
    model: _Model,
    tensors: dict[str, Tensor],
    story: Story,
    family: Callable[..., nn.Module] | None,
) -> Fit:
    """Return a fit from its saved parts and run it once, to find damage."""
    fill(story, "copies.0.story", tensors)
    with rehearsed(folder):
        blank = model.rows.blank(2, torch.float32)
        parts = tensors_in(tensors, "copies.0.guide")
        posterior = blank_guide(
            model.copies[0].guide, story.float(), *blank, tensors=parts, family=family
        )
    fill(story, "copies.0.story", tensors)  # again, in the precision that it was saved in
    fill(posterior, "copies.0.guide", tensors)
    story.eval()
    posterior.eval()
    labels = story.latent_label
    fit = Fit(
        story=story,
        guide=posterior,
        history=pd.DataFrame(model.history),
        held_out=saved_tensor(tensors, "held_out").numpy().astype(bool),
        kind=model.rows,
        training_rows=TrainingRows.from_saved(model.training_rows, tensors),
        collapse=model.collapse,
        verdict=model.verdict,
        label_evidence=model.label_evidence,
        trust=NetworkTrust.from_saved(
            tensors, num_classes=None if labels is None else labels.num_classes
        ),
    )
    _check_rows(folder, fit)
    with rehearsed(folder):
        responsibilities(
            fit, *(part.numpy() for part in model.rows.blank(2, torch.float32)), num_draws=2
        )
    return fit


def _check_rows(folder: Path, fit: Fit) -> None:
    """Raise a `FolderError` if posteriors of the training rows have shapes that do not agree."""
    rows, true_label = fit.training_rows.responsibility, fit.training_rows.true_label
    same = rows.ndim >= 1 and fit.held_out.shape == rows.shape[:1]
    if true_label is not None:
        same = same and true_label.shape[:-1] == rows.shape
        labels = fit.story.latent_label
        same = same and labels is not None and true_label.shape[-1:] == (labels.num_classes,)
    if not same:
        raise FolderError(
            f"'{folder}' has posteriors of training rows of different shapes. Restore its files or "
            "fit again."
        )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values. Missing values are left out."""
    rows = frame.astype(object).iterrows()
    return [{str(key): value for key, value in row.dropna().items()} for _, row in rows]


def _described(story: Story) -> dict[str, Any]:
    """Return the description of a story, or the reason why it cannot be described."""
    try:
        return {"description": describe(story)}
    except StoryError as error:
        return {"unknown": str(error)}


def _story(saved: _Described | _Unknown, allow: Collection[str]) -> Story:
    """Return the story of a description, with fresh weights."""
    if isinstance(saved, _Unknown):
        raise StoryError(
            f"The story could not be described when it was saved ({saved.unknown}). Create it with "
            "the same arguments as for the fit and pass story=."
        )
    try:
        story = build(as_description(saved.description), allow=allow)
    except StoryError as error:
        raise StoryError(f"{error} Or create the story as for the fit and pass story=.") from error
    if not isinstance(story, Story):
        raise StoryError(
            f"The saved description creates an object of class {type(story).__name__}, which is "
            "not a story. Create the story with the same arguments as for the fit and pass story=."
        )
    return story
