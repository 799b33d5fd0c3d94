"""Modules as JSON: the class, and the arguments its constructor was called with.

Arguments are read from attributes of the same name, as torch's own layers and scikit-learn's
estimators keep them. Classes of this library and of torch are written by their public names
("nbam_pyro.models.LabelFlip"), so that a saved file outlives every move of a file inside the
library. No code and no pickle is stored; whoever loads decides which other classes may be built.
A module that is used twice is described once and referred to after.
"""

import importlib
import inspect
import warnings
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import torch
from pydantic import Discriminator, Field, Tag
from torch import Tensor, nn
from typing_extensions import TypeAliasType

from nbam_pyro.errors import NBAMError, StoryError
from nbam_pyro.storage import Count, Label, Saved
from nbam_pyro.training.contexts import exclusive

__all__ = ["Module", "build", "describe"]

_PLAIN = (bool, int, float, str, type(None))
# What torch's layers take without keeping: where and in which precision they are made.
_FORGOTTEN = {"self", "device", "dtype"}
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# Packages whose public names may be written and built without being allowed.
_PUBLIC = ("nbam_pyro.models", "nbam_pyro.detection", "torch.nn")
# Classes here, and theirs, are no modules, but values that their arguments make.
_VALUES = {"nbam_pyro.models.FlipPrior", "nbam_pyro.detection.Assignment"}

# A module within a module counts every time it is reached: so often its state would be listed.
_PARTS = 50_000


class Same(Saved):
    """A module that was described before, by its number."""

    same: Count


class Module(Saved):
    """A module or a value: its class, and what its constructor was called with."""

    kind: Annotated[str, Field(alias="class", max_length=500)]
    arguments: "dict[str, Value]"
    number: Count | None = None


def _tag(value: Any) -> str:
    """What a value is, in a JSON text or after it was read."""
    match value:
        case Same():
            return "same"
        case Module():
            return "module"
        case dict():
            return "same" if "same" in value else "module"
        case list():
            return "list"
        case _:
            return "plain"


# A named type, as it refers to itself.
Value = TypeAliasType(
    "Value",
    Annotated[
        Annotated["list[Value]", Tag("list")]
        | Annotated[Same, Tag("same")]
        | Annotated[Module, Tag("module")]
        | Annotated[Label | None, Tag("plain")],
        Discriminator(_tag),
    ],
)
Module.model_rebuild()


def describe(module: Any) -> dict[str, Any]:
    """A module, and whatever its constructor took, as JSON.

    Args:
        module: of ours, of torch's layers, or of a class that keeps its arguments as attributes;
            or a prior, or an assignment.

    Raises:
        StoryError: a class does not keep an argument as an attribute of the same name, is nowhere
            to be imported from, or would be built otherwise.

    Example:
        >>> describe(nn.Dropout(0.5))["arguments"]
        {'p': 0.5, 'inplace': False}
    """
    description: dict[str, Any] = _Describer().value(module)
    again = _built(_Builder(None), description)
    if _structure(again) != _structure(module):
        raise StoryError(f"{_path(type(module))} is not what the arguments of its parts make it.")
    return description


def build(description: Mapping[str, Any], *, allow: Collection[str] = ()) -> Any:
    """What was described, with fresh weights.

    Args:
        description: from `describe`.
        allow: import paths, of classes or of packages, that may be imported and called besides
            ours and torch's layers.

    Raises:
        StoryError: a class is not allowed, cannot be imported, or does not take its arguments; or
            a module is used inside itself or more often than any network does.

    Example:
        >>> build(describe(nn.Linear(3, 2)))
        Linear(in_features=3, out_features=2, bias=True)
        >>> build({"class": "os.system", "arguments": {"command": "true"}})
        Traceback (most recent call last):
        nbam_pyro.errors.StoryError: The run needs os.system, which is neither ours nor torch's: ...
    """
    return _built(_Builder(allow), description)


def _built(builder: "_Builder", description: Any) -> Any:
    """What a builder makes of a description; torch's random state is left as it was."""
    with exclusive(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers, on arguments that they once took
        return builder.value(description)


class _Describer:
    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def value(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor) and value.numel() == 1:
            return value.item()
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, tuple | list):  # a `Beta` is one, too
            return [self.value(item) for item in value]
        if _is_value(type(value)):
            return {"class": _path(type(value)), "arguments": self._arguments(value)}
        raise StoryError(f"A {type(value).__name__} cannot be written as JSON.")

    def _module(self, module: nn.Module) -> dict[str, Any]:
        if id(module) in self.numbers:
            return {"same": self.numbers[id(module)]}
        arguments = self._arguments(module)
        number = self.numbers[id(module)] = len(self.numbers)
        return {"class": _path(type(module)), "arguments": arguments, "number": number}

    def _arguments(self, module: Any) -> dict[str, Any]:
        kind = type(module)
        if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
            raise StoryError(f"{_path(kind)} is nowhere to be imported from.")
        if kind is nn.Sequential or kind is nn.ModuleList:
            children = [self.value(child) for child in module._modules.values()]
            return {"*": children} if kind is nn.Sequential else {"modules": children}
        arguments = {}
        for name, parameter in inspect.signature(kind.__init__).parameters.items():
            # Any arguments (`*args`) leave no trace by name; that they do not matter is checked.
            if name in _FORGOTTEN or parameter.kind in _ANY:
                continue
            if not hasattr(module, name):
                raise StoryError(f"{_path(kind)} keeps no attribute {name!r} for its argument.")
            value = getattr(module, name)
            if isinstance(parameter.default, bool) and not isinstance(value, bool):
                value = value is not None  # a layer's `bias` is the parameter itself
            arguments[name] = self.value(value)
        return arguments


class _Builder:
    """Builds modules; with `allow` None, whatever was just described from modules at hand."""

    def __init__(self, allow: Collection[str] | None) -> None:
        self.allow = allow
        self.made: dict[int, tuple[Any, int]] = {}
        self.parts = 0

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self.value(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "same" in value:
            return self._again(value["same"])
        before = self.parts
        kind, arguments = self._find(value["class"]), value["arguments"]
        positional = self.value(arguments.get("*", []))
        if not isinstance(positional, tuple):
            raise StoryError(f"The description of {_path(kind)} lists no parts: it is damaged.")
        named = {name: self.value(item) for name, item in arguments.items() if name != "*"}
        try:
            made = kind(*positional, **named)
        except NBAMError:
            raise
        except Exception as error:  # layers raise whatever their arguments lead to
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise StoryError(f"{_path(kind)} cannot be built again ({reason}).") from error
        self._count(1)
        if value.get("number") is not None:
            self.made[value["number"]] = made, self.parts - before
        return made

    def _again(self, number: int) -> Any:
        if number not in self.made:
            raise StoryError(f"The description uses module {number} before it is described.")
        made, parts = self.made[number]
        self._count(parts)
        return made

    def _count(self, parts: int) -> None:
        self.parts += parts
        if self.parts > _PARTS:
            raise StoryError(f"The description has more than {_PARTS} parts: it is damaged.")

    def _find(self, path: str) -> type:
        module, _, name = path.rpartition(".")
        if not (module in _PUBLIC or self._allowed(path)):
            raise StoryError(
                f"The run needs {path}, which is neither ours nor torch's: load it with "
                f"allow=[{path!r}] if you trust it."
            )
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise StoryError(f"{path} cannot be imported: {error}.") from error
        if not (isinstance(found, type) and (issubclass(found, nn.Module) or _is_value(found))):
            raise StoryError(f"{path} is no module; no run folder of this library names it.")
        if module in _PUBLIC and _path(found) != path:
            raise StoryError(f"{path} is not public; no run folder of this library names it.")
        return found

    def _allowed(self, path: str) -> bool:
        if self.allow is None:
            return True
        return any(path == prefix or path.startswith(f"{prefix}.") for prefix in self.allow)


def _is_value(kind: type) -> bool:
    return any(_path(base) in _VALUES for base in kind.__mro__)


def _path(kind: type) -> str:
    """The public name of a class of ours or of torch; where there is none, its import path."""
    name = kind.__qualname__
    for package in _PUBLIC:
        inside = kind.__module__.startswith(f"{package.partition('.')[0]}.")
        if inside and getattr(importlib.import_module(package), name, None) is kind:
            return f"{package}.{name}"
    return f"{kind.__module__}.{name}"


def _structure(made: Any) -> tuple[str, dict[str, tuple[int, ...]]]:
    state = made.state_dict() if isinstance(made, nn.Module) else {}
    return repr(made), {name: tuple(value.shape) for name, value in state.items()}
