"""Reference pages from `__all__`, and links to them.

Every public module gets a page with its names, and every name a page with its docstring. A name
that several modules export has its page in the innermost one. The pages are written when a build
begins, so that a new name needs no edit here.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

PACKAGE = "nbam_pyro"
FOLDER = Path("reference") / "api"
logger = logging.getLogger(__name__)


# What is public


def names_of(module: ModuleType) -> list[str]:
    """What `__all__` lists; without one, what is defined in the module."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


@cache
def modules() -> dict[str, ModuleType]:
    """The package and every module that a public module lists, by full name."""

    def walk(module: ModuleType) -> Iterator[ModuleType]:
        yield module
        for name in names_of(module):
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                yield from walk(value)

    return {module.__name__: module for module in walk(importlib.import_module(PACKAGE))}


@cache
def homes() -> dict[int, str]:
    """By identity of a public object the full name under which it is described."""
    found: dict[int, str] = {}
    for module_name, module in modules().items():
        for name in names_of(module):
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                here = f"{module_name}.{name}"
                found[id(value)] = max(found.get(id(value), here), here, key=_depth)
    return found


def _depth(name: str) -> int:
    return name.count(".")


def home_of(value: Any) -> str | None:
    """Where an object is described, or None."""
    return value.__name__ if isinstance(value, ModuleType) else homes().get(id(value))


def described(text: str, module: str = PACKAGE) -> str | None:
    """The full name of what a code text such as `Fit.save` or `inference.fit(x)` means, or None.

    A single word in small letters, which may be an argument, means a function only in its own
    module and at the top level.
    """
    parts = re.sub(r"\(.*\)$", "", text).split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    word = len(parts) == 1 and parts[0].islower() and "_" not in parts[0]
    places = [module, PACKAGE] if word else [module, *modules()]
    if parts[0] == PACKAGE:
        parts, places = parts[1:], [PACKAGE]
    for place in places:
        value: Any = modules().get(place)
        home, rest = None, list(parts)
        while rest and value is not None and hasattr(value, rest[0]):
            value = getattr(value, rest[0])
            home = home_of(value) or (home and f"{home}.{rest[0]}")
            rest = rest[1:]
        if home and not rest and not (word and isinstance(value, ModuleType)):
            return home
    return None


# Their docstrings


def plain(line: str) -> str:
    """Stars of shapes (N, *dims), bars of absolute values and names such as fit_ are no markup."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    line = re.sub(r"^(\s*:\w+ \w+)_:", r"\1\_:", line)
    line = re.sub(r"(?<![\\*`\w])\*(?=\w+[),\]])", r"\\*", line)
    return line if "`" in line else re.sub(r"(?<!\\)\|(?=[^\s|])", r"\|", line)


def as_plain(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Correct a docstring before it is read."""
    lines[:] = map(plain, lines)


def foreign(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that another library has put into a class."""
    module = getattr(value, "__module__", None) or PACKAGE
    return True if what == "class" and not module.startswith(PACKAGE) else None


def _summary(value: Any) -> str:
    text = inspect.getdoc(value) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return plain(first.split(". ")[0].rstrip(".:") + ".")


# Their pages


def _directive(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, BaseException):
        return "autoexception"
    if inspect.isclass(value):
        return "autoclass"
    return "autofunction" if inspect.isroutine(value) else "autodata"


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _name_page(module: str, name: str, value: Any) -> str:
    directive = _directive(value)
    page = f":orphan:\n\n{_title(name)}In :py:mod:`{module}`.\n\n"  # a sidebar of all is too long
    page += f".. currentmodule:: {module}\n\n.. {directive}:: {name}\n"
    if directive == "autoclass":
        page += "   :members:\n   :show-inheritance:\n"
    return page


def page_names(module: str) -> dict[str, str]:
    """By name the page of everything that is described in a module.

    Names that differ only in capitals get different pages on every file system.
    """
    pages: dict[str, str] = {}
    for name in names_of(modules()[module]):
        if home_of(getattr(modules()[module], name)) == f"{module}.{name}":
            taken = {page.lower() for page in pages.values()}
            page = f"{module}.{name}"
            pages[name] = f"{page}-function" if page.lower() in taken else page
    return pages


def _module_page(module: str) -> str:
    value = modules()[module]
    page = _title(module) + f".. automodule:: {module}\n   :no-members:\n\n"
    inner: list[str] = []
    for name in names_of(value):
        one = getattr(value, name)
        home = home_of(one)
        if isinstance(one, ModuleType):
            page += f":py:mod:`{home}`\n   {_summary(one)}\n\n"
            inner.append(one.__name__)
        elif home is not None:
            page += f":py:obj:`{name} <{home}>`\n   {_summary_of(one)}\n\n"
    if inner:
        page += ".. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in inner)
    return page


def _summary_of(value: Any) -> str:
    """Only what has a docstring of its own says something; a constant shows its value."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return _summary(value)
    return f"``{value!r}``"


def write_pages(app: Sphinx) -> None:
    """Write what has changed, and remove the pages of names that are gone."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, str] = {}
    for module, value in modules().items():
        pages[module] = _module_page(module)
        for name, page in page_names(module).items():
            pages[page] = _name_page(module, name, getattr(value, name))
    for old in folder.glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    for page, text in pages.items():
        path = folder / f"{page}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


# Links to them


def _link(app: Sphinx, home: str, fromdoc: str, content: nodes.Node) -> nodes.Node | None:
    domain = app.env.domains["py"]
    while home and home not in domain.objects and home not in domain.modules:
        home = home.rpartition(".")[0]
    if not home:
        return None
    entry = domain.objects.get(home) or domain.modules[home]
    return make_refnode(app.builder, fromdoc, entry.docname, entry.node_id, content, home)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Node
) -> nodes.Node | None:
    """References to public objects under any of their names."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    home = described(target, node.get("py:module") or PACKAGE) or _by_import(target)
    if home:
        return _link(app, home, node["refdoc"], content)
    module = target.rpartition(".")[0]
    private = target.startswith(f"{PACKAGE}.") and module not in modules()
    return content if private else None


def _by_import(target: str) -> str | None:
    """Annotations name the module in which an object is defined."""
    module, _, name = target.rpartition(".")
    if not module.startswith(PACKAGE):
        return None
    try:
        return home_of(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError):
        return None


def link_code(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """The first mention of a public name in a page becomes a link."""
    page = docname.rpartition("/")[2]
    module = max((name for name in modules() if page.startswith(name)), key=len, default=PACKAGE)
    seen = {page.removesuffix("-function")}
    for node in list(doctree.findall(nodes.literal)):
        if _within(node, nodes.reference, nodes.title):
            continue
        text = node.astext()
        home = described(text, module)
        named = text.startswith(f"{PACKAGE}.") and text.replace(".", "").isidentifier()
        if home is None and named and docname != "changes":  # which names what there was
            logger.warning("%s is no public name", text, location=node, type="ref")
        if home is None or home in seen:
            continue
        seen.add(home)
        link = _link(app, home, docname, node.deepcopy())
        if link is not None:
            node.replace_self(link)


def _within(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Write pages before reading, link afterwards."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", foreign)
    app.connect("autodoc-process-docstring", as_plain)
    app.connect("missing-reference", resolve)
    app.connect("doctree-resolved", link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
