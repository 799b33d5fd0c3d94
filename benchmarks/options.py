"""Options of the command line that several benchmarks share, and their parsers."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import torch
import typer

from nbam_pyro.errors import DataError


class Names(tuple[str, ...]):
    """Names from the command line, where commas separate them."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Names") -> "Names":
        """Split a text at its commas."""
        return Names(text.split(",")) if isinstance(text, str) else text

    @staticmethod
    def among(known: Iterable[str]) -> Callable[["str | Names"], "Names"]:
        """Return a parser that rejects unknown names."""
        choices = list(known)

        def parse(text: "str | Names") -> "Names":
            names = Names.of(text)
            unknown = [name for name in names if name not in choices]
            if unknown:
                raise typer.BadParameter(
                    f"unknown: {', '.join(map(repr, unknown))}; choose from {', '.join(choices)}"
                )
            return names

        return parse


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """Return a parser of a single name that rejects unknown names."""
    parse = Names.among(known)
    return lambda text: parse(Names([text]))[0]


class Shares(tuple[float, ...]):
    """Shares in [0, 1] from the command line, where commas separate them."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Shares") -> "Shares":
        """Split a text at its commas and convert the parts to numbers in [0, 1]."""
        try:
            values = Shares(map(float, text.split(","))) if isinstance(text, str) else text
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} contains a part that is not a number") from error
        if not all(0 <= value <= 1 for value in values):
            raise typer.BadParameter(f"{text} contains a number outside [0, 1]")
        return values


def device_of(text: str | torch.device) -> torch.device:
    """Return the device of a name. Raise an error if this machine does not have it."""
    try:
        torch.empty(0, device=text)
    # Torch raises AssertionError if it was built without support for the device.
    except (RuntimeError, AssertionError) as error:
        raise typer.BadParameter(f"this machine has no device {text!r}") from error
    return torch.device(text)


def best_device() -> torch.device:
    """Return the GPU if this machine has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def given(data_root: Path | None) -> Path:
    """Return the folder of the data. Raise a `DataError` that names the option if it is missing."""
    if data_root is None:
        raise DataError("The option --data-root is missing. Give the folder of the data files.")
    return data_root


Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
FirstSeed = Annotated[
    int, typer.Option(min=0, help="First seed. The others follow in steps of one.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
Workers = Annotated[int, typer.Option(min=1, help="Number of parallel processes.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs of one training run. The default depends on the method."),
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder that contains the data files.")]
FeatureFile = Annotated[
    Path | None,
    typer.Option(
        help="File .npz of features: X_train, y_train, optionally X_test, y_test, labels_NAME for "
        "labels that people gave, and flips for asymmetric noise."
    ),
]
TrainingRows = Annotated[
    int | None, typer.Option(min=100, help="Number of training rows. Default: all.")
]
Device = Annotated[
    torch.device | None,
    typer.Option(
        parser=device_of, metavar="DEVICE", help="Device to train on. Default: GPU if available."
    ),
]
Rates = Annotated[
    Shares,
    typer.Option(
        parser=Shares.of, metavar="RATE,...", help="Contamination rates, separated by commas."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Parquet file to create or extend. Without it, rows are only printed."),
]
Json = Annotated[
    Path | None,
    typer.Option(help="JSON file to write: a list with one flat object per case."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Measure cases again that the file already contains.")
]
