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
    "core/errors.py": {"readers.advised": "the text of an error of a size has the valid ones"},
    "core/displayed.py": {"render": "_repr_html_ of what says itself as a document"},
    "graph/network.py": {
        "readers": "_repr_html_: a network's table or list in a notebook",
        "readers.drawing": "_repr_svg_: a network shows itself in a notebook",
        "render": "_repr_html_",
    },
    "readers/streaming.py": {
        "backend.stream.build": "rfcalc.stream builds a module's stream, so that what it says is possible is",
        "backend.twin": "and says which layer of a network cannot be built",
    },
    "report/constraints.py": {"readers.target": "require() takes whatever names a network"},
    "report/__init__.py": {"render": "__str__ and _repr_html_"},
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


def decided_by_text(source: str) -> list[str]:
    """Where something is decided by the text of a message: compared, looked into, or how it begins."""

    def message(node: ast.AST) -> bool:
        if isinstance(node, ast.BoolOp):
            return any(map(message, node.values))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str" and node.args:
            return getattr(node.args[0], "id", "") in ("error", "fault")
        attribute = isinstance(node, ast.Attribute) and node.attr in ("what", "why", "fix")
        return attribute and getattr(node.value, "id", "") in ("error", "fault")  # type: ignore[attr-defined]

    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and not any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
            parts: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asks = node.func.attr in ("startswith", "endswith", "match", "search", "fullmatch", "find", "count")
            parts = [node.func.value, *node.args] if asks else []
        else:
            continue
        if any(map(message, parts)):
            found.append(ast.unparse(node))
    return found


def test_nothing_is_decided_by_the_text_of_a_message() -> None:
    """What an error is, its class says; those of Python and PyTorch tell lines, parameters, reasons by text alone."""
    found = {p.relative_to(ROOT).as_posix(): len(decided_by_text(p.read_text("utf-8"))) for p in ROOT.rglob("*.py")}
    foreign = {"backend/verify/saved.py": 1, "claims/files.py": 1, "readers/user_code.py": 1}
    assert {file: count for file, count in found.items() if count} == foreign
    control = "if 'x' in error.what: pass\nif (error.fix or '').startswith('y'): pass\nif error.why is None: pass\n"
    assert len(decided_by_text(control)) == 2
