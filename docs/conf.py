"""How the documentation is built: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

import hashlib
import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "extensions")]

# Pages are executed by kernels of their own: with this library, on one core, without a screen.
os.environ["PYTHONPATH"] = str(ROOT)
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # progress bars without ipywidgets
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

project = "nbam_pyro"
author = "the authors of nbam_pyro"
release = version = installed("nbam-pyro")
html_title = "nbam_pyro"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "public_names",
    "command_line",
    "mathml",
]
exclude_patterns = ["_build", "_cache", "extensions"]

# Pages in Markdown, and notebooks, whose cells are executed unless library and cells are as before.
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
library = hashlib.sha256()
for path in sorted((ROOT / "nbam_pyro").rglob("*.py")):
    library.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_cache" / library.hexdigest()[:16])
nb_execution_timeout = 600  # seconds for a cell
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is fetched from elsewhere
nb_render_image_options = {"align": "center"}

# Docstrings: Google's sections, single backticks for code.
default_role = "literal"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Source"]
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!nbam_pyro).*")]  # names of other libraries

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
