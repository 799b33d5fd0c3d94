"""Options that benchmarks share, and values that options may have."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import torch
import typer


class Names(tuple[str, ...]):
    """Names that are separated by commas on the command line."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Names") -> "Names":
        """Names from a text."""
        return Names(text.split(",")) if isinstance(text, str) else text

    @staticmethod
    def among(known: Iterable[str]) -> Callable[["str | Names"], "Names"]:
        """A parser that refuses names that are not known."""
        choices = list(known)

        def parse(text: "str | Names") -> "Names":
            names = Names.of(text)
            unknown = [name for name in names if name not in choices]
            if unknown:
                raise typer.BadParameter(
                    f"there is no {', '.join(map(repr, unknown))}; "
                    f"choose among {', '.join(choices)}"
                )
            return names

        return parse


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """A parser of one name that refuses names that are not known."""
    parse = Names.among(known)
    return lambda text: parse(Names([text]))[0]


class Shares(tuple[float, ...]):
    """Shares in [0, 1] that are separated by commas on the command line."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Shares") -> "Shares":
        """Shares from a text."""
        try:
            values = Shares(map(float, text.split(","))) if isinstance(text, str) else text
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} has a part that is not a number") from error
        if not all(0 <= value <= 1 for value in values):
            raise typer.BadParameter(f"{text} is not in [0, 1]")
        return values


def device_of(text: str | torch.device) -> torch.device:
    """A device that exists on this machine."""
    try:
        torch.empty(0, device=text)
    # Torch asserts that it was built for a device.
    except (RuntimeError, AssertionError) as error:
        raise typer.BadParameter(f"there is no device {text!r} on this machine") from error
    return torch.device(text)


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
FirstSeed = Annotated[int, typer.Option(min=0, help="First seed.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed.")]
Workers = Annotated[int, typer.Option(min=1, help="Number of processes.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs of one training run. The default depends on the method."),
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data.")]
Device = Annotated[
    torch.device | None,
    typer.Option(
        parser=device_of, metavar="DEVICE", help="Device to train on. Default: a GPU, if any."
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
    typer.Option(help="Parquet file of rows, made or added to. Without it rows are only printed."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Measure cases again that the file has already.")
]
