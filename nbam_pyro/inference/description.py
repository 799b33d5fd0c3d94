"""Modules as JSON: the class, and the arguments its constructor was called with.

Arguments are read from attributes of the same name, as torch's own layers and scikit-learn's
estimators keep them. No code and no pickle is stored; which classes may be built again is decided
by whoever loads.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.priors import FlipPrior

__all__ = ["build", "describe"]

_PLAIN = (bool, int, float, str, type(None))
# What torch's layers take without keeping: where and in which precision they are made.
_FORGOTTEN = {"device", "dtype"}
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OURS = ("nbam_pyro.models.", "torch.nn.modules.")


def describe(value: Any) -> Any:
    """A module, and whatever its constructor took, as JSON.

    Args:
        value: a module, a prior, or a plain value.

    Raises:
        StoryError: the class does not keep an argument as an attribute of the same name, or is
            nowhere to be imported from, or would be built otherwise.

    Example:
        >>> describe(nn.Dropout(0.5))["arguments"]
        {'p': 0.5, 'inplace': False}
    """
    if isinstance(value, nn.Module):
        described = {"class": _path(type(value)), "arguments": _arguments(value)}
        if _shapes(_construct(type(value), described["arguments"], None)) != _shapes(value):
            raise StoryError(f"{_path(type(value))} is not what its arguments make it.")
        return described
    if isinstance(value, FlipPrior):
        return {"class": _path(FlipPrior), "arguments": describe(dataclasses.asdict(value))}
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    raise StoryError(f"A {type(value).__name__} cannot be written as JSON.")


def build(description: Any, *, allow: Collection[str] = ()) -> Any:
    """What was described, with fresh weights.

    Args:
        description: from `describe`.
        allow: import paths, of classes or of packages, that may be imported and called besides
            ours and torch's layers.

    Raises:
        StoryError: a class is not allowed, cannot be imported, or does not take its arguments.

    Example:
        >>> build(describe(nn.Linear(3, 2)))
        Linear(in_features=3, out_features=2, bias=True)
        >>> build({"class": "os.system", "arguments": {"command": "true"}})
        Traceback (most recent call last):
        nbam_pyro.errors.StoryError: The run needs os.system, which is neither ours nor torch's: ...
    """
    if isinstance(description, list):
        return tuple(build(item, allow=allow) for item in description)
    if not isinstance(description, dict):
        return description
    if description.keys() != {"class", "arguments"}:
        return {key: build(item, allow=allow) for key, item in description.items()}
    return _construct(
        _find(description["class"], allow), description["arguments"], frozenset(allow)
    )


def _construct(kind: type, arguments: Mapping[str, Any], allow: Collection[str] | None) -> Any:
    # While describing, classes are those of the modules at hand, so any may be called.
    def made(item: Any) -> Any:
        return build(item, allow=("",) if allow is None else allow)

    positional = [made(item) for item in arguments.get("*", [])]
    named = {name: made(item) for name, item in arguments.items() if name != "*"}
    try:
        return kind(*positional, **named)
    except (TypeError, ValueError) as error:
        raise StoryError(f"{_path(kind)} cannot be built again: {error}.") from error


def _find(path: str, allow: Collection[str]) -> type:
    allowed = path.startswith(_OURS) or path == _path(FlipPrior)
    if not allowed and not any(path == p or path.startswith(f"{p}.") or not p for p in allow):
        raise StoryError(
            f"The run needs {path}, which is neither ours nor torch's: load it with "
            f"allow=[{path!r}] if you trust it, or pass story=."
        )
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise StoryError(f"{path} cannot be imported: {error}; pass story= instead.") from error
    if not isinstance(found, type) or not issubclass(found, nn.Module | FlipPrior):
        raise StoryError(f"{path} is no module; the run folder was not written by this library.")
    return found


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _arguments(module: nn.Module) -> dict[str, Any]:
    kind = type(module)
    if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
        raise StoryError(f"{_path(kind)} is nowhere to be imported from.")
    if isinstance(module, nn.Sequential | nn.ModuleList):
        children = [describe(child) for child in module]
        return {"*": children} if isinstance(module, nn.Sequential) else {"modules": children}
    arguments = {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        # Any arguments (`*args`) leave no trace by name; that they do not matter is checked.
        if name == "self" or name in _FORGOTTEN or parameter.kind in _ANY:
            continue
        if not hasattr(module, name):
            raise StoryError(f"{_path(kind)} does not keep its argument {name!r} as an attribute.")
        value = getattr(module, name)
        if isinstance(parameter.default, bool) and not isinstance(value, bool):
            value = value is not None  # a layer's `bias` is the parameter itself
        arguments[name] = describe(value)
    return arguments


def _shapes(module: nn.Module) -> tuple[str, dict[str, tuple[int, ...]]]:
    state = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    return repr(module), state
