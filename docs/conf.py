"""How Sphinx builds the site; `make docs` runs it.

The source folder is the repository's root, so that links between pages, notebooks and the model card are the same here,
on GitHub and on a disk.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import GoogleDocstring
from torch import Tensor

import dia.generation
import dia2.generation

ROOT = Path(__file__).parents[1]

for results in (dia.generation, dia2.generation):
    results.Tensor = Tensor  # type checkers alone import it there; signatures on the site name their types

project = "dia2"
version = release = dia2.__version__
html_title = "dia2"
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/*.ipynb", "notebooks/*.ipynb", "dia2/runtime/nano/README.md"]
include_patterns += ["CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "build", "dist", "tests", "training", "**/.ipynb_checkpoints"]  # walked through otherwise
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Pages
nb_execution_mode = "off"  # notebooks are saved with what they print
nb_merge_streams = True
myst_heading_anchors = 4  # as GitHub makes them
nitpicky = True

# The Python API
default_role = "code"  # docstrings mark code by single backticks
autodoc_member_order = "bysource"
autoclass_content = "both"  # what a constructor takes stands in its own docstring
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # a default as it is written
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|np|numpy|pathlib|collections|argparse|abc|matplotlib|msgspec|pa|Path|Any|Tensor|Figure)\b.*"),
    (r"py:.*", r"contextlib\..*"),
    # types of fields that are for looking at; their own docstrings say what they hold
    (
        r"py:.*",
        r"(.*\.)?(\w+Facts|\w*Manifest|Caches|F|SpokenWord|RuntimeContext|Row|Kind|Level|Progress|ProgressCallback)",
    ),
    (r"py:.*", r"(.*\.)?(Source|Rotation|CaptureBuffers|TraceSink|Between|Voice|Word|WordList)"),  # of the inside
    (r"py:.*", r"(.*\.)?(Assets|Batch|Stopping|Rows|Gave|Over|Failed|Stopped|SpeltPath|RecordBlock|Value)"),  # likewise
    (
        r"py:.*",
        r"(.*\.)?(Explorer|LiveExplorer|SweepExplorer|Lab)",
    ),  # widgets: their libraries are not installed here
]

# The look
html_theme = "furo"
html_extra_path = ["extra"]  # a page at the root that leads to docs/
html_static_path = ["style"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
pygments_style, pygments_dark_style = "default", "github-dark"

# Links to elsewhere: make docs LINKS=1
linkcheck_timeout = 20
linkcheck_retries = 2

SHARED = {*dia.__all__} & {*dia2.__all__}

DEMO = """```{raw} html
<p><a class="demo" href="run.html">Open the explorer of a run in this browser</a></p>
```"""


def put_demo(app: Any, page: str, source: list[str]) -> None:
    """Show a link to the run that `make docs` records, which is on the site only."""
    source[0] = source[0].replace("<!-- the site shows a run here -->", DEMO)


def tell_packages_apart(app: Any, tree: nodes.document) -> None:
    """Let a class that `dia` and `dia2` both have mean that of the page's own package."""
    package = "dia" if app.env.docname == "docs/dia-api" else "dia2"
    for reference in tree.findall(addnodes.pending_xref):
        if reference.get("refdomain") == "py" and reference["reftarget"] in SHARED:
            reference["reftarget"] = f"{package}.{reference['reftarget']}"


def draw_diagrams(app: Any, tree: nodes.document, page: str) -> None:
    """Put diagrams into the page itself, where they follow its light and dark."""
    if app.builder.format != "html":
        return
    for image in list(tree.findall(nodes.image)):
        if image["uri"].endswith(".diagram.svg"):
            svg = (ROOT / image["uri"]).read_text(encoding="utf-8")
            app.env.images.pop(image["uri"], None)
            image.replace_self(nodes.raw("", f'<div class="diagram-box">{svg}</div>', format="html"))


def tell_fields(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Give a dataclass's docstring its fields, which the code explains in comments behind them."""
    if what != "class" or not dataclasses.is_dataclass(thing):
        return
    comments = _comments(thing)
    lines += ["", "Attributes:"]
    for field in dataclasses.fields(thing):
        text = comments.get(field.name, "")
        if field.default is not dataclasses.MISSING:
            text = f"{text} (default: `{field.default!r}`)".strip()
        lines.append(f"    {field.name}: {text}")


def _comments(thing: type) -> dict[str, str]:
    found = {}
    for kind in reversed(thing.__mro__[:-1]):
        if dataclasses.is_dataclass(kind):
            pattern = r"^    (\w+): .*?  # (.*)$"
            found |= dict(re.findall(pattern, inspect.getsource(kind), flags=re.MULTILINE))
    return {name: re.sub(r"([*_|])", r"\\\1", text) if "`" not in text else text for name, text in found.items()}


def mark_examples(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show what stands indented in a docstring's text, before its sections, as code."""
    end = next(
        (i for i, line in enumerate(lines) if re.fullmatch(r"(Args|Raises|Returns|Attributes):", line)), len(lines)
    )
    for i in range(end - 1, 0, -1):
        if lines[i].startswith("    ") and not lines[i - 1].strip():
            lines[i:i] = [".. code-block:: python", ""]


def read_properties(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Read a property's docstring as a method's: napoleon would take what stands before its first colon for a type."""
    if what in ("property", "attribute"):
        read = str(GoogleDocstring(lines, app.config, app, "method", name, thing, options))
        lines[:] = ["..", "", *read.split("\n")]  # an empty comment, in which it finds no colon


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.connect("source-read", put_demo)
    app.connect("doctree-read", tell_packages_apart)
    app.connect("doctree-resolved", draw_diagrams)
    app.connect("autodoc-process-docstring", mark_examples, priority=400)  # before napoleon, which is at 500
    app.connect("autodoc-process-docstring", tell_fields, priority=300)
    app.connect("autodoc-process-docstring", read_properties, priority=450)


sys.path.insert(0, str(ROOT))
