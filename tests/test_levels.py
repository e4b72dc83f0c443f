"""What calls upwards: a folder imports those below it (import-linter checks what is imported by name), and what is
loaded by a text, ``import_module("rfcalc.…")``, is a convenience of an object or a registry. This table names each."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import rfcalc

ROOT = Path(rfcalc.__file__).parent

# who loads → what it loads → why it may
UPWARD = {
    "core/expr.py": {"layers": "the registry of kinds loads them when a name is not known"},
    "core/displayed.py": {"render": "_repr_html_ of what says itself as a document"},
    "graph/network.py": {
        "readers": "_repr_html_: a network's table or list in a notebook",
        "readers.drawing": "_repr_svg_: a network shows itself in a notebook",
        "render": "_repr_html_",
    },
    "report/constraints.py": {"readers.target": "require() takes whatever names a network"},
    "report/report.py": {"render": "__str__ and _repr_html_"},
}


def levels() -> dict[str, int]:
    """The level of each folder, 0 at the bottom, as import-linter has them."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    return {
        name.strip().removeprefix("rfcalc."): level
        for level, row in enumerate(reversed(layers))
        for name in row.split("|")
    }


def loaded(source: str) -> list[str]:
    """The modules of rfcalc that a file loads by a text; of a name with a variable in it, what stands before that."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if (
            not isinstance(node, ast.Call)
            or getattr(node.func, "id", getattr(node.func, "attr", "")) != "import_module"
        ):
            continue
        text = node.args[0]
        if isinstance(text, ast.JoinedStr):
            text = text.values[0]
        if isinstance(text, ast.Constant) and str(text.value).startswith("rfcalc."):
            found.append(str(text.value).removeprefix("rfcalc.").rstrip("."))
    return found


def upward(file: str, source: str) -> set[str]:
    known = levels()
    own = known[file.partition("/")[0]]
    return {name for name in loaded(source) if name and known[name.partition(".")[0]] > own}


def test_the_table_names_every_call_upwards() -> None:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if "/" in file and (names := upward(file, path.read_text(encoding="utf-8"))):
            found[file] = names
    assert found == {file: set(names) for file, names in UPWARD.items()}


def test_control_a_call_upwards_is_seen() -> None:
    assert upward("graph/x.py", 'import_module("rfcalc.render").render(1)') == {"render"}
    assert upward("plan/x.py", 'import_module(f"rfcalc.cli.{name}")') == {"cli"}
    assert upward("cli/x.py", 'import_module("rfcalc.report.tree")') == set()
