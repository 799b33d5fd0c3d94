"""Descriptions of modules as JSON: the class, and the arguments of its constructor.

Arguments are read from attributes of the same name. Layers of torch and estimators of scikit-learn
keep their arguments in this way. Classes of this library and of torch are written by their public
names, such as "nbam_pyro.models.LabelFlip", so saved files stay readable when files inside the
library move. No code and no pickle is stored. Other classes are created only if the person who
loads a file allows them. A module that is used twice is described once. The second use refers to
the index of the description.
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
from nbam_pyro.storage.public_names import PUBLIC_PACKAGES, is_value, public_path
from nbam_pyro.training.contexts import exclusive

__all__ = ["Module", "build", "describe"]

_PLAIN = (bool, int, float, str, type(None))
# Arguments that torch's layers do not keep as attributes; saved tensors have their own precision.
_FORGOTTEN = {"self", "device", "dtype"}
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# Limit of modules in a description. A module that is used again counts again, with its parts.
_PARTS = 50_000


class Same(Saved):
    """A reference to a module that was described before, by its number."""

    same: Count


class Module(Saved):
    """A module or a value: its class, and the arguments of its constructor."""

    kind: Annotated[str, Field(alias="class", max_length=500)]
    arguments: "dict[str, Value]"
    number: Count | None = None


def _tag(value: Any) -> str:
    """Return the kind of a value, in a JSON text or after it was read."""
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


# The type needs a name, because it refers to itself.
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
    """Describe a module, and the arguments of its constructor, as JSON.

    Args:
        module: Module of this library, layer of torch, or module of a class that keeps its
            arguments as attributes; or a prior, or an assignment of a detector.

    Raises:
        StoryError: A class does not keep an argument as an attribute of the same name, cannot be
            imported, or becomes a different module when it is built again from its arguments.

    Example:
        >>> describe(nn.Dropout(0.5))["arguments"]
        {'p': 0.5, 'inplace': False}
    """
    description: dict[str, Any] = _Describer().value(module)
    again = _built(_Builder(None), description)
    if _structure(again) != _structure(module):
        raise StoryError(
            f"A {public_path(type(module))} that is built again from its arguments is not the same "
            "module, so it cannot be described. Change its layers inside its constructor only."
        )
    return description


def build(description: Mapping[str, Any], *, allow: Collection[str] = ()) -> Any:
    """Build a module from its description, with fresh weights.

    Args:
        description: Description from `describe`.
        allow: Import paths of classes or packages that may be imported and called, beside the
            classes of this library and the layers of torch.

    Raises:
        StoryError: A class is not allowed, cannot be imported, or does not take its arguments, a
            module is used inside itself, or the description has too many modules.

    Example:
        >>> build(describe(nn.Linear(3, 2)))
        Linear(in_features=3, out_features=2, bias=True)
        >>> build({"class": "os.system", "arguments": {"command": "true"}})
        Traceback (most recent call last):
        nbam_pyro.errors.StoryError: The run needs 'os.system', which is neither a class of this ...
    """
    return _built(_Builder(allow), description)


def _built(builder: "_Builder", description: Any) -> Any:
    """Build what is described. Torch's global random state is restored."""
    with exclusive(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # layers may warn about arguments of earlier versions
        return builder.value(description)


class _Describer:
    """Describes modules, and gives each module an index for later references."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def value(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor) and value.numel() == 1:
            return value.item()
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, tuple | list):  # a `Beta` is a tuple, too
            return [self.value(item) for item in value]
        if is_value(type(value)):
            return {"class": public_path(type(value)), "arguments": self._arguments(value)}
        raise StoryError(
            f"A {type(value).__name__} cannot be written as JSON. Use numbers, texts, lists or "
            "modules as arguments of modules."
        )

    def _module(self, module: nn.Module) -> dict[str, Any]:
        if id(module) in self.numbers:
            return {"same": self.numbers[id(module)]}
        arguments = self._arguments(module)
        number = self.numbers[id(module)] = len(self.numbers)
        return {"class": public_path(type(module)), "arguments": arguments, "number": number}

    def _arguments(self, module: Any) -> dict[str, Any]:
        kind = type(module)
        if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
            raise StoryError(
                f"{public_path(kind)} cannot be imported. Define the class in a module, not in a "
                "function or in a script."
            )
        if kind is nn.Sequential or kind is nn.ModuleList:
            children = [self.value(child) for child in module._modules.values()]
            return {"*": children} if kind is nn.Sequential else {"modules": children}
        arguments = {}
        for name, parameter in inspect.signature(kind.__init__).parameters.items():
            # `*args` and `**kwargs` are not kept by name. `describe` checks that nothing is lost.
            if name in _FORGOTTEN or parameter.kind in _ANY:
                continue
            if not hasattr(module, name):
                raise StoryError(
                    f"{public_path(kind)} keeps no attribute {name!r} for its argument of this "
                    f"name. Assign self.{name} in its constructor."
                )
            value = getattr(module, name)
            if isinstance(parameter.default, bool) and not isinstance(value, bool):
                value = value is not None  # the attribute `bias` of a layer is a parameter
            arguments[name] = self.value(value)
        return arguments


class _Builder:
    """Builds modules from descriptions.

    Args:
        allow: Import paths that may be imported; None allows all, which is only for descriptions
            that this process has made.
    """

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
            raise StoryError(
                f"The saved description of {public_path(kind)} is damaged: it has no list of "
                "parts. Restore its file or fit again."
            )
        named = {name: self.value(item) for name, item in arguments.items() if name != "*"}
        try:
            made = kind(*positional, **named)
        except NBAMError:
            raise
        except Exception as error:  # constructors may raise any error
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise StoryError(
                f"{public_path(kind)} cannot be built again from its saved arguments ({reason})."
            ) from error
        self._count(1)
        if value.get("number") is not None:
            self.made[value["number"]] = made, self.parts - before
        return made

    def _again(self, number: int) -> Any:
        if number not in self.made:
            raise StoryError(
                f"The saved description is damaged: it uses module {number} before it is "
                "described. Restore the file or fit again."
            )
        made, parts = self.made[number]
        self._count(parts)
        return made

    def _count(self, parts: int) -> None:
        self.parts += parts
        if self.parts > _PARTS:
            raise StoryError(
                f"The saved description is damaged: it has more than {_PARTS} parts. Restore its "
                "file or fit again."
            )

    def _find(self, path: str) -> type:
        module, _, name = path.rpartition(".")
        if not (module in PUBLIC_PACKAGES or self._allowed(path)):
            raise StoryError(
                f"The run needs {path!r}, which is neither a class of this library nor a layer of "
                f"torch. Load it with allow=[{path!r}] if you trust it."
            )
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise StoryError(
                f"{path!r} cannot be imported ({error}). Install its package, or fit again."
            ) from error
        if not (isinstance(found, type) and (issubclass(found, nn.Module) or is_value(found))):
            raise StoryError(
                f"{path!r} is not a class of modules, so the saved description is damaged. Restore "
                "its file or fit again."
            )
        if module in PUBLIC_PACKAGES and public_path(found) != path:
            raise StoryError(
                f"{path!r} is not a public name, so the saved description is damaged. Restore its "
                "file or fit again."
            )
        return found

    def _allowed(self, path: str) -> bool:
        if self.allow is None:
            return True
        return any(path == prefix or path.startswith(f"{prefix}.") for prefix in self.allow)


def _structure(made: Any) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Return the text form of a module and the shapes of its tensors."""
    state = made.state_dict() if isinstance(made, nn.Module) else {}
    return repr(made), {name: tuple(value.shape) for name, value in state.items()}
