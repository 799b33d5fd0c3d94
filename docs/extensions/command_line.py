"""The directive `nbam-commands`: every command of `nbam` with its arguments, from the code."""

import io
from contextlib import redirect_stdout
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from nbam_pyro.cli import app as commands


def _usage(name: str, command: Any) -> str:
    with redirect_stdout(io.StringIO()):  # typer prints what it is asked for
        context = command.make_context(f"nbam {name}", [], resilient_parsing=True)
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    return usage.replace("{", "").replace("}", "")


def _parameter(parameter: Any) -> nodes.definition_list_item:
    argument = parameter.param_type_name == "argument"
    name = parameter.make_metavar_name() if hasattr(parameter, "make_metavar_name") else None
    name = name or (parameter.metavar if argument and parameter.metavar else None)
    text = name or (parameter.name.upper() if argument else ", ".join(parameter.opts))
    sentence = parameter.help or ""
    default = parameter.default
    if not argument and default not in (None, False, ()) and not callable(default):
        sentence += f" Default: {default}."
    return nodes.definition_list_item(
        "",
        nodes.term("", "", nodes.literal(text, text)),
        nodes.definition("", nodes.paragraph(sentence, sentence)),
    )


class Commands(SphinxDirective):
    """One section for every command: what it does, its usage, its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of `nbam --help`."""
        sections: list[nodes.Node] = []
        for name, command in get_command(commands).commands.items():
            title = f"nbam {name}"
            section = nodes.section(ids=[nodes.make_id(title)], names=[title])
            section += nodes.title(title, title)
            section += self.parse_text_to_nodes(StringList((command.help or "").splitlines()))
            section += nodes.literal_block(usage := _usage(name, command), usage, language="text")
            section += nodes.definition_list("", *map(_parameter, command.params))
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("nbam-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
