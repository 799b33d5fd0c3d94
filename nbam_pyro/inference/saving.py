"""A fit on disk: JSON, safetensors and NetCDF; nothing in it is executed when it is read."""

import dataclasses
import platform
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch
from pyro.infer import autoguide
from torch import nn

from nbam_pyro.errors import FolderError, NBAMError, StoryError
from nbam_pyro.folders import check_files, new_folder, read_json, write_json, write_manifest
from nbam_pyro.inference.datatree import posterior_tree
from nbam_pyro.inference.description import build, describe
from nbam_pyro.inference.diagnostics import CollapseReport
from nbam_pyro.inference.guides import make_guide
from nbam_pyro.inference.identifiability import Identifiability
from nbam_pyro.inference.result import Fit
from nbam_pyro.inference.row_kind import RowKind
from nbam_pyro.inference.training_rows import TrainingRows
from nbam_pyro.models import Story

__all__ = ["load", "save", "write_fit"]

SCHEMA_VERSION = 4
_PACKAGES = ["nbam-pyro", "torch", "pyro-ppl", "lightning", "arviz-base", "scikit-learn", "numpy"]


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
    tensors = tensors_of("story", fit.story) | tensors_of("guide", fit.guide)
    tensors["held_out"] = torch.as_tensor(fit.held_out)
    tensors |= fit.training.tensors()
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    posterior_tree(fit).to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    write_json(
        folder / "model.json",
        {
            "schema_version": SCHEMA_VERSION,
            "story": _described(fit.story),
            "guide": f"{type(fit.guide).__module__}.{type(fit.guide).__qualname__}",
            "rows": vars(fit.kind),
            "training": fit.training.to_json(),
            "collapse": None if fit.collapse is None else vars(fit.collapse),
            "identifiability": (
                None if fit.identifiability is None else dataclasses.asdict(fit.identifiability)
            ),
            "history": _records(fit.history),
            "versions": versions(),
        },
    )


def load(
    folder: str | Path,
    *,
    story: Story | None = None,
    guide: Callable[..., nn.Module] | None = None,
    allow: Collection[str] = (),
) -> Fit:
    """Read a fit that `Fit.save` or the command line wrote; on CPU it scores the same bit for bit.

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
        >>> from nbam_pyro import LabelFlip, fit, responsibilities
        >>> from nbam_pyro.inference import WarmUp
        >>> x = torch.linspace(-1, 1, 40)[:, None]
        >>> y = (x[:, 0] > 0).long()
        >>> story = LabelFlip(nn.Linear(1, 2), 2)
        >>> fitted = fit(story, (x, y), steps=[WarmUp(epochs=20, lr=0.2)])
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     fitted.save(f"{parent}/fit")
        ...     again = load(f"{parent}/fit")
        >>> bool((responsibilities(again, x, y) == responsibilities(fitted, x, y)).all())
        True
    """
    folder = Path(folder)
    check_files(folder, ["model.json", "model.safetensors", "posterior.nc"])
    with described(folder / "model.json", schema_version=SCHEMA_VERSION) as model:
        return _loaded(folder, model, story, guide, allow)


@contextmanager
def described(path: Path, *, schema_version: int) -> Iterator[dict[str, Any]]:
    """The description in a file; what goes wrong with its content is said of the file.

    Args:
        path: of the file.
        schema_version: that is read.

    Raises:
        FolderError: it is of another version, or not as it was written.
    """
    model = read_json(path)
    if model.get("schema_version") != schema_version:
        raise FolderError(
            f"{path.parent} has schema version {model.get('schema_version')}; this version of the "
            f"library reads {schema_version}. Fit again, or install the version that wrote it "
            f"({model.get('versions', {}).get('nbam-pyro', 'unknown')})."
        )
    try:
        yield model
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, NBAMError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FolderError(f"{path} is not as it was written ({reason}).") from error


def _loaded(
    folder: Path,
    model: dict[str, Any],
    story: Story | None,
    guide: Callable[..., nn.Module] | None,
    allow: Collection[str],
) -> Fit:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    kind = RowKind.from_json(model["rows"])
    story = story or _story(model["story"], allow)
    fill(story, "story", tensors)
    family = guide or _family(model["guide"])
    posterior = make_guide(story.float(), *kind.blank(2, torch.float32), family=family)
    fill(story, "story", tensors)  # in the precision it was saved in
    fill(posterior, "guide", tensors)
    collapse, report = model["collapse"], model["identifiability"]
    return Fit(
        story=story,
        guide=posterior,
        history=pd.DataFrame(model["history"]),
        held_out=tensors["held_out"].numpy().astype(bool),
        kind=kind,
        training=TrainingRows.from_saved(model["training"], tensors),
        collapse=None if collapse is None else CollapseReport(**collapse),
        identifiability=None if report is None else Identifiability.from_json(report),
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


def _story(described: dict[str, Any], allow: Collection[str]) -> Story:
    if "unknown" in described:
        raise StoryError(f"The story could not be described ({described['unknown']}): pass story=.")
    try:
        story = build(described["description"], allow=allow)
    except StoryError as error:
        raise StoryError(f"{error} Or pass story=.") from error
    if not isinstance(story, Story):
        raise StoryError("The description is of no story; pass story=.")
    return story


def _family(path: str) -> Callable[..., nn.Module]:
    module, _, name = path.rpartition(".")
    if module != "pyro.infer.autoguide.guides" or not hasattr(autoguide, name):
        raise StoryError(f"The guide {path} is none of Pyro's: pass guide=.")
    family: Callable[..., nn.Module] = getattr(autoguide, name)
    return family


def versions() -> dict[str, str]:
    """Of the packages that a fit depends on."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


def tensors_of(part: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a module, by names that begin with that of the part."""
    return {
        f"{part}.{name}": value.detach().cpu().contiguous().clone()
        for name, value in module.state_dict().items()
    }


def fill(module: nn.Module, part: str, tensors: dict[str, torch.Tensor]) -> None:
    """Set a module's state from what `tensors_of` made.

    Raises:
        StoryError: the tensors are not its own.
    """
    state = {
        name.removeprefix(f"{part}."): value
        for name, value in tensors.items()
        if name.startswith(f"{part}.")
    }
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StoryError(f"The {part} does not fit the saved tensors: {reason}") from error
