"""`Journal`: finished training runs of a job, which are not trained again if it is repeated."""

import hashlib
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nbam_pyro.errors import FolderError, StoryError

if TYPE_CHECKING:
    from lightning.pytorch import Callback

__all__ = ["Entry", "Journal", "random_state", "set_random_state", "write_whole"]

_WHOLE = "whole.pt"
_BEGUN = "begun.json"
_PLAIN = (bool, int, float, str)


@dataclass
class Journal:
    """The training runs of a job in the order in which they begin, in a folder.

    A job that is interrupted and repeated makes the same training runs in the same order. Those
    that the folder has as finished are not trained again: their parameters, their records and the
    state of the random generators after them are read. A run that was interrupted continues after
    its last finished epoch. The repeated job therefore ends as it would have without the
    interruption.

    Args:
        folder: Folder of the training runs; None to keep nothing.
    """

    folder: Path | None = None
    _count: int = field(default=0, init=False)

    @classmethod
    def of(
        cls, folder: str | Path | None, job: Sequence[Any], trainer: Mapping[str, Any] | None
    ) -> "Journal":
        """Return the journal of a job in a folder of several jobs.

        Args:
            folder: Folder of all jobs; None to keep nothing.
            job: Everything that the numbers of this job depend on, in any structures that pickle
                can write. Versions and the number of threads are added.
            trainer: Arguments of `lightning.pytorch.Trainer`. Numbers and texts are a part of the
                job; others, such as callbacks, are not.

        Raises:
            StoryError: A part of the job has no contents that could be compared, such as a lambda.
        """
        if folder is None:
            return cls()
        versions = [version(name) for name in ("nbam-pyro", "torch", "pyro-ppl", "lightning")]
        plain = [pair for pair in (trainer or {}).items() if isinstance(pair[1], _PLAIN)]
        try:
            name = _hash([job, plain, versions, torch.get_num_threads()])
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise StoryError(
                "The progress of a fit can be kept only if its story and its steps can be pickled, "
                f"so that it is recognised ({error}). Define functions and classes at the top of a "
                "module, or leave out progress_folder."
            ) from error
        return cls(Path(folder) / name)

    def child(self) -> "Journal":
        """Return the journal of a part of the job that may run in another process."""
        return Journal(None if self.folder is None else self._next(self.folder))

    def entry(self, label: str, *, epochs: int, rows: int) -> "Entry | None":
        """Return the entry of the training run that begins; None if nothing is kept.

        Args:
            label: Name of the training run.
            epochs: Largest number of its epochs.
            rows: Number of rows it trains on.

        Raises:
            FolderError: The folder has another training run at this place.
        """
        if self.folder is None:
            return None
        entry = Entry(self._next(self.folder))
        entry.begin({"label": label, "epochs": epochs, "rows": rows})
        return entry

    def _next(self, folder: Path) -> Path:
        """Return the path of the next training run or part of the job."""
        self._count += 1
        return folder / f"{self._count:04d}"


@dataclass(frozen=True)
class Entry:
    """One training run of a journal.

    Attributes:
        folder: Folder of the training run.
    """

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Folder for Lightning's checkpoints of the training run."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """Path of the checkpoint of the last finished epoch, which may not exist yet."""
        return self.checkpoints / "last.ckpt"

    def begin(self, description: dict[str, Any]) -> None:
        """Note what the training run is, or check that it is the one that was interrupted.

        Args:
            description: What tells this training run from others.

        Raises:
            FolderError: The folder has another training run.
        """
        if not self.last.exists():
            shutil.rmtree(self.checkpoints, ignore_errors=True)
        path = self.folder / _BEGUN
        try:
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, lambda draft: draft.write_text(json.dumps(description)))
            same = json.loads(path.read_text()) == description
        except OSError as error:
            raise FolderError(
                f"'{path}' cannot be written or read ({error.strerror}). Choose another folder for "
                "the progress."
            ) from error
        if not same:
            raise FolderError(
                f"'{self.folder}' has another training run than the job that continues. Remove "
                f"'{self.folder.parent}'."
            )

    def read(self, module: nn.Module, callbacks: Sequence["Callback"]) -> dict[str, Any] | None:
        """Set modules, callbacks and random generators to those of the finished training run.

        Args:
            module: Module that would be trained.
            callbacks: Callbacks of the training run.

        Returns:
            What `finish` was given; None if the training run has not finished.
        """
        path = self.folder / _WHOLE
        if not path.exists():
            return None
        state = torch.load(path, weights_only=True)
        module.load_state_dict(state["module"])
        for callback, own in zip(callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(own)
        set_random_state(state["random"])
        further: dict[str, Any] = state["further"]
        return further

    def finish(
        self, module: nn.Module, callbacks: Sequence["Callback"], further: dict[str, Any]
    ) -> None:
        """Write that the training run has finished, and remove its checkpoints.

        Args:
            module: Module that was trained.
            callbacks: Callbacks of the training run.
            further: What the training run returns: numbers and texts, in lists and dictionaries.
        """
        state = {
            "module": module.state_dict(),
            "callbacks": [callback.state_dict() for callback in callbacks],
            "random": random_state(),
            "further": further,
        }
        write_whole(self.folder / _WHOLE, lambda draft: torch.save(state, draft))
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def random_state() -> dict[str, Any]:
    """Return the state of torch's default generators of the CPU and of all GPUs."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def set_random_state(state: dict[str, Any]) -> None:
    """Set torch's default generators to a state that `random_state` returned.

    Args:
        state: State of the generators.
    """
    torch.set_rng_state(state["cpu"])
    torch.cuda.set_rng_state_all(state["cuda"])


class _Hasher(pickle.Pickler):
    """A pickler for which tensors with the same contents are equal, wherever they are stored."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        numbers = obj.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        described = type(obj).__name__, str(obj.dtype), tuple(obj.shape), obj.requires_grad
        return tuple, ((*described, numbers.tobytes()),)


def _hash(job: Any) -> str:
    """Return hexadecimal digits that are the same for jobs with the same contents."""
    written = io.BytesIO()
    _Hasher(written).dump(job)
    return hashlib.sha256(written.getbuffer()).hexdigest()[:32]


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name and move it to its place once it is on the disk.

    Args:
        path: Place of the file.
        write: Function that writes the file to the path that it is given.
    """
    draft = path.with_suffix(".draft")
    write(draft)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(path)
