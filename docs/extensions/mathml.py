"""Formulas as MathML, which browsers show by themselves: no script, no font, no network."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def mathml(formula: str, display: str) -> str:
    """A formula in LaTeX as MathML, with the spaces that the converter leaves out."""
    made: str = convert(formula, display=display)
    made = made.replace("<mi>&#x0007E;</mi>", '<mo lspace="0.28em" rspace="0.28em">&#x0223C;</mo>')
    return re.sub(r"(<mi>(?:log|exp|max|min)</mi>)(?=<m[isn])", r'\1<mspace width="0.17em"/>', made)


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    formula = node.astext()
    # The converter leaves out line breaks: each line becomes a formula of its own.
    lines = [formula] if "\\begin" in formula else formula.split("\\\\")
    self.body.extend(mathml(line.strip(), "block") for line in lines if line.strip())
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer under the name "mathml"."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
