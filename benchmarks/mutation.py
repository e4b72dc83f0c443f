"""How strong the tests are: mutants of a part, each against the tests of that part.

    python benchmarks/mutation.py core --count 200 --seed 0 --log /tmp/core.json

A mutant has one operator, comparison, condition or whole number turned round (`+` for `-`, `<` for `<=`, `and` for
`or`, a negated condition, a number one larger). Text, annotations, messages of errors and docstrings are left alone. It
lives in a copy of the repository; the tests run in a child process that has everything foreign loaded. A mutant that
the quick tests do not notice meets the slower ones.

Why not mutmut or cosmic-ray: both start an interpreter for each mutant, which costs seconds with PyTorch, more than the
tests that notice most mutants.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Part(NamedTuple):
    """Files, and the tests that are to notice (files of tests, folders of doctests): first quick ones, then slower."""

    files: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...]


PARTS = {
    "core": Part(
        ("rfcalc/core/*.py",),
        ("rfcalc/core", "core_edges", "kinds", "vgg", "field_report", "network", "symbols"),
        ("closed_forms", "notation", "window", "out_again", "solve"),
    ),
    "torch": Part(
        ("rfcalc/readers/torch/*.py", "rfcalc/readers/builder/*.py"),
        ("rfcalc/readers/torch", "rfcalc/readers/builder", "dependence", "recording", "from_torch", "given_inputs"),
        ("batch_of_modules", "random_modules", "reader_fuzz", "user_objects", "models_of_others", "verify_module"),
    ),
    "onnx": Part(
        ("rfcalc/readers/onnx/*.py", "rfcalc/readers/onnx/rules/*.py"),
        ("rfcalc/readers/onnx", "onnx_reader", "onnx_kinds", "onnx_package", "onnx_fields"),
        ("onnx_fuzz", "onnx_models", "random_modules"),
    ),
}
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


class Mutant(NamedTuple):
    """A change: where, and what stands there before and after."""

    file: str
    line: int
    before: str
    after: str
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}: {self.before} -> {self.after}"


def mutants(file: str) -> Iterator[Mutant]:
    """All mutants of a file."""
    source = (ROOT / file).read_text(encoding="utf-8")
    for node in _changeable(ast.parse(source)):
        before = ast.get_source_segment(source, node)
        if before is None or "\n" in before:
            continue
        for after in _changed(node):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
            yield Mutant(file, node.lineno, before, f"({after})", start, end)


def _changeable(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions, but for annotations, decorators, messages and what only type checkers read."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__"):
            continue
        if isinstance(node, ast.expr):
            yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            waiting.extend(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST))


def _changed(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        texts = (ast.Constant, ast.JoinedStr)
        if not any(
            isinstance(s, texts) and not isinstance(getattr(s, "value", 0), int) for s in (node.left, node.right)
        ):
            yield ast.unparse(ast.BinOp(node.left, SWAPS[type(node.op)](), node.right))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        yield ast.unparse(ast.Compare(node.left, [SWAPS[type(node.ops[0])]()], node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield ast.unparse(ast.BoolOp(SWAPS[type(node.op)](), node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.IfExp):
        yield ast.unparse(ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse))
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield str(node.value + 1)


def drawn(part: Part, count: int, seed: int) -> list[Mutant]:
    """So many mutants of a part, by chance."""
    files = sorted(str(p.relative_to(ROOT)) for pattern in part.files for p in ROOT.glob(pattern))
    every = [m for f in files for m in mutants(f)]
    return random.Random(seed).sample(every, min(count, len(every)))


def noticed(copy: Path, tests: tuple[str, ...], seconds: int) -> tuple[bool, str]:
    """Whether tests fail in a copy, in a child that is stopped after so long, which counts as noticed; which did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgrp()
        signal.alarm(seconds)
        os.chdir(copy)
        sys.path[:0] = [str(copy), str(copy / "tests")]
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        import pytest

        class First:
            def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
                if report.failed:
                    os.write(writer, report.nodeid.encode()[:400])

        names = [str(copy / t if "/" in t else copy / "tests" / f"test_{t}.py") for t in tests]
        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-m",
            "not exhaustive",
            "-W",
            "ignore::pytest.PytestWarning",
        ]
        os._exit(min(int(pytest.main([*options, *names], plugins=[First()])), 100))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        first = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return status != 0, first


def main() -> None:
    """Run the mutants of a part, and write the log after every one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seconds", type=int, default=120, help="for the tests of one mutant")
    parser.add_argument("--again", type=Path, help="only what an earlier log says was not noticed, by the slower tests")
    parser.add_argument("--quick", action="store_true", help="leave out the slower tests")
    given = parser.parse_args()
    part, chosen = PARTS[given.part], drawn(PARTS[given.part], given.count, given.seed)
    if given.again:
        passed = {entry["mutant"] for entry in json.loads(given.again.read_text()) if not entry["caught"]}
        chosen = [m for m in chosen if m.name in passed]
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import jsonschema  # noqa: F401
    import pytest  # noqa: F401
    import sympy  # noqa: F401

    if given.part != "core":
        import onnx  # noqa: F401
        import torch

        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "repository"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "__pycache__", "*.pyc"))
        if noticed(copy, part.quick, 600)[0]:
            raise SystemExit("the tests fail without a mutant")
        log: list[dict[str, object]] = []
        started = time.time()
        for i, m in enumerate(chosen):
            path = copy / m.file
            original = path.read_text(encoding="utf-8")
            path.write_text(_put(original, m), encoding="utf-8")
            quick = part.quick if not given.again else part.quick[:1]
            caught, first = noticed(copy, quick, given.seconds)
            if not caught and not given.quick:
                caught, first = noticed(copy, part.slow, 5 * given.seconds)
            path.write_text(original, encoding="utf-8")
            log.append({"mutant": m.name, "caught": caught, "by": first})
            killed = sum(bool(entry["caught"]) for entry in log)
            seconds = time.time() - started
            told = first if caught else "SURVIVES"
            print(f"{i + 1}/{len(chosen)} {killed} caught, {seconds:.0f} s  {m.name}  {told}", flush=True)
            if given.log:
                given.log.write_text(json.dumps(log, indent=1))


def _put(source: str, m: Mutant) -> str:
    lines = source.encode().splitlines(keepends=True)
    (row, begin), (last, end) = m.start, m.end
    assert row == last
    line = lines[row - 1]
    lines[row - 1] = line[:begin] + m.after.encode() + line[end:]
    return b"".join(lines).decode()


if __name__ == "__main__":
    main()
