"""Public names and signatures are those of `api.json`, so that no change of them goes unseen.

After a change that is meant, renew the file and commit it:

    python -m tests.test_api
"""

import difflib
import importlib
import inspect
import json
import re
from pathlib import Path
from types import FunctionType, ModuleType

import nbam_pyro

FILE = Path(__file__).with_name("api.json")
MODULES = (
    "nbam_pyro",
    "nbam_pyro.data",
    "nbam_pyro.decisions",
    "nbam_pyro.detection",
    "nbam_pyro.detection.attacks",
    "nbam_pyro.detection.representations",
    "nbam_pyro.detection.sculpting",
    "nbam_pyro.errors",
    "nbam_pyro.estimators",
    "nbam_pyro.exchange",
    "nbam_pyro.functional",
    "nbam_pyro.inference",
    "nbam_pyro.losses",
    "nbam_pyro.models",
    "nbam_pyro.outputs",
    "nbam_pyro.pages",
    "nbam_pyro.plots",
    "nbam_pyro.testing",
)
# Methods that scikit-learn adds, other ones in each version.
_OF_SKLEARN = re.compile(r"set_\w+_request")

Described = str | dict[str, str]


def public_api() -> dict[str, dict[str, Described]]:
    """Every public name of every public module, with its signature.

    A class or function is described in one module, the last that has it; others refer to it.
    """
    modules = {name: importlib.import_module(name) for name in MODULES}
    homes = {
        id(value): f"{name}.{public}"
        for name, module in modules.items()
        for public in _names(module)
        if isinstance(value := getattr(module, public), type | FunctionType)
    }
    return {
        name: {
            public: home
            if (home := homes.get(id(value := getattr(module, public)), here)) != here
            else _described(value, homes)
            for public in _names(module)
            for here in [f"{name}.{public}"]
        }
        for name, module in modules.items()
    }


def _names(module: ModuleType) -> list[str]:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(getattr(module, "__all__", own))


def _described(value: object, homes: dict[int, str]) -> Described:
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, type):
        return _class(value, homes)
    if isinstance(value, FunctionType):
        return _signature(value)
    return f"value of type {type(value).__name__}"


def _class(kind: type, homes: dict[int, str]) -> dict[str, str]:
    """Bases, constructor and public members; those of a public base are described there."""
    bases = ", ".join(base.__name__ for base in kind.__bases__)
    found = {"class": f"{kind.__name__}({bases})"}
    for base in reversed(kind.__mro__):
        ours = base.__module__.startswith("nbam_pyro")
        if not ours or (base is not kind and id(base) in homes):
            continue
        for name, value in {**vars(base), **_annotations(base)}.items():
            if name == "__init__" and getattr(value, "__module__", None) != "typing":
                found[name] = _signature(value)
            elif not name.startswith("_") and not _OF_SKLEARN.fullmatch(name):
                found[name] = _member(value)
    return dict(sorted(found.items()))


def _annotations(kind: type) -> dict[str, "_Attribute"]:
    return {name: _Attribute(hint) for name, hint in inspect.get_annotations(kind).items()}


class _Attribute:
    def __init__(self, hint: object) -> None:
        self.hint = hint


def _member(value: object) -> str:
    match value:
        case _Attribute():
            return f"attribute: {_hint(value.hint)}"
        case property():
            return f"property{_returns(value.fget)}"
        case classmethod() | staticmethod():
            return f"{type(value).__name__}{_signature(value.__func__)}"
        case FunctionType():
            return _signature(value)
        case _:
            return "attribute"


def _returns(getter: object) -> str:
    hint = inspect.get_annotations(getter).get("return", inspect.Parameter.empty)
    return "" if hint is inspect.Parameter.empty else f" -> {_hint(hint)}"


def _signature(function: FunctionType) -> str:
    """A signature with annotations and defaults in a form that no Python version changes."""
    signature = inspect.signature(function)
    parts, star = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            star = True
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        parts.append(_parameter(parameter))
    returned = signature.return_annotation
    arrow = "" if returned is signature.empty else f" -> {_hint(returned)}"
    return f"({', '.join(parts)}){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_hint(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def _default(value: object) -> str:
    if isinstance(value, type | FunctionType):
        return value.__name__
    if value is nbam_pyro.NOTHING:
        return "NOTHING"
    if "DEFAULT_FACTORY" in type(value).__name__:
        return "..."  # made anew for each instance of a dataclass
    return (
        repr(value) if isinstance(value, str | int | float | tuple | None) else type(value).__name__
    )


def _hint(hint: object) -> str:
    """An annotation by its short names: where a class is defined is no part of the interface."""
    if isinstance(hint, str):
        return hint
    return re.sub(r"(?:\b[A-Za-z_]\w*\.)+", "", inspect.formatannotation(hint))


def as_json() -> str:
    """The text of `api.json`."""
    return json.dumps(public_api(), indent=1) + "\n"


def test_the_public_api_is_the_one_written_down():
    before, now = FILE.read_text().splitlines(), as_json().splitlines()
    changes = [
        line
        for line in difflib.unified_diff(before, now, "api.json", "code", lineterm="", n=1)
        if not line.startswith("@@")
    ]
    assert not changes, (
        "Public names or signatures have changed. If that is meant, run `python -m tests.test_api`,"
        " commit tests/api.json, and say in CHANGELOG.md what changes for users.\n"
        + "\n".join(changes)
    )


def test_every_public_function_and_class_has_a_docstring():
    for name in MODULES:
        module = importlib.import_module(name)
        for public in public_api()[name]:
            value = getattr(module, public)
            if isinstance(value, type | FunctionType):
                assert (value.__doc__ or "").strip(), f"{name}.{public} has no docstring."


if __name__ == "__main__":
    FILE.write_text(as_json())
    print(f"Wrote {FILE}.")
