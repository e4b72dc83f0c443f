"""The site: `python -m sphinx -W -b html docs site` (Sphinx with MyST and the theme furo; nothing from the network)."""

from __future__ import annotations

import re
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import rfcalc

HERE = Path(__file__).parent
SOURCE = "https://github.com/rfcalc/rfcalc/blob/main/"

project = "rfcalc"
author = "The rfcalc authors"
copyright = f"{date.today().year}, {author}"  # noqa: A001 (Sphinx's name)
version = release = rfcalc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples/**", "figures/*.py", "playground/**", "site/**"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
nitpicky = False

html_theme = "furo"
html_title = "rfcalc"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_extra_path = ["published-numbers-table.html"]
html_js_files = ["filter.js"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False}

default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True


def _links(app: Any, name: str, text: list[str]) -> None:
    """Links to files of the repository that are no pages lead to the repository."""
    if "/" in name:  # pages in a folder link to pages only
        return
    text[0] = re.sub(r"\[([^\]]+)\]\((published-numbers-table\.html)\)", r'<a href="\2">\1</a>', text[0])  # no download
    text[0] = re.sub(r"\]\(\.\./([^)#]+)\)", rf"]({SOURCE}\1)", text[0])
    text[0] = re.sub(r"\]\(((?:examples|figures)/[^)#]+(?<!\.svg)(?<!\.png))\)", rf"]({SOURCE}docs/\1)", text[0])


def _codes(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings have code in single backticks, and |, * of formulas are no markup."""
    lines[:] = [re.sub(r"(?<![\\`])\*(?=\w)", r"\\*", line) if ">>>" not in line else line for line in lines]


def _playground(app: Any, name: str, text: list[str]) -> None:
    """The page of the playground, where what it needs is at hand."""
    if name == "playground":
        text[0] = text[0].replace("%playground%", f"```{{raw}} html\n{_bundle().html()}\n```")


def _outdated(app: Any, env: Any, *changes: Any) -> list[str]:
    """Pages that are made of more than their own text: what an earlier build left of them may be old."""
    return [name for name in ("api", "index", "playground") if name in env.all_docs]


def _rest(app: Any, name: str, text: list[str]) -> None:
    """Pages that the index does not name have their place in it too."""
    if name == "index":
        named = set(text[0].split())
        rest = sorted(page.stem for page in HERE.glob("*.md") if page.stem not in {*named, "index"})
        text[0] = text[0].replace("%rest%", "\n".join(rest))


def _bundled(app: Any, error: Any) -> None:
    if error is None and app.builder.format == "html":
        _bundle().bundle(Path(app.outdir) / "_static" / "playground")


def _bundle() -> Any:
    found = spec_from_file_location("bundle", HERE / "playground" / "bundle.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def setup(app: Any) -> None:
    """Sphinx's hook."""
    app.connect("env-get-outdated", _outdated)
    app.connect("source-read", _playground)
    app.connect("source-read", _rest)
    app.connect("build-finished", _bundled)
    app.connect("source-read", _links)
    app.connect("autodoc-process-docstring", _codes)
    app.connect("source-read", _api)


def _api(app: Any, name: str, text: list[str]) -> None:
    """The page of the library follows what the package offers."""
    if name != "api":
        return
    from rfcalc.core.layer import Layer

    found: dict[str, list[str]] = {"functions": [], "classes": [], "layers": []}
    for public in rfcalc.__all__:
        one = getattr(rfcalc, public)
        if not isinstance(one, type):
            if callable(one):
                found["functions"].append(f".. autofunction:: rfcalc.{public}")
        elif issubclass(one, Layer):
            found["layers"].append(f".. autoclass:: rfcalc.{public}\n   :no-members:")
        else:
            found["classes"].append(f".. autoclass:: rfcalc.{public}\n   :members:")
    for kind, lines in found.items():
        text[0] = text[0].replace(f"%{kind}%", "```{eval-rst}\n" + "\n\n".join(lines) + "\n```")
