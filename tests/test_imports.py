"""What importing rfcalc loads, in a process of its own; with a control that shows the test can fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rfcalc
import rfcalc.layers
from rfcalc import zoo
from rfcalc.core.errors import NotationError
from rfcalc.core.expr import LAYERS
from rfcalc.notation import parse

HEAVY = ("torch", "sympy", "rich", "typer", "numpy", "onnx", "keras")


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_rfcalc_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc") == set()


def test_analysing_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc; rfcalc.analyze('vgg16').to_dict(); rfcalc.require('conv3-8', 'params > 1')") == set()


COMMANDS = (
    ["table", "vgg16"],
    ["table", "resnet152", "--format", "json"],
    ["rf", "vgg16", "pool5"],
    ["list"],
    ["explain", "vgg16", "pool5", "receptive-field"],
    ["explain", "vgg16", "peak_bytes"],
    ["compare", "vgg16", "resnet50"],
    ["compare", "conv3-64 x3", "conv7-64"],
    ["equivalents", "conv7-64"],
)


def ran(command: list[str]) -> set[str]:
    return loaded(f"from rfcalc.cli import run; assert run({[*command, '--output', '/dev/null']!r}) == 0")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_numbers_load_no_sympy(command: list[str]) -> None:
    assert "sympy" not in ran(command)


@pytest.mark.parametrize(
    "command",
    [
        ["symbolic", "conv3-C"],
        ["explain", "conv3-C x3", "weights"],
        ["compare", "conv3-C x3", "conv7-C"],
        ["equivalents", "conv7-C"],
    ],
    ids=" ".join,
)
def test_control_symbols_load_sympy(command: list[str]) -> None:
    assert "sympy" in ran(command)


def test_control_the_check_sees_an_import() -> None:
    assert loaded("import rfcalc.cli") == {"typer"}
    assert "rich" in loaded("import rfcalc, rich")


KINDS = "print(*sorted(m for m in sys.modules if m.startswith('rfcalc.layers.')))"


def kinds_for(text: str) -> list[str]:
    code = f"import sys\nfrom rfcalc.notation import parse\nparse({text!r})\n{KINDS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [m.removeprefix("rfcalc.layers.") for m in done.stdout.split()]


def test_a_word_loads_its_own_kind_and_no_other() -> None:
    assert kinds_for("conv3-64") == ["conv"]
    assert kinds_for("MaxPool2") == ["pool"]
    assert kinds_for("lstm8 > fc10") == ["dense", "recurrent"]


def test_the_table_of_words_is_what_the_kinds_declare() -> None:
    from rfcalc.layers import WORDS
    from rfcalc.notation.lexicon import words

    declared = {word: kind.__module__ for word, kind in words().items() if kind.__module__.startswith("rfcalc.")}
    assert declared == {word: f"rfcalc.layers.{module}" for word, module in WORDS.items()}


def modules(arguments: list[str]) -> list[str]:
    """Which modules of rfcalc a command loads."""
    code = (
        "import sys\nfrom rfcalc.cli import run\n"
        f"assert run({arguments!r}) == 0\n"
        "print(*(m for m in sys.modules if m.partition('.')[0] == 'rfcalc'), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_a_table_loads_few_modules() -> None:
    assert len(modules(["table", "vgg16"])) <= 38


def test_a_layer_loads_no_network_of_the_literature() -> None:
    loaded = modules(["rf", "conv3-64"])
    assert [m for m in loaded if m.startswith(("rfcalc.zoo.", "rfcalc.layers."))] == ["rfcalc.layers.conv"]
    assert "rfcalc.zoo.video" in modules(["rf", "c3d"])  # a name that no file begins with is looked for in all


def test_no_network_of_the_literature_reads_as_notation() -> None:
    """A text that may be either is notation before all families are looked through."""
    for name in (spelling for entry in zoo.entries() for spelling in (entry.name, entry.name.replace("-", ""))):
        with pytest.raises(NotationError):
            parse(name, symbols=True)
    assert parse("conv3-64", symbols=True) is not None


def test_control_what_is_not_usual_loads_more() -> None:
    usual, more = set(modules(["table", "vgg16"])), set(modules(["table", "vgg16", "--columns", "name,saved_bytes"]))
    assert more - usual >= {"rfcalc.cli.forgiving", "rfcalc.graph.autograd"}


FOLDERS = (
    "core",
    "graph",
    "receptive",
    "report",
    "render",
    "notation",
    "formulas",
    "plan",
    "derivation",
    "comparison",
    "drawing",
    "cli",
    "spec",
    "readers/builder",
)
ASKED = re.compile(r"\bkind\s*(?:==|!=|in|not in)\s*(.*)")


def asked_by_name(text: str, kinds: set[str]) -> list[str]:
    """The lines that ask a layer for its kind by name."""
    lines = text.splitlines()
    return [x.strip() for x in lines if (m := ASKED.search(x)) and kinds & set(re.findall(r'"(\w+)"', m[1]))]


def asked_by_class(text: str, classes: set[str]) -> list[str]:
    """The lines that ask a layer for its kind by its class: ``isinstance``, or a pattern of ``match``."""
    found = []
    for node in ast.walk(ast.parse(text)):
        asks = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
        told = node.args[1] if isinstance(node, ast.Call) and asks else None
        told = node.cls if isinstance(node, ast.MatchClass) else told
        if told is not None and classes & {n.id for n in ast.walk(told) if isinstance(n, ast.Name)}:
            found.append(ast.unparse(node))
    return found


def test_no_walk_and_no_plan_asks_for_a_kind_by_name() -> None:
    for name in rfcalc.layers.WHERE:
        getattr(rfcalc, name)
    kinds, classes = set(LAYERS), set(rfcalc.layers.WHERE)
    root = Path(rfcalc.__file__).parent
    found = {}
    for path in (p for f in FOLDERS for p in sorted((root / f).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        found[str(path)] = asked_by_name(text, kinds) + asked_by_class(text, classes)
    assert {where: lines for where, lines in found.items() if lines} == {}
    control = '    if row.kind == "softmax" or node.layer.kind not in ("mean", "reduce"):\n    if kind == "number":\n'
    assert len(asked_by_name(control, kinds)) == 1
    control = "isinstance(x, (int, Conv))\nisinstance(x, int)\nmatch x:\n  case Pad(): pass\n  case Shape(): pass\n"
    assert len(asked_by_class(control, classes)) == 2


def test_what_stands_in_the_way_of_a_stream_has_a_remedy() -> None:
    for name in rfcalc.layers.WHERE:
        getattr(rfcalc, name)
    made = [LAYERS[kind] for kind in set(LAYERS)]
    told = [kind.unstreamed for kind in made if any(kind.unstreamed)]
    assert len(told) >= 16 and all(why and fix for why, fix in told)
    assert {kind.in_attention for kind in made} == {"", "product", "softmax", "all"}
